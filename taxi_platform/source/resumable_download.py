"""The download of one file over as many requests as it takes: resuming, free disk space, progress.

No library was found that resumes the download of a named version. `http_client` makes the single requests.
"""

import errno
import shutil
import time
from collections.abc import Callable, Collection
from logging import Logger
from pathlib import Path
from typing import BinaryIO, Generic, Protocol, TypeVar

import requests
import urllib3

from taxi_platform.errors import BadFile, PermanentError
from taxi_platform.source.http_client import (
    AttemptFailed,
    open_response,
    safe_url,
    translate_os_errors,
    version_of,
    version_on_disk,
)
from taxi_platform.source.raw_file import Version

CHUNK = 1 << 16
"""Bytes read at once from the network or the disk."""
SLOWEST = 1000
"""Bytes per second. A server that sends fewer during the read timeout counts as one that sends none."""
_LOG_EVERY = 5.0
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_SPARE = 16 << 20
"""Bytes that a download leaves free on its disk, for the file's record and for other writers."""

Facts_co = TypeVar("Facts_co", covariant=True)


class Validator(Protocol[Facts_co]):
    """Incremental validation of a file."""

    size: int
    """Bytes received."""

    @property
    def is_complete(self) -> bool:
        """Whether the file may end here."""
        ...

    def feed(self, data: bytes) -> None:
        """Validate the next bytes. Raise BadFile at the first fault."""
        ...

    def finish(self) -> Facts_co:
        """Return the facts about the whole file. Raise BadFile if it is truncated."""
        ...


class ResumableDownload(Generic[Facts_co]):
    """One file's download over several attempts: the bytes in the part file, and the validator that has seen them."""

    def __init__(
        self,
        name: str,
        part: BinaryIO,
        new_validator: Callable[[], Validator[Facts_co]],
        log: Logger,
        *,
        disk_factor: float = 1,
        absent: Collection[int] = (404,),
    ) -> None:
        """`part` must be unbuffered. `disk_factor` is the number of free bytes required for each byte of the file.

        `absent` are the statuses that mean that the file does not exist.
        """
        self.version = Version()
        self._name = name
        self._part = part
        self._new_validator = new_validator
        self._log = log
        self._disk_factor = disk_factor
        self._absent = absent
        self._validator = new_validator()
        self._may_resume = True
        self._resumed = False
        self._progress = _Progress(name, log)

    def attempt(self, session: requests.Session, url: str, timeout: tuple[float, float]) -> Facts_co:
        """Download what is missing. Raise AttemptFailed if the connection is lost, and keep what was received."""
        with open_response(session, url, self._resume_headers(), timeout, self._absent) as response:
            if not self._is_rest(response):
                self._start_over(version_of(response))
            try:
                self._receive(response, safe_url(url), timeout[1])
                return self._finish(safe_url(url))
            except BadFile as error:
                if not self._resumed:
                    raise
                # The parts may be of two versions, so the fault may not be in the mirror's file.
                self._may_resume = False
                raise AttemptFailed(f"the resumed download is invalid: {error.what}") from None

    def copy(self, source: Path) -> Facts_co:
        """Copy the file from a folder."""
        self._start_over(version_on_disk(source))
        with translate_os_errors(source), source.open("rb", buffering=0) as file:
            while data := file.read(CHUNK):
                self._take(data)
        if version_on_disk(source) != self.version:
            raise AttemptFailed(f"{source} changed while it was read")
        return self._validator.finish()

    def _resume_headers(self) -> dict[str, str]:
        """Return the headers that request the rest, or none if its version cannot be named to the server."""
        etag = self.version.etag
        named = etag if etag and not etag.startswith("W/") else self.version.last_modified
        if not (self._validator.size and self.version.size and self._may_resume and named):
            return {}
        return {"Range": f"bytes={self._validator.size}-", "If-Range": named}

    def _is_rest(self, response: requests.Response) -> bool:
        """Return whether the body is the rest of the file, False if it is the whole file.

        Raise AttemptFailed if it is neither; the next attempt then requests the whole file.
        """
        if response.status_code == 200:
            return False
        size = self.version.size or 0
        wanted = f"bytes {self._validator.size}-{size - 1}/{size}"
        is_rest = response.status_code == 206 and response.headers.get("Content-Range") == wanted
        if not (is_rest and version_of(response).is_still(self.version)):
            self._may_resume = False
            raise AttemptFailed(f"the response to the request for the rest does not match ({response.status_code})")
        self._resumed = True
        self._log.info("%s: resuming at %s bytes", self._name, f"{self._validator.size:,}")
        return True

    def _start_over(self, version: Version) -> None:
        self.version = version
        self._resumed = False
        self._validator = self._new_validator()
        self._part.seek(0)
        self._part.truncate()
        require_free_space(Path(self._part.name).parent, int((version.size or 0) * self._disk_factor))

    def _receive(self, response: requests.Response, shown: str, read_timeout: float) -> None:
        problem = None
        since, before = time.monotonic(), self._validator.size
        try:
            # Undecoded, because a server may label the file itself as Content-Encoding: gzip. read1 returns what has
            # arrived, so that it is kept when the server sends nothing more.
            while data := response.raw.read1(CHUNK, decode_content=False):
                self._take(data)
                if time.monotonic() - since > read_timeout:
                    if self._validator.size - before < SLOWEST * read_timeout:
                        problem = "the transfer was too slow"
                        break
                    since, before = time.monotonic(), self._validator.size
        except urllib3.exceptions.ReadTimeoutError:
            problem = "the connection timed out"
        except urllib3.exceptions.HTTPError:
            problem = "the connection was lost"
        if problem:
            raise AttemptFailed(f"{shown}: {problem} after {self._validator.size:,} bytes")

    def _finish(self, shown: str) -> Facts_co:
        size, received = self.version.size, self._validator.size
        if size is not None and received != size:
            raise AttemptFailed(f"{shown}: {received:,} bytes were received, {size:,} were declared")
        if size is None and not self._validator.is_complete:
            # Without a declared length the end of the connection does not mean that the file is complete.
            raise AttemptFailed(f"{shown}: the connection was lost after {received:,} bytes, no length was declared")
        return self._validator.finish()

    def _take(self, data: bytes) -> None:
        write_all(self._part, data)
        self._validator.feed(data)
        self._progress.show(self._validator.size, self.version.size)


def write_all(part: BinaryIO, data: bytes) -> None:
    """Write to an unbuffered file. Raise PermanentError if the disk is full."""
    left = memoryview(data)
    try:
        while left:  # a disk that is almost full accepts part of it first
            left = left[part.write(left) :]
    except OSError as error:
        if error.errno not in _DISK_FULL:
            raise
        raise _disk_full(Path(part.name).parent) from None


def require_free_space(folder: Path, size: int) -> None:
    """Raise PermanentError if the folder's disk has less than `size` bytes free."""
    free = shutil.disk_usage(folder).free
    if free < size + _SPARE:
        raise _disk_full(folder, f" {free / 1e6:,.0f} MB are free, {(size + _SPARE) / 1e6:,.0f} MB are required.")


def _disk_full(folder: Path, detail: str = "") -> PermanentError:
    return PermanentError(
        f"There is not enough free disk space in {folder}.{detail}",
        "Free some space, or set TAXI_HOME to a folder on another disk.",
    )


class _Progress:
    """Log of a download's progress, one message every few seconds."""

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
