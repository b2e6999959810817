"""GET requests to public JSON APIs, with timeouts, rate limits and errors that say what to do.

What a response must contain is up to the resource of each API. Messages show URLs without user, password and query,
which may hold secrets.
"""

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

import requests

from taxi_platform.errors import BadAnswer, BadSetting, RateLimited, SourceUnavailable
from taxi_platform.source.http_client import retry_after, safe_url

LONGEST_WAIT = 60.0
"""Seconds that a run waits at most because of a rate limit."""

DEFAULT_WAIT = 60.0
"""Seconds to wait if the API names no time, as GitHub's documentation asks."""

LONGEST_NAMED_WAIT = timedelta(days=1)


def get_json(
    url: str, *, timeout: float, params: Mapping[str, int] | None = None, headers: Mapping[str, str] | None = None
) -> Any:
    """Return the JSON at `url`; `timeout` in seconds, for the connection and for more data after that.

    Raise SourceUnavailable (no response, 5xx), RateLimited, BadAnswer (other statuses, not JSON) or BadSetting (invalid
    URL).
    """
    response = _get(url, timeout, params, headers)
    wait = _required_wait(response)
    if wait is not None and wait <= LONGEST_WAIT:
        time.sleep(wait)
        response = _get(url, timeout, params, headers)
        wait = _required_wait(response)
    if wait is not None:
        until = datetime.now(UTC) + timedelta(seconds=min(wait, LONGEST_NAMED_WAIT.total_seconds()))
        raise RateLimited(
            f"{safe_url(url)} responded {response.status_code}: too many requests from this address.",
            f"Run it again after {until:%Y-%m-%d %H:%M:%S} UTC, not before.",
        )
    _check_status(response, url)
    return decode(response.content, safe_url(url))


def decode(content: bytes, origin: str) -> Any:
    """Return the parsed JSON. Raise BadAnswer, naming its `origin`, if it is none."""
    try:
        return json.loads(content, parse_constant=_refuse_constant)
    except ValueError:
        start = content[:60].decode("utf-8", "replace")
        raise BadAnswer(
            f"The response of {origin} is not JSON; it begins with {start!r}.",
            "Open the address in a browser, and run this again once it shows JSON.",
        ) from None


def _get(
    url: str, timeout: float, params: Mapping[str, int] | None, headers: Mapping[str, str] | None
) -> requests.Response:
    # `from None`: the library's own messages contain the whole URL.
    try:
        return requests.get(url, params=params, headers=headers, timeout=timeout)
    except requests.Timeout:
        raise SourceUnavailable(
            f"{safe_url(url)} did not respond within {timeout:g} seconds.",
            "Check the network, and the setting that holds this URL.",
        ) from None
    except ValueError:
        # What requests and the libraries below it raise for a URL that cannot be parsed or requested.
        raise BadSetting(
            f"{safe_url(url)}, or the URL that it redirects to, is not valid.",
            "Set a URL that begins with http:// or https:// in the setting that holds this URL.",
        ) from None
    except requests.RequestException as error:
        raise SourceUnavailable(
            f"The request to {safe_url(url)} failed ({type(error).__name__}).",
            "Check the network, and the setting that holds this URL.",
        ) from None


def _check_status(response: requests.Response, url: str) -> None:
    if response.status_code >= 500:
        raise SourceUnavailable(
            f"{safe_url(url)} responded {response.status_code} {response.reason}.",
            "The error is on the server's side; run it again later.",
        )
    if response.status_code != 200:
        raise BadAnswer(
            f"{safe_url(url)} responded {response.status_code} {response.reason}.",
            "Check the requested name, and the setting that holds this URL.",
        )


def _required_wait(response: requests.Response) -> float | None:
    """Return the seconds to wait because of a rate limit, or None for a response that is not about a limit.

    GitHub responds 403 or 429, with Retry-After or with the state of the limit; Docker Hub 429 with Retry-After.
    """
    exhausted = response.headers.get("X-RateLimit-Remaining") == "0"
    named = response.headers.get("Retry-After")
    limited = response.status_code == 429 or (response.status_code == 403 and (exhausted or named is not None))
    if not limited:
        return None
    reset = response.headers.get("X-RateLimit-Reset", "")
    if named is None and exhausted and reset.isdecimal():
        return max(0.0, float(reset) - time.time())
    wait = retry_after(named)
    return DEFAULT_WAIT if wait is None else wait


def _refuse_constant(constant: str) -> NoReturn:
    """Refuse NaN and Infinity, which Python's parser accepts although they are not JSON."""
    raise ValueError(constant)
