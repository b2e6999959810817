"""Google's answers: what passes is waited out, the rest is told at once; and no request waits for ever."""

import threading
import time
from collections.abc import Callable

import pytest
import requests
from google.api_core.exceptions import BadRequest
from google.cloud import storage

from taxi_platform.destinations.bigquery.tables import Sql
from taxi_platform.errors import GoogleRefused, GoogleUnavailable, MissingRight
from taxi_platform.google_cloud import dataset as module
from taxi_platform.google_cloud.dataset import Warehouse
from taxi_platform.google_cloud.errors import patience
from taxi_platform.google_cloud.resources import GoogleBigQuery, GoogleStorage
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.destinations.bigquery.conftest import Load, Write
from taxi_platform_tests.support.trip_files import trip
from taxi_platform_tests.support.unreliable_google import Answer, Asked, UnreliableGoogle, error, failed_job

APRIL = TripMonth.from_key("green|2020-04")


def makes_a_job(asked: Asked) -> bool:
    return bool(asked.statement)


def looks(asked: Asked) -> bool:
    return asked.method == "GET"


PASSES = {
    "429": error(429, "rateLimitExceeded"),
    "403 rateLimitExceeded": error(403, "rateLimitExceeded"),
    "403 jobRateLimitExceeded": error(403, "jobRateLimitExceeded"),
    "500": error(500, "internalError"),
    "502": error(502, "badGateway"),
    "503": error(503, "backendError"),
}
STAYS = {
    "400": (error(400, "invalidQuery", "Syntax error"), GoogleRefused),
    "403": (error(403, "accessDenied", "Access Denied"), MissingRight),
    "404": (error(404, "notFound", "Not found: Dataset"), GoogleRefused),
    "quota": (error(403, "quotaExceeded", "Quota exceeded: your project"), GoogleRefused),
}


@pytest.mark.parametrize("when", [makes_a_job, looks])
@pytest.mark.parametrize("answer", PASSES.values(), ids=PASSES.keys())
def test_what_passes_is_waited_out(
    warehouse: Warehouse, bigquery_front: UnreliableGoogle, answer: Answer, when: Callable[[Asked], bool]
) -> None:
    bigquery_front.fail(1, answer, when)
    assert warehouse.run(Sql("SELECT 7 AS n"), {}) == [{"n": 7}]


@pytest.mark.parametrize("reason", ["backendError", "rateLimitExceeded", "internalError"])
def test_a_job_that_fails_for_what_passes_is_run_again(
    warehouse: Warehouse, bigquery_front: UnreliableGoogle, reason: str
) -> None:
    bigquery_front.fail(1, failed_job(reason, "try again"), makes_a_job)
    assert warehouse.run(Sql("SELECT 7 AS n"), {}) == [{"n": 7}]
    assert bigquery_front.statements.count("SELECT 7 AS n") == 2


@pytest.mark.parametrize(("answer", "kind"), STAYS.values(), ids=STAYS.keys())
def test_what_stays_is_told_at_once(
    bigquery: GoogleBigQuery, bigquery_front: UnreliableGoogle, answer: Answer, kind: type[Exception]
) -> None:
    bigquery.ensure_dataset()
    bigquery_front.requests.clear()
    bigquery_front.fail(10, answer, makes_a_job)
    said = answer[1]["error"]["message"]
    with pytest.raises(kind, match=f"while it tested: .*{said}|tested.*: .*{said}"), bigquery.warehouse("tested") as it:
        it.run(Sql("SELECT 7"), {})
    assert len(bigquery_front.requests) == 1


def test_what_does_not_pass_in_time_is_told(bigquery: GoogleBigQuery, bigquery_front: UnreliableGoogle) -> None:
    impatient = bigquery.model_copy(update={"patience": 1})
    bigquery_front.fail(1000, error(503, "backendError", "Visibility check was unavailable"))
    with pytest.raises(GoogleUnavailable, match=r"Visibility check was unavailable(?s:.*)retried with backoff"):
        impatient.ensure_dataset()
    assert 1 < len(bigquery_front.requests) < 10, "with growing waits"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (error(403, "forbidden", "does not have storage.objects.create access"), MissingRight),
        (error(400, "invalid", "Invalid argument"), GoogleRefused),
    ],
)
def test_what_stays_is_told_at_once_by_storage_too(
    gcs: GoogleStorage, storage_front: UnreliableGoogle, answer: Answer, kind: type[Exception]
) -> None:
    storage_front.fail(10, answer)
    with pytest.raises(kind, match="while it tested"), gcs.lake("tested") as bucket:
        bucket.get_blob("x", retry=patience(10))
    assert len([asked for asked in storage_front.requests if "/o/x" in asked.path]) == 1


def test_the_waits_grow(warehouse: Warehouse, bigquery_front: UnreliableGoogle) -> None:
    times: list[float] = []
    bigquery_front.rules.append(lambda asked: times.append(time.monotonic()))
    bigquery_front.fail(3, error(503, "backendError"), looks)
    warehouse.table(warehouse.name("nothing"))
    assert len(times) == 4


def test_every_request_has_a_timeout(
    gcs: GoogleStorage, bigquery: GoogleBigQuery, load: Load, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the whole leg: taken down where all of Google's clients send."""
    asked: list[tuple[str, object]] = []
    send = requests.Session.send

    def note(self: requests.Session, request: requests.PreparedRequest, **how: object) -> requests.Response:
        asked.append((f"{request.method} {request.url}", how.get("timeout")))
        return send(self, request, **how)

    monkeypatch.setattr(requests.Session, "send", note)
    gcs.ensure_bucket()
    bigquery.ensure_dataset()
    load(write(APRIL, [trip(APRIL)]))
    assert len(asked) > 20
    assert [request for request, timeout in asked if not isinstance(timeout, (int, float)) or timeout > 120] == []


def test_work_that_is_broken_off_is_told(gcs: GoogleStorage, bucket: storage.Bucket) -> None:
    def broken() -> None:
        raise requests.exceptions.ChunkedEncodingError("Connection broken")

    with pytest.raises(GoogleUnavailable, match="broke off while it tested"), gcs.lake("tested"):
        broken()


RUNNING: Answer = (200, {**failed_job("", "")[1], "status": {"state": "RUNNING"}})
NOT_COMPLETE: Answer = (200, {"jobComplete": False, "jobReference": RUNNING[1]["jobReference"]})


def test_a_bigquery_that_falls_silent_is_told(
    bigquery: GoogleBigQuery, bigquery_front: UnreliableGoogle, monkeypatch: pytest.MonkeyPatch
) -> None:
    bigquery.ensure_dataset()
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.2)
    end_of_test = threading.Event()

    def accept_and_be_silent(asked: Asked) -> Answer | None:
        if makes_a_job(asked):
            return RUNNING
        end_of_test.wait(60)
        return None

    bigquery_front.rules.append(accept_and_be_silent)
    try:
        with (
            pytest.raises(GoogleUnavailable, match="could not answer while it tested"),
            bigquery.model_copy(update={"patience": 1}).warehouse("tested") as warehouse,
        ):
            warehouse.run(Sql("SELECT 7"), {})
    finally:
        end_of_test.set()


def test_a_job_may_take_longer_than_one_answer(
    warehouse: Warehouse, bigquery_front: UnreliableGoogle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.1)
    end = time.monotonic() + 1

    def long_job(asked: Asked) -> Answer | None:
        if "/queries/" in asked.path:
            return NOT_COMPLETE
        if time.monotonic() < end:
            return RUNNING
        return failed_job("invalidQuery", "this is the end")

    bigquery_front.rules.append(long_job)
    with pytest.raises(BadRequest, match="this is the end"):
        warehouse.run(Sql("SELECT 7"), {})
