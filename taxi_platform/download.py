"""One file on its way over HTTP or from a folder: requests, answers, resuming, and the check of what arrives.

Not here: how often and after what wait it is tried again (`resources.mirror`), where the file is kept
(`io_managers.raw_files`), what a good file is (`file_check`).
"""

import email.utils
import errno
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from logging import Logger
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import requests
import urllib3

from taxi_platform.errors import BadFile, BadSetting, PermanentError
from taxi_platform.file_check import Checked, FileCheck
from taxi_platform.partitions import TripMonth
from taxi_platform.source import Version

CHUNK = 1 << 18
"""Bytes read at once from the network or the disk."""
_LOG_EVERY = 5.0
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


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
    session: requests.Session, url: str, headers: dict[str, str], timeout: tuple[float, float]
) -> Iterator[requests.Response]:
    """The answer to a GET whose body is not read yet: 200, 206, 304 or 416.

    Raises Absent for 404, Interrupted for what a later attempt may mend, else a permanent error. No error carries
    the text of an exception of requests: it may hold a signed URL that the mirror redirected to.
    """
    shown = safe_url(url)
    problem: Exception | None = None
    response: requests.Response | None = None
    try:
        response = session.get(url, headers=headers, timeout=timeout, stream=True)
        problem = _problem(response, shown)
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema):
        problem = BadSetting(f"{shown} is not a URL that can be asked.", "Set TAXI_SOURCE_URL and run it again.")
    except requests.exceptions.TooManyRedirects:
        problem = PermanentError(f"{shown} redirects without end.", "A rerun does not help; see TAXI_SOURCE_URL.")
    except requests.Timeout:
        problem = Interrupted(f"{shown} did not answer in time")
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
    if status == 404:
        return Absent(shown)
    said = f"{shown} answers {status} {response.reason or ''}".rstrip()
    if status in (408, 425, 429) or status >= 500:
        return Interrupted(said, _retry_after(response.headers.get("Retry-After")))
    remedies = {
        401: "A rerun does not help: the mirror wants a user and a password; see TAXI_SOURCE_URL.",
        403: "A rerun does not help: the mirror refuses access to this file; see TAXI_SOURCE_URL.",
        410: "A rerun does not help: the mirror has withdrawn this file for good.",
    }
    return PermanentError(f"{said}.", remedies.get(status, "A rerun does not help; see TAXI_SOURCE_URL."))


def _retry_after(value: str | None) -> float | None:
    """Seconds, from either form of the header."""
    if not value:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        until = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())


def version_of(response: requests.Response) -> Version:
    """What the final answer, behind all redirects, says of the whole file."""
    length = response.headers.get("Content-Length")
    size = int(length) if length and length.isdigit() and response.status_code == 200 else None
    whole = re.fullmatch(r"bytes .*/(\d+)", response.headers.get("Content-Range", ""))
    if whole and response.status_code == 206:
        size = int(whole[1])
    return Version(response.headers.get("ETag"), response.headers.get("Last-Modified"), size)


def version_on_disk(path: Path) -> Version:
    """What the file system says of a file, for a mirror that is a folder. Raises Absent when it is not there."""
    with _readable(path):
        stat = path.stat()
    return Version(None, datetime.fromtimestamp(stat.st_mtime, UTC).isoformat(), stat.st_size)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise Absent(str(path)) from None
    except (PermissionError, IsADirectoryError, NotADirectoryError) as error:
        raise PermanentError(f"{path} cannot be read: {error.strerror}.", "A rerun does not help.") from None


class Transfer:
    """What has arrived of one file, in the part file and in the check's state, over several attempts."""

    def __init__(self, month: TripMonth, part: BinaryIO, log: Logger) -> None:
        self.version = Version()
        self._month = month
        self._part = part
        self._log = log
        self._check = FileCheck(month)
        self._may_resume = True
        self._resumed = False
        self._progress = _Progress(month.gz_name, log)

    def attempt(self, session: requests.Session, url: str, timeout: tuple[float, float]) -> Checked:
        """Fetch what is missing. Raises Interrupted when the connection breaks off; what has arrived is kept."""
        with answer(session, url, self._resume_headers(), timeout) as response:
            if not self._goes_on(response):
                self._start_over(version_of(response))
            try:
                self._receive(response, safe_url(url))
                return self._finish(safe_url(url))
            except BadFile as error:
                if not self._resumed:
                    raise
                # Joined parts of what may be two versions prove nothing against the mirror's file.
                self._forbid_resuming()
                raise Interrupted(f"the resumed download is not sound: {error.what}") from None

    def copy(self, source: Path) -> Checked:
        """Take the file from a folder."""
        self._start_over(version_on_disk(source))
        with _readable(source), source.open("rb", buffering=0) as file:
            while data := file.read(CHUNK):
                self._take(data)
        if version_on_disk(source) != self.version:
            raise Interrupted(f"{source} changed while it was read")
        return self._check.finish()

    def _resume_headers(self) -> dict[str, str]:
        """Headers that ask for the rest, if the version that it belongs to can be named to the server."""
        etag = self.version.etag
        named = etag if etag and not etag.startswith("W/") else self.version.last_modified
        if not (self._check.size and self.version.size and self._may_resume and named):
            return {}
        return {"Range": f"bytes={self._check.size}-", "If-Range": named}

    def _goes_on(self, response: requests.Response) -> bool:
        """Whether the body is the rest of what has arrived; False when it is the whole file.

        Raises Interrupted when it is neither, and then asks no more for a part.
        """
        if response.status_code == 200:
            return False
        size = self.version.size or 0
        wanted = f"bytes {self._check.size}-{size - 1}/{size}"
        is_rest = response.status_code == 206 and response.headers.get("Content-Range") == wanted
        if not (is_rest and version_of(response).is_still(self.version)):
            self._forbid_resuming()
            raise Interrupted(f"the server's answer to a request for the rest does not fit ({response.status_code})")
        self._resumed = True
        self._log.info("%s: resuming at %s bytes", self._month.gz_name, f"{self._check.size:,}")
        return True

    def _forbid_resuming(self) -> None:
        self._may_resume = False

    def _start_over(self, version: Version) -> None:
        self.version = version
        self._resumed = False
        self._check = FileCheck(self._month)
        self._part.seek(0)
        self._part.truncate()

    def _receive(self, response: requests.Response, shown: str) -> None:
        problem = None
        try:
            # As they are: a server may label the file itself as Content-Encoding: gzip. As soon as they come: what has
            # arrived before a stall is kept.
            while data := response.raw.read1(CHUNK, decode_content=False):
                self._take(data)
        except urllib3.exceptions.ReadTimeoutError:
            problem = "stalled"
        except urllib3.exceptions.HTTPError:
            problem = "broke off"
        if problem:
            raise Interrupted(f"{shown} {problem} after {self._check.size:,} bytes")

    def _finish(self, shown: str) -> Checked:
        size = self.version.size
        if size is not None and self._check.size != size:
            raise Interrupted(f"{shown} sent {self._check.size:,} bytes and had declared {size:,}")
        if size is None and not self._check.is_complete:
            # Without a declared length the end of the connection is no sign that all of the file has come.
            raise Interrupted(f"{shown} broke off after {self._check.size:,} bytes, it had declared no length")
        return self._check.finish()

    def _take(self, data: bytes) -> None:
        left = memoryview(data)
        try:
            while left:  # a disk that fills up takes a part of it first
                left = left[self._part.write(left) :]
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            raise no_room(Path(self._part.name).parent) from None
        self._check.feed(data)
        self._progress.show(self._check.size, self.version.size)


def no_room(folder: Path) -> PermanentError:
    """The error for a disk that takes no more."""
    return PermanentError(
        f"There is no room left for a download in {folder}.",
        "A rerun helps once there is: free some space, or set TAXI_HOME to a folder on another disk.",
    )


class _Progress:
    """Logs every few seconds how far a download has come."""

    def __init__(self, name: str, log: Logger) -> None:
        self._name = name
        self._log = log
        self._began = self._shown = time.monotonic()

    def show(self, done: int, total: int | None) -> None:
        now = time.monotonic()
        if now - self._shown < _LOG_EVERY:
            return
        self._shown = now
        of_total = f" of {total / 1e6:.1f} MB ({done / total:.0%})" if total else " MB"
        self._log.info("%s: %.1f%s, %.1f MB/s", self._name, done / 1e6, of_total, done / 1e6 / (now - self._began))
