"""A published file on its way to the disk, over as many requests as it takes: resuming, free space, progress.

Not here: single requests and answers (`download`), where the file is kept (`io_managers.raw_files`), what a good file
is (`file_check`, `parquet`).
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
from taxi_platform.source.http_client import Interrupted, answer, readable, safe_url, version_of, version_on_disk
from taxi_platform.source.raw_file import Version

CHUNK = 1 << 16
"""Bytes read at once from the network or the disk."""
SLOWEST = 1000
"""Bytes a second. A server that sends fewer for as long as the read timeout has stalled, though it never is silent."""
_LOG_EVERY = 5.0
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_SPARE = 16 << 20
"""Bytes that a download leaves free on its disk: for the file's record, and for whoever else writes there."""

Found_co = TypeVar("Found_co", covariant=True)


class Check(Protocol[Found_co]):
    """Looks at a file as it arrives, and raises BadFile as soon as something is wrong with it."""

    size: int
    """Bytes that have come."""

    @property
    def is_complete(self) -> bool:
        """Whether what has come may be all of the file."""
        ...

    def feed(self, data: bytes) -> None: ...

    def finish(self) -> Found_co:
        """What was found in the whole file."""
        ...


class Transfer(Generic[Found_co]):
    """What has arrived of one file, in the part file and in the check's state, over several attempts."""

    def __init__(
        self,
        name: str,
        part: BinaryIO,
        new_check: Callable[[], Check[Found_co]],
        log: Logger,
        *,
        room_factor: float = 1,
        absent: Collection[int] = (404,),
    ) -> None:
        """`part` must be unbuffered. `room_factor`: bytes that the disk must have free for each byte of the file.

        `absent`: the statuses that say that there is no such file.
        """
        self.version = Version()
        self._name = name
        self._part = part
        self._new_check = new_check
        self._log = log
        self._room_factor = room_factor
        self._absent = absent
        self._check = new_check()
        self._may_resume = True
        self._resumed = False
        self._progress = _Progress(name, log)

    def attempt(self, session: requests.Session, url: str, timeout: tuple[float, float]) -> Found_co:
        """Fetch what is missing. Raises Interrupted when the connection breaks off; what has arrived is kept."""
        with answer(session, url, self._resume_headers(), timeout, self._absent) as response:
            if not self._goes_on(response):
                self._start_over(version_of(response))
            try:
                self._receive(response, safe_url(url), timeout[1])
                return self._finish(safe_url(url))
            except BadFile as error:
                if not self._resumed:
                    raise
                # Joined parts of what may be two versions prove nothing against the mirror's file.
                self._forbid_resuming()
                raise Interrupted(f"the resumed download is not sound: {error.what}") from None

    def copy(self, source: Path) -> Found_co:
        """Take the file from a folder."""
        self._start_over(version_on_disk(source))
        with readable(source), source.open("rb", buffering=0) as file:
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
        self._log.info("%s: resuming at %s bytes", self._name, f"{self._check.size:,}")
        return True

    def _forbid_resuming(self) -> None:
        self._may_resume = False

    def _start_over(self, version: Version) -> None:
        self.version = version
        self._resumed = False
        self._check = self._new_check()
        self._part.seek(0)
        self._part.truncate()
        demand_room(Path(self._part.name).parent, int((version.size or 0) * self._room_factor))

    def _receive(self, response: requests.Response, shown: str, patience: float) -> None:
        problem = None
        since, before = time.monotonic(), self._check.size
        try:
            # As they are: a server may label the file itself as Content-Encoding: gzip. As soon as they come: what has
            # arrived before a stall is kept.
            while data := response.raw.read1(CHUNK, decode_content=False):
                self._take(data)
                if time.monotonic() - since > patience:
                    if self._check.size - before < SLOWEST * patience:
                        problem = "all but stalled"
                        break
                    since, before = time.monotonic(), self._check.size
        except urllib3.exceptions.ReadTimeoutError:
            problem = "stalled"
        except urllib3.exceptions.HTTPError:
            problem = "broke off"
        if problem:
            raise Interrupted(f"{shown} {problem} after {self._check.size:,} bytes")

    def _finish(self, shown: str) -> Found_co:
        size = self.version.size
        if size is not None and self._check.size != size:
            raise Interrupted(f"{shown} sent {self._check.size:,} bytes and had declared {size:,}")
        if size is None and not self._check.is_complete:
            # Without a declared length the end of the connection is no sign that all of the file has come.
            raise Interrupted(f"{shown} broke off after {self._check.size:,} bytes, it had declared no length")
        return self._check.finish()

    def _take(self, data: bytes) -> None:
        write_all(self._part, data)
        self._check.feed(data)
        self._progress.show(self._check.size, self.version.size)


def write_all(part: BinaryIO, data: bytes) -> None:
    """Write to an unbuffered file. Raises PermanentError when the disk is full."""
    left = memoryview(data)
    try:
        while left:  # a disk that fills up takes a part of it first
            left = left[part.write(left) :]
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise no_room(Path(part.name).parent) from None


def demand_room(folder: Path, size: int) -> None:
    """Raise an error before anything is written when the folder's disk has no room for `size` bytes."""
    free = shutil.disk_usage(folder).free
    if free < size + _SPARE:
        raise no_room(folder, f" {free / 1e6:,.0f} MB are free, and {(size + _SPARE) / 1e6:,.0f} MB are needed.")


def no_room(folder: Path, detail: str = "") -> PermanentError:
    """The error for a disk that takes no more."""
    return PermanentError(
        f"There is no room left for a download in {folder}.{detail}",
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
