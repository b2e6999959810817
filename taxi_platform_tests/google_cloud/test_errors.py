"""Errors of Google Cloud: transient ones are retried, others are reported at once, and every request has a timeout."""

import threading

import pytest
import requests
from google.cloud import storage

from taxi_platform.errors import GoogleRefused, GoogleUnavailable, MissingRight
from taxi_platform.google_cloud import dataset as module
from taxi_platform.google_cloud.bucket import ensure_bucket
from taxi_platform.google_cloud.connection import GoogleCloud
from taxi_platform.google_cloud.dataset import Dataset, ensure_dataset
from taxi_platform.google_cloud.errors import retry_for
from taxi_platform.google_cloud.identifiers import Sql
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.support.google_fixtures import Load, Write
from taxi_platform_tests.support.trip_files import trip
from taxi_platform_tests.support.unreliable_google import Request, Response, UnreliableGoogle, error
from taxi_platform_tests.support.waiting import PATIENCE

APRIL = TripMonth.from_key("green|2020-04")


def runs_a_statement(request: Request) -> bool:
    return bool(request.statement)


def reads(request: Request) -> bool:
    return request.method == "GET"


TRANSIENT = {
    "429": error(429, "rateLimitExceeded"),
    "403 rateLimitExceeded": error(403, "rateLimitExceeded"),
    "403 jobRateLimitExceeded": error(403, "jobRateLimitExceeded"),
    "500": error(500, "internalError"),
    "502": error(502, "badGateway"),
    "503": error(503, "backendError"),
    "400 backendError": error(400, "backendError"),
}
PERMANENT = {
    "400": (error(400, "invalidQuery", "Syntax error"), GoogleRefused),
    "403": (error(403, "accessDenied", "Access Denied"), MissingRight),
    "404": (error(404, "notFound", "Not found: Dataset"), GoogleRefused),
    "quota": (error(403, "quotaExceeded", "Quota exceeded: your project"), GoogleRefused),
}


@pytest.mark.parametrize("response", TRANSIENT.values(), ids=TRANSIENT.keys())
def test_transient_error_of_a_statement_is_retried(
    dataset: Dataset, bigquery_front: UnreliableGoogle, response: Response
) -> None:
    bigquery_front.fail(1, response, runs_a_statement)
    assert dataset.run(Sql("SELECT 7 AS n"), {}) == [{"n": 7}]
    assert bigquery_front.statements.count("SELECT 7 AS n") == 2


def test_transient_error_of_a_read_is_retried(dataset: Dataset, bigquery_front: UnreliableGoogle) -> None:
    bigquery_front.fail(3, error(503, "backendError"), reads)
    bigquery_front.requests.clear()
    assert dataset.get_table(dataset.table_name("nothing")) is None
    assert len(bigquery_front.requests) == 4


@pytest.mark.parametrize(("response", "kind"), PERMANENT.values(), ids=PERMANENT.keys())
def test_permanent_error_is_reported_at_once(
    cloud: GoogleCloud, bigquery_front: UnreliableGoogle, response: Response, kind: type[Exception]
) -> None:
    ensure_dataset(cloud)
    bigquery_front.requests.clear()
    bigquery_front.fail(10, response, runs_a_statement)
    message = response[1]["error"]["message"]
    with pytest.raises(kind, match=f"while testing: {message}"), cloud.open_dataset("testing") as dataset:
        dataset.run(Sql("SELECT 7"), {})
    assert len(bigquery_front.requests) == 1


def test_lasting_transient_error_is_reported(cloud: GoogleCloud, bigquery_front: UnreliableGoogle) -> None:
    impatient = GoogleCloud(**{**cloud.model_dump(), "retry_seconds": 1})
    bigquery_front.fail(1000, error(503, "backendError", "Visibility check was unavailable"))
    with pytest.raises(GoogleUnavailable, match=r"Visibility check was unavailable(?s:.*)retried with backoff"):
        ensure_dataset(impatient)
    assert 1 < len(bigquery_front.requests) < 10, "with growing waits"


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (error(403, "forbidden", "does not have storage.objects.create access"), MissingRight),
        (error(400, "invalid", "Invalid argument"), GoogleRefused),
    ],
)
def test_permanent_error_of_storage_is_reported_at_once(
    cloud: GoogleCloud, storage_front: UnreliableGoogle, response: Response, kind: type[Exception]
) -> None:
    storage_front.fail(10, response)
    with pytest.raises(kind, match="while testing"), cloud.open_bucket("testing") as bucket:
        bucket.get_blob("x", retry=retry_for(10))
    assert len([request for request in storage_front.requests if "/o/x" in request.path]) == 1


def test_every_request_has_a_timeout(
    cloud: GoogleCloud, load: Load, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recorded where all of Google's clients send."""
    sent: list[tuple[str, object]] = []
    send = requests.Session.send

    def record(self: requests.Session, request: requests.PreparedRequest, **how: object) -> requests.Response:
        sent.append((f"{request.method} {request.url}", how.get("timeout")))
        return send(self, request, **how)

    monkeypatch.setattr(requests.Session, "send", record)
    ensure_bucket(cloud)
    ensure_dataset(cloud)
    load(write(APRIL, [trip(APRIL)]))
    assert len(sent) > 15
    assert [request for request, timeout in sent if not isinstance(timeout, (int, float)) or timeout > 120] == []


def test_lost_connection_is_reported(cloud: GoogleCloud, bucket: storage.Bucket) -> None:
    def broken() -> None:
        raise requests.exceptions.ChunkedEncodingError("Connection broken")

    with pytest.raises(GoogleUnavailable, match="connection was lost, while testing"), cloud.open_bucket("testing"):
        broken()


JOB = {"projectId": "test-project", "jobId": "long", "location": "us-central1"}
NOT_COMPLETE: Response = (200, {"jobComplete": False, "jobReference": JOB})
RUNNING: Response = (200, {"jobReference": JOB, "status": {"state": "RUNNING"}, "configuration": {"query": {}}})


def test_silent_bigquery_is_reported(
    cloud: GoogleCloud, bigquery_front: UnreliableGoogle, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_dataset(cloud)
    monkeypatch.setattr(module, "WRITE_TIMEOUT", 0.2)
    end_of_test = threading.Event()

    def wait(request: Request) -> Response | None:
        end_of_test.wait(PATIENCE)
        return None

    bigquery_front.rules.append(wait)
    impatient = GoogleCloud(**{**cloud.model_dump(), "retry_seconds": 1})
    try:
        with pytest.raises(GoogleUnavailable, match="while testing"), impatient.open_dataset("testing") as dataset:
            dataset.run(Sql("SELECT 7"), {})
    finally:
        end_of_test.set()


def test_job_may_take_longer_than_one_request(dataset: Dataset, bigquery_front: UnreliableGoogle) -> None:
    polled: list[Request] = []

    def long_job(request: Request) -> Response | None:
        if runs_a_statement(request):
            return NOT_COMPLETE
        polled.append(request)
        if "/queries/" in request.path:
            done = {"jobComplete": True, "jobReference": JOB, "totalRows": "0", "schema": {"fields": []}}
            return NOT_COMPLETE if len(polled) < 4 else (200, done)
        return RUNNING if len(polled) < 4 else (200, {**RUNNING[1], "status": {"state": "DONE"}})

    bigquery_front.rules.append(long_job)
    assert dataset.run(Sql("SELECT 7"), {}) == []
    assert len(polled) >= 4
