"""One request for a published file, over HTTP or from a folder, and the translation of its failures.

`resumable_download` combines several requests into a file; `mirror` retries them.
"""

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import requests
import urllib3

from taxi_platform.errors import BadSetting, PermanentError
from taxi_platform.source.raw_file import Version

_REMEDY = "Check TAXI_SOURCE_URL and TAXI_PARQUET_URL."
_REMEDIES = {
    401: "The mirror requires a user and a password: set them in TAXI_SOURCE_URL.",
    403: "The mirror denies access to this file: check TAXI_SOURCE_URL.",
    410: "The mirror has withdrawn this file.",
}


class AttemptFailed(Exception):
    """One attempt failed, and a later one may succeed."""

    def __init__(self, what: str, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        """Seconds to wait, as the server's Retry-After says."""
        super().__init__(what if retry_after is None else f"{what}, with Retry-After: {retry_after:.0f} seconds")


class Absent(Exception):
    """The mirror does not have the file."""


def safe_url(url: str) -> str:
    """Return the URL without what may be secret: user, password, query and fragment."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


@contextmanager
def open_response(
    session: requests.Session,
    url: str,
    headers: dict[str, str],
    timeout: tuple[float, float],
    absent: Collection[int] = (404,),
) -> Iterator[requests.Response]:
    """Yield the response to a GET with status 200, 206, 304 or 416, its body unread.

    Raise Absent for a status in `absent`, AttemptFailed for a failure that may be temporary, else a permanent error.
    Errors do not contain the text of an exception of requests, which may contain a signed URL behind a redirect.
    """
    shown = safe_url(url)
    problem: Exception | None = None
    response: requests.Response | None = None
    redirects: list[int] = []
    hooks = {"response": lambda received, **_: redirects.append(received.status_code)}
    try:
        response = session.get(url, headers=headers, timeout=timeout, stream=True, hooks=hooks)
        problem = Absent(shown) if response.status_code in absent else _problem(response, shown)
    except requests.exceptions.TooManyRedirects:
        problem = PermanentError(f"{shown} redirects without end.", _REMEDY)
    except requests.Timeout:
        problem = AttemptFailed(f"{shown} did not respond in time")
    except ValueError:
        # requests and the libraries below it raise subclasses of this for a URL that they cannot parse or request.
        # The text and the context of the exception contain the URL, so neither is passed on.
        if redirects:
            problem = PermanentError(f"{shown} redirects to an invalid URL.", _REMEDY)
        else:
            problem = BadSetting(f"{shown} is not a valid URL.", _REMEDY)
    except requests.RequestException as error:
        problem = AttemptFailed(f"the request to {shown} failed ({type(error).__name__})")
    try:
        if problem is not None:
            raise problem
        assert response is not None
        yield response
    finally:
        if response is not None:
            response.close()


def _problem(response: requests.Response, shown: str) -> Exception | None:
    status = response.status_code
    if status in (200, 206, 304, 416):
        return None
    what = f"{shown} responded {status} {response.reason or ''}".rstrip()
    if status in (408, 425, 429) or status >= 500:
        return AttemptFailed(what, retry_after(response.headers.get("Retry-After")))
    return PermanentError(f"{what}.", _REMEDIES.get(status, _REMEDY))


def retry_after(value: str | None) -> float | None:
    """Return the seconds that the header names, or None for one that cannot be parsed."""
    if value is None:
        return None
    try:
        return urllib3.Retry().parse_retry_after(value)
    except (urllib3.exceptions.InvalidHeader, ValueError, OverflowError):
        return None


def version_of(response: requests.Response) -> Version:
    """Return the version of the whole file that the final response, after all redirects, declares."""
    headers = response.headers
    length = None
    if response.status_code == 200:
        length = re.fullmatch(r"([0-9]{1,18})", headers.get("Content-Length", ""))
    elif response.status_code == 206:
        length = re.fullmatch(r"bytes .*/([0-9]{1,18})", headers.get("Content-Range", ""))
    return Version(headers.get("ETag"), headers.get("Last-Modified"), int(length[1]) if length else None)


def version_on_disk(path: Path) -> Version:
    """Return the version of a file in a folder. Raise Absent if it does not exist."""
    with translate_os_errors(path):
        stat = path.stat()
    return Version(None, datetime.fromtimestamp(stat.st_mtime, UTC).isoformat(), stat.st_size)


@contextmanager
def translate_os_errors(path: Path) -> Iterator[None]:
    """Raise Absent for a file that does not exist and a permanent error for one that cannot be opened."""
    try:
        yield
    except FileNotFoundError:
        raise Absent(str(path)) from None
    except (PermissionError, IsADirectoryError, NotADirectoryError) as error:
        raise PermanentError(f"{path} cannot be read: {error.strerror}.", "Make it readable.") from None
