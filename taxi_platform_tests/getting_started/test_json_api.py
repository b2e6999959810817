"""GET requests to JSON APIs: errors and rate limits."""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from threading import Event
from typing import Any

import dagster as dg
import pytest

from taxi_platform.errors import BadAnswer, BadSetting, RateLimited, SourceUnavailable
from taxi_platform.getting_started.json_api import get_json
from taxi_platform.getting_started.products import products_raw
from taxi_platform.getting_started.statistics import docker_image_pulls, github_stars
from taxi_platform_tests.support.api_server import ApiRequest, ApiResponse, api_server
from taxi_platform_tests.support.waiting import PATIENCE


def get(response: ApiResponse) -> Any:
    with api_server(lambda _: response) as server:
        return get_json(f"{server.url}/thing", timeout=PATIENCE)


def test_json_is_returned() -> None:
    assert get(ApiResponse({"a": [1, 2.5, None, "x"]})) == {"a": [1, 2.5, None, "x"]}


@pytest.mark.parametrize("content", [b"<html>Hello</html>", b"", b'{"products": [', b'{"price": NaN}', b"\xff\xfe\x00"])
def test_invalid_json_is_bad_answer(content: bytes) -> None:
    with pytest.raises(BadAnswer, match="is not JSON") as caught:
        get(ApiResponse(content))
    assert caught.value.allow_retries is False


@pytest.mark.parametrize("status", [500, 502, 503])
def test_server_error_is_retried(status: int) -> None:
    with pytest.raises(SourceUnavailable, match=str(status)) as caught:
        get(ApiResponse(b"", status))
    assert caught.value.allow_retries is True


@pytest.mark.parametrize("status", [400, 403, 404, 204])
def test_other_status_is_bad_answer(status: int) -> None:
    with pytest.raises(BadAnswer, match=str(status)):
        get(ApiResponse(b"", status))


def test_silent_server_times_out() -> None:
    release = Event()

    def hold(_: ApiRequest) -> ApiResponse:
        release.wait(PATIENCE)
        return ApiResponse({})

    with api_server(hold) as server:
        try:
            with pytest.raises(SourceUnavailable, match=r"did not respond within 0\.2 seconds"):
                get_json(server.url, timeout=0.2)
        finally:
            release.set()


def test_connection_error_shows_url_without_secrets() -> None:
    with api_server(lambda _: ApiResponse({})) as server:
        port = server.url.rpartition(":")[2]
    with pytest.raises(SourceUnavailable) as caught:
        get_json(f"http://me:hidden@127.0.0.1:{port}/thing?token=hidden", timeout=PATIENCE)
    assert "/thing" in str(caught.value)
    assert "hidden" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_invalid_url_is_bad_setting() -> None:
    with pytest.raises(BadSetting):
        get_json("dummyjson.com/products", timeout=PATIENCE)


@pytest.mark.parametrize(
    "location", ["http://[::1/?hidden", "ftp://localhost/?hidden", f"http://{'a' * 64}.org/?hidden"]
)
def test_redirect_to_invalid_url_is_bad_setting(location: str) -> None:
    with pytest.raises(BadSetting, match="redirects to") as caught:
        get(ApiResponse(b"", 302, {"Location": location}))
    assert "hidden" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_short_wait_of_rate_limit_is_kept() -> None:
    arrivals: list[float] = []

    def respond(_: ApiRequest) -> ApiResponse:
        arrivals.append(time.monotonic())
        return ApiResponse({"n": 1}) if len(arrivals) > 1 else ApiResponse(b"", 429, {"Retry-After": "1"})

    with api_server(respond) as server:
        assert get_json(server.url, timeout=PATIENCE) == {"n": 1}
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
def test_long_wait_of_rate_limit_is_named(status: int, headers: Callable[[], dict[str, str]]) -> None:
    with api_server(lambda _: ApiResponse(b"", status, headers())) as server:
        with pytest.raises(RateLimited) as caught:
            get_json(server.url, timeout=PATIENCE)
        assert len(server.requests) == 1
    assert caught.value.allow_retries is False
    named = re.search(r"after (\S+ \S+) UTC", caught.value.remedy)
    assert named
    assert abs(datetime.fromisoformat(f"{named[1]}+00:00") - _in(3600)) < timedelta(minutes=5)


@pytest.mark.parametrize("retry_after", ["\xb2", "soon", "-1", "9" * 5000, "Wed, 21 Oct 99999 07:28:00 GMT"])
def test_invalid_retry_after_means_default_wait(retry_after: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taxi_platform.getting_started.json_api.DEFAULT_WAIT", 3600.0)
    with pytest.raises(RateLimited, match="too many requests"):
        get(ApiResponse(b"", 429, {"Retry-After": retry_after}))


@pytest.mark.parametrize(
    "headers", [{"Retry-After": "9" * 400}, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "9" * 400}]
)
def test_endless_wait_of_rate_limit_is_capped(headers: dict[str, str]) -> None:
    with pytest.raises(RateLimited, match="too many requests"):
        get(ApiResponse(b"", 429, headers))


@pytest.mark.parametrize("asset", [products_raw, docker_image_pulls, github_stars], ids=lambda asset: str(asset.key))
def test_asset_that_requests_an_api_retries_twice(asset: dg.AssetsDefinition) -> None:
    policy = asset.op.retry_policy
    assert policy
    assert (policy.max_retries, policy.backoff) == (2, dg.Backoff.EXPONENTIAL)
