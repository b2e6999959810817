"""A single request for a published file, over HTTP or to a folder: its answer, and what can be wrong with it.

Not here: the file's way to the disk over several requests (`transfer`), and how often and after what wait one is made
again (`resources.mirror`).
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


class Interrupted(Exception):
    """An attempt came to nothing and the next one may do better."""

    def __init__(self, what: str, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        """Seconds that the server asks to wait."""
        super().__init__(what if retry_after is None else f"{what} and asks to wait {retry_after:.0f} seconds")


class Absent(Exception):
    """The mirror answers that it has no such file."""


def safe_url(url: str) -> str:
    """The URL as it may be shown: without user, password, query and fragment."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


@contextmanager
def answer(
    session: requests.Session,
    url: str,
    headers: dict[str, str],
    timeout: tuple[float, float],
    absent: Collection[int] = (404,),
) -> Iterator[requests.Response]:
    """The answer to a GET whose body is not read yet: 200, 206, 304 or 416.

    Raises Absent for a status in `absent`, Interrupted for what a later attempt may mend, else a permanent error. No
    error carries the text of an exception of requests: it may hold a signed URL that the mirror redirected to.
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
        problem = PermanentError(f"{shown} redirects without end.", "Check TAXI_SOURCE_URL.")
    except requests.Timeout:
        problem = Interrupted(f"{shown} did not answer in time")
    except ValueError:
        # requests and the libraries below it raise subclasses of this for a URL that cannot be parsed or requested.
        # Its text and its context hold the URL, so neither is passed on.
        if redirects:
            problem = PermanentError(f"{shown} redirects to an invalid URL.", "Check TAXI_SOURCE_URL.")
        else:
            problem = BadSetting(f"{shown} is not a valid URL.", "Set TAXI_SOURCE_URL to the address of a mirror.")
    except requests.RequestException as error:
        problem = Interrupted(f"{shown} cannot be reached ({type(error).__name__})")
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
    said = f"{shown} answers {status} {response.reason or ''}".rstrip()
    if status in (408, 425, 429) or status >= 500:
        return Interrupted(said, retry_after(response.headers.get("Retry-After")))
    remedies = {
        401: "A rerun does not help: the mirror wants a user and a password; see TAXI_SOURCE_URL.",
        403: "A rerun does not help: the mirror refuses access to this file; see TAXI_SOURCE_URL.",
        410: "A rerun does not help: the mirror has withdrawn this file for good.",
    }
    return PermanentError(f"{said}.", remedies.get(status, "A rerun does not help; see TAXI_SOURCE_URL."))


def retry_after(value: str | None) -> float | None:
    """Return the seconds that the header names, or None for one that cannot be parsed."""
    if value is None:
        return None
    try:
        return urllib3.Retry().parse_retry_after(value)
    except (urllib3.exceptions.InvalidHeader, ValueError, OverflowError):
        return None


def version_of(response: requests.Response) -> Version:
    """What the final answer, behind all redirects, says of the whole file."""
    headers = response.headers
    length = None
    if response.status_code == 200:
        length = re.fullmatch(r"([0-9]{1,18})", headers.get("Content-Length", ""))
    elif response.status_code == 206:
        length = re.fullmatch(r"bytes .*/([0-9]{1,18})", headers.get("Content-Range", ""))
    return Version(headers.get("ETag"), headers.get("Last-Modified"), int(length[1]) if length else None)


def version_on_disk(path: Path) -> Version:
    """What the file system says of a file, for a mirror that is a folder. Raises Absent when it is not there."""
    with readable(path):
        stat = path.stat()
    return Version(None, datetime.fromtimestamp(stat.st_mtime, UTC).isoformat(), stat.st_size)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Raises Absent, or a permanent error, where a file of a mirror that is a folder cannot be opened."""
    try:
        yield
    except FileNotFoundError:
        raise Absent(str(path)) from None
    except (PermissionError, IsADirectoryError, NotADirectoryError) as error:
        raise PermanentError(f"{path} cannot be read: {error.strerror}.", "A rerun does not help.") from None
