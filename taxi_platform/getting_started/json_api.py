"""One GET of a public JSON API: the answer, or an error that says what is wrong with it.

Not here: what an answer means; each API's own resource knows that. Messages show a URL without user, password and
query, where people put tokens.
"""

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn

import requests

from taxi_platform.errors import BadAnswer, BadSetting, RateLimited, SourceUnavailable
from taxi_platform.source.http_client import safe_url

PATIENCE = 60.0
"""Seconds that a run waits because an API's rate limit asks for it."""

UNNAMED_PAUSE = 60.0
"""Seconds to stay away when an API names no time: what GitHub's documentation asks for."""


def get_json(
    url: str, *, timeout: float, params: Mapping[str, int] | None = None, headers: Mapping[str, str] | None = None
) -> Any:
    """The JSON that `url` answers; `timeout` in seconds, for the connection and for each silence after it.

    Raises SourceUnavailable (no answer, 5xx), RateLimited, BadAnswer (other statuses, not JSON) or BadSetting (no URL).
    """
    response = _get(url, timeout, params, headers)
    pause = _pause_asked_for(response)
    if pause is not None and pause <= PATIENCE:
        time.sleep(pause)
        response = _get(url, timeout, params, headers)
        pause = _pause_asked_for(response)
    if pause is not None:
        until = datetime.now(UTC) + timedelta(seconds=pause)
        raise RateLimited(
            f"{safe_url(url)} answered {response.status_code}: too many requests from this address.",
            f"A rerun helps after {until:%Y-%m-%d %H:%M:%S} UTC, not before.",
        )
    _check_status(response, url)
    return decode(response.content, safe_url(url))


def decode(content: bytes, where: str) -> Any:
    """`content` as JSON. Raises BadAnswer, with `where` it came from in the message."""
    try:
        return json.loads(content, parse_constant=_not_a_number)
    except ValueError:
        start = content[:60].decode("utf-8", "replace")
        raise BadAnswer(
            f"{where} answered something that is not JSON; it begins {start!r}.",
            "A rerun helps once the API is itself again: open the address in a browser to see what it says.",
        ) from None


def _get(
    url: str, timeout: float, params: Mapping[str, int] | None, headers: Mapping[str, str] | None
) -> requests.Response:
    # `from None`: the library's own messages carry the whole URL.
    try:
        return requests.get(url, params=params, headers=headers, timeout=timeout)
    except (requests.exceptions.MissingSchema, requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL):
        raise BadSetting(
            f"{safe_url(url)} is not an address that can be asked.",
            "A rerun does not help: correct the setting; it begins with http:// or https://.",
        ) from None
    except requests.Timeout:
        raise SourceUnavailable(
            f"{safe_url(url)} gave no answer within {timeout:g} seconds.",
            "A rerun may help; if it never does, check the network and the setting that holds this address.",
        ) from None
    except requests.RequestException as error:
        raise SourceUnavailable(
            f"{safe_url(url)} cannot be reached, or broke off ({type(error).__name__}).",
            "A rerun may help; if it never does, check the network and the setting that holds this address.",
        ) from None


def _check_status(response: requests.Response, url: str) -> None:
    if response.status_code >= 500:
        raise SourceUnavailable(
            f"{safe_url(url)} answered {response.status_code} {response.reason}.",
            "A rerun may help: the fault is on the other side.",
        )
    if response.status_code != 200:
        raise BadAnswer(
            f"{safe_url(url)} answered {response.status_code} {response.reason}.",
            "A rerun does not help: check the name that was asked for, and the setting that holds this address.",
        )


def _pause_asked_for(response: requests.Response) -> float | None:
    """Seconds that a rate limit asks to stay away, None when the answer is not about a limit.

    GitHub answers 403 or 429, with Retry-After or with the limit's state; Docker Hub answers 429 with Retry-After.
    """
    exhausted = response.headers.get("X-RateLimit-Remaining") == "0"
    after = response.headers.get("Retry-After")
    limited = response.status_code == 429 or (response.status_code == 403 and (exhausted or after is not None))
    if not limited:
        return None
    if after is not None:
        return _seconds_until(after)
    if exhausted and response.headers.get("X-RateLimit-Reset", "").isdecimal():
        return max(0.0, float(response.headers["X-RateLimit-Reset"]) - time.time())
    return UNNAMED_PAUSE


def _seconds_until(retry_after: str) -> float:
    """Retry-After is a number of seconds or a date."""
    if retry_after.isdecimal():
        return float(retry_after)
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return UNNAMED_PAUSE


def _not_a_number(constant: str) -> NoReturn:
    """Python's parser takes NaN and Infinity, which are not JSON."""
    raise ValueError(constant)
