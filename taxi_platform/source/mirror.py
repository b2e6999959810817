"""Where the files are published: which months are there, and fetching one with patience.

Not here: single requests and answers (`download`), a file's way to the disk (`transfer`), what becomes of a Parquet
file (`parquet`), where a file is kept (`io_managers.raw_files`).
"""

import random
import threading
import time
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from logging import Logger
from pathlib import Path
from typing import BinaryIO, TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

import dagster as dg
import requests
import tenacity

from taxi_platform.errors import BadSetting, NotPublished, PermanentError, SourceUnavailable
from taxi_platform.settings import PUBLIC_MIRROR, Settings
from taxi_platform.source.csv_validation import Checked, FileCheck
from taxi_platform.source.http_client import Absent, Interrupted, answer, safe_url, version_of, version_on_disk
from taxi_platform.source.parquet import ROOM_FACTOR, ParquetArrival, write_csv
from taxi_platform.source.raw_file import RawFile, Version
from taxi_platform.source.resumable_download import Transfer
from taxi_platform.trips.columns import Colour
from taxi_platform.trips.partitions import FIRST_MONTH, TripMonth, month_partitions, month_ranges

MIRROR_ENDS = "2021-07"
"""The last month that the mirror has, whichever it is; TLC's own Parquet files follow."""
_PROBES = 8
_PROBE_TIMEOUT = (5.0, 5.0)
_PROBES_END_AFTER = 30.0
"""Seconds for all the questions of one look at what is published."""

T = TypeVar("T")


@dataclass(frozen=True)
class Fetched:
    """A month's gzipped CSV, fetched and checked."""

    checked: Checked
    version: Version
    """Of the published file, which is this one or the Parquet file that it was made from."""
    left_out: tuple[str, ...] = ()
    """Columns of the published file that this one does not have."""


class Mirror(dg.ConfigurableResource):
    """Publishes `<base_url>/<colour>/<colour>_tripdata_<YYYY-MM>.csv.gz` up to 2021-07, and after that
    `<parquet_url>/<colour>_tripdata_<YYYY-MM>.parquet`; http, https and file URLs.

    Connections cut, timeouts, 408, 425, 429 and 5xx are tried again: `attempts` in all, with waits that double from
    `first_wait` up to `longest_wait` seconds, each with a random part. `Retry-After` is obeyed up to `longest_wait`;
    a server that asks for more ends the attempts.
    """

    base_url: str | None = None
    """None: the setting TAXI_SOURCE_URL."""
    parquet_url: str | None = None
    """None: the setting TAXI_PARQUET_URL. TLC's bucket answers 403 for a file that it does not have."""
    connect_timeout: float = 10
    """Seconds until a connection stands."""
    read_timeout: float = 60
    """Seconds without a single byte after which a connection is given up."""
    attempts: int = 6
    first_wait: float = 1
    longest_wait: float = 120

    def url(self, month: TripMonth) -> str:
        """The address of a month's file as it may be shown: without the user and the password that it may hold."""
        return safe_url(self._address(month))

    @property
    def is_public(self) -> bool:
        """Whether this is the public mirror, whose files' rows have been counted."""
        return self._base() == PUBLIC_MIRROR

    def still_has(self, file: RawFile, log: Logger) -> bool:
        """Whether the mirror answers that it publishes exactly this file.

        Raises NotPublished when it does not have that month, SourceUnavailable when it does not answer.
        """
        if file.url != self.url(file.month):
            return False
        return self._patiently(file.month, lambda: self._ask(file), log)

    def download(self, month: TripMonth, part: BinaryIO, log: Logger) -> Fetched:
        """Write the month's gzipped CSV to `part`, which must be unbuffered, and check it wholly.

        Raises NotPublished, BadFile, SourceUnavailable after the last attempt, PermanentError when the disk is full.
        """
        if not _is_parquet(month):
            transfer = Transfer(month.gz_name, part, lambda: FileCheck(month), log)
            return Fetched(self._fetch(month, transfer, log), transfer.version)
        parquet = Path(part.name).with_suffix(".parquet.part")
        try:
            with parquet.open("xb", buffering=0) as file:
                transfer = Transfer(
                    month.parquet_name,
                    file,
                    lambda: ParquetArrival(month),
                    log,
                    room_factor=ROOM_FACTOR,
                    absent=_absent(month),
                )
                self._fetch(month, transfer, log)
            log.info("%s: writing it as %s", month.parquet_name, month.gz_name)
            written = write_csv(parquet, month, part)
        finally:
            parquet.unlink(missing_ok=True)
        return Fetched(written.checked, transfer.version, written.left_out)

    def published(self, colour: Colour) -> list[str]:
        """The months, `YYYY-MM`, that the mirror itself has of a colour, as far as it answers."""
        months = [TripMonth(colour, key) for key in month_partitions.get_partition_keys() if key <= MIRROR_ENDS]
        return [month.month for month, found in self.look_for(months).items() if found]

    def look_for(self, months: Iterable[TripMonth]) -> dict[TripMonth, bool | None]:
        """Whether each of these months is published; None where the source does not say.

        Neither source can be listed: they are asked for the months one by one, a few at once, without patience, and
        no more once one does not answer. The public mirror's months are known.
        """
        wanted = list(months)
        silent = {_is_parquet(month): threading.Event() for month in wanted}
        ends = time.monotonic() + _PROBES_END_AFTER
        with self._session() as session, ThreadPoolExecutor(_PROBES) as pool:

            def look(month: TripMonth) -> bool | None:
                if silent[_is_parquet(month)].is_set() or time.monotonic() > ends:
                    return None
                try:
                    return self._has(month, session)
                except Interrupted:
                    silent[_is_parquet(month)].set()
                    return None
                except BadSetting:
                    raise
                except PermanentError:
                    # Refused, as with a wrong password: that does not say that the month is not there.
                    return None

            return dict(zip(wanted, pool.map(look, wanted), strict=True))

    def _has(self, month: TripMonth, session: requests.Session) -> bool:
        """Whether the month is published. Raises Interrupted or PermanentError when the source does not say."""
        if self.is_public and not _is_parquet(month):
            return month.month >= FIRST_MONTH
        if self._folder(month) is not None:
            return self._file(month).is_file()
        try:
            first_byte = {"Range": "bytes=0-0"}
            with answer(session, self._address(month), first_byte, _PROBE_TIMEOUT, _absent(month)):
                return True
        except Absent:
            return False

    def _fetch(self, month: TripMonth, transfer: Transfer[T], log: Logger) -> T:
        folder = self._folder(month)
        with self._session() as session:

            def attempt() -> T:
                if folder is not None:
                    return transfer.copy(self._file(month))
                return transfer.attempt(session, self._address(month), (self.connect_timeout, self.read_timeout))

            return self._patiently(month, attempt, log)

    def _base(self) -> str:
        return _checked_base(self.base_url or Settings().source_url, "TAXI_SOURCE_URL")

    def _parquet_base(self) -> str:
        return _checked_base(self.parquet_url or Settings().parquet_url, "TAXI_PARQUET_URL")

    def _address(self, month: TripMonth) -> str:
        if _is_parquet(month):
            return f"{self._parquet_base()}/{month.parquet_name}"
        return f"{self._base()}/{month.colour.name}/{month.gz_name}"

    def _folder(self, month: TripMonth) -> Path | None:
        """The folder that the month's file lies in, None where it is on the web."""
        path = self._file(month) if urlsplit(self._address(month)).scheme == "file" else None
        return path and path.parent

    def _file(self, month: TripMonth) -> Path:
        return Path(url2pathname(urlsplit(self._address(month)).path))

    def _session(self) -> requests.Session:
        session = requests.Session()
        session.headers.update({"Accept-Encoding": "identity", "User-Agent": "taxi-platform"})
        return session

    def _ask(self, file: RawFile) -> bool:
        if self._folder(file.month) is not None:
            return version_on_disk(self._file(file.month)).is_still(file.version)
        # A conditional GET whose body is not read: some servers refuse HEAD, or signed addresses do not allow it.
        headers = {"If-None-Match": file.etag, "If-Modified-Since": None if file.etag else file.last_modified}
        given = {name: value for name, value in headers.items() if value}
        timeout = (self.connect_timeout, self.read_timeout)
        asked = (self._address(file.month), given, timeout, _absent(file.month))
        with self._session() as session, answer(session, *asked) as response:
            return response.status_code == 304 or version_of(response).is_still(file.version)

    def _not_published(self, month: TripMonth) -> NotPublished:
        if _is_parquet(month):
            return NotPublished(
                f"TLC has no {self.url(month)}.",
                "A rerun does not help until it is published, about two months after the month's end. Choose another "
                "month, or another TAXI_PARQUET_URL.",
            )
        has = month_ranges(self.published(month.colour))
        where = (
            f"It has these {month.colour.name} months: {has}." if has else f"No {month.colour.name} month was found."
        )
        return NotPublished(
            f"The mirror has no {self.url(month)}.",
            f"A rerun does not help until it is published. {where} Choose another month, or another TAXI_SOURCE_URL.",
        )

    def _patiently(self, month: TripMonth, attempt: Callable[[], T], log: Logger) -> T:
        """What `attempt` returns, after as many attempts as it takes and is allowed."""

        def warn(state: tenacity.RetryCallState) -> None:
            log.warning("%s; attempt %d of %d", _interruption(state), state.attempt_number, self.attempts)

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Interrupted),
            stop=self._is_over,
            wait=self._wait,
            before_sleep=warn,
            reraise=True,
        )
        try:
            return retrying(attempt)
        except Absent:
            problem = None
        except Interrupted as error:
            problem = SourceUnavailable(
                f"{month.gz_name} was not fetched: {error}.",
                f"A rerun may help: up to {self.attempts} attempts were made, and what stood on disk still does.",
            )
        raise problem or self._not_published(month)

    def _wait(self, state: tenacity.RetryCallState) -> float:
        asked = _interruption(state).retry_after
        doubling = tenacity.wait_exponential(self.first_wait, self.longest_wait)
        return (doubling(state) if asked is None else asked) + random.uniform(0, self.first_wait)

    def _is_over(self, state: tenacity.RetryCallState) -> bool:
        """Whether to give up: also when the server asks for a longer wait than a run should take."""
        return state.attempt_number >= self.attempts or (_interruption(state).retry_after or 0) > self.longest_wait


def _is_parquet(month: TripMonth) -> bool:
    return month.month > MIRROR_ENDS


def _absent(month: TripMonth) -> Collection[int]:
    """The statuses that say that a month is not there."""
    return (403, 404) if _is_parquet(month) else (404,)


def _checked_base(url: str, setting: str) -> str:
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        scheme = ""
    if scheme not in ("http", "https", "file"):
        # The value may hold a password, so the error does not show it.
        raise BadSetting(
            f"{setting} is not an http, https or file URL.",
            "Set it to such a URL; a folder is written as file:///path/to/folder.",
        ) from None
    return url.rstrip("/")


def _interruption(state: tenacity.RetryCallState) -> Interrupted:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, Interrupted)
    return error
