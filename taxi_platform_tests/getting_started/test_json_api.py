"""What a GET of a JSON API says when the answer is not what it should be."""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from threading import Event

import pytest

from taxi_platform.errors import BadAnswer, BadSetting, RateLimited, SourceUnavailable
from taxi_platform.getting_started.json_api import get_json
from taxi_platform_tests.support.api_server import Answer, Asked, api_server


def ask(answer: Answer):
    with api_server(lambda _: answer) as server:
        return get_json(f"{server.url}/thing", timeout=5)


def test_the_answer_is_handed_back() -> None:
    assert ask(Answer({"a": [1, 2.5, None, "x"]})) == {"a": [1, 2.5, None, "x"]}


@pytest.mark.parametrize("content", [b"<html>Hello</html>", b"", b'{"products": [', b'{"price": NaN}', b"\xff\xfe\x00"])
def test_what_is_not_json_is_a_bad_answer(content: bytes) -> None:
    with pytest.raises(BadAnswer, match="not JSON") as caught:
        ask(Answer(content))
    assert caught.value.allow_retries is False


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_fault_on_the_other_side_may_be_retried(status: int) -> None:
    with pytest.raises(SourceUnavailable, match=str(status)) as caught:
        ask(Answer(b"", status))
    assert caught.value.allow_retries is True


@pytest.mark.parametrize("status", [400, 403, 404, 204])
def test_a_refusal_is_not_retried(status: int) -> None:
    with pytest.raises(BadAnswer, match=str(status)):
        ask(Answer(b"", status))


def test_silence_ends_with_the_timeout() -> None:
    release = Event()

    def hold(_: Asked) -> Answer:
        release.wait(30)
        return Answer({})

    with api_server(hold) as server:
        try:
            with pytest.raises(SourceUnavailable, match=r"no answer within 0\.2 seconds"):
                get_json(server.url, timeout=0.2)
        finally:
            release.set()


def test_nobody_listening_is_told_without_user_password_and_query() -> None:
    with api_server(lambda _: Answer({})) as server:
        port = server.url.rpartition(":")[2]
    with pytest.raises(SourceUnavailable) as caught:
        get_json(f"http://me:hidden@127.0.0.1:{port}/thing?token=hidden", timeout=5)
    assert "/thing" in str(caught.value)
    assert "hidden" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_an_address_that_is_none_is_a_bad_setting() -> None:
    with pytest.raises(BadSetting):
        get_json("dummyjson.com/products", timeout=5)


def test_a_short_pause_is_kept_and_then_asked_again() -> None:
    arrivals: list[float] = []

    def answer(_: Asked) -> Answer:
        arrivals.append(time.monotonic())
        return Answer({"n": 1}) if len(arrivals) > 1 else Answer(b"", 429, {"Retry-After": "1"})

    with api_server(answer) as server:
        assert get_json(server.url, timeout=5) == {"n": 1}
    assert len(arrivals) == 2
    assert arrivals[1] - arrivals[0] >= 1


def _in(seconds: int) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (429, lambda: {"Retry-After": "3600"}),
        (429, lambda: {"Retry-After": format_datetime(_in(3600), usegmt=True)}),
        (403, lambda: {"Retry-After": "3600"}),
        (403, lambda: {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(_in(3600).timestamp()))}),
    ],
)
def test_a_long_pause_ends_the_run_with_the_time_to_come_back(
    status: int, headers: Callable[[], dict[str, str]]
) -> None:
    with api_server(lambda _: Answer(b"", status, headers())) as server:
        with pytest.raises(RateLimited) as caught:
            get_json(server.url, timeout=5)
        assert len(server.asked) == 1
    assert caught.value.allow_retries is False
    named = re.search(r"after (\S+ \S+) UTC", caught.value.remedy)
    assert named
    assert abs(datetime.fromisoformat(f"{named[1]}+00:00") - _in(3600)) < timedelta(minutes=5)
