"""`Mirror`: where the files are published. It finds out which months are published, and downloads one with retries.

A month comes from the mirror of gzipped CSVs or, after its last month, from TLC's own Parquet files. Neither can be
listed, so months are looked up one by one.
"""

import random
import threading
import time
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from logging import Logger
from pathlib import Path
from typing import BinaryIO, TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

import dagster as dg
import requests
import tenacity
from pydantic import Field

from taxi_platform.errors import BadSetting, NotPublished, PermanentError, SourceUnavailable
from taxi_platform.settings import PUBLIC_MIRROR, Settings
from taxi_platform.source.csv_validation import CsvValidator, ValidCsv
from taxi_platform.source.http_client import (
    Absent,
    AttemptFailed,
    open_response,
    safe_url,
    version_of,
    version_on_disk,
)
from taxi_platform.source.parquet import DISK_FACTOR, ParquetValidator, write_csv
from taxi_platform.source.raw_file import RawFile, Version
from taxi_platform.source.resumable_download import ResumableDownload
from taxi_platform.trips.columns import Colour
from taxi_platform.trips.partitions import FIRST_MONTH, TripMonth, month_partitions, month_ranges

MIRROR_ENDS = "2021-07"
"""Last month of the mirror of gzipped CSVs; later months are TLC's own Parquet files."""
_LOOKUPS_AT_ONCE = 8
_LOOKUP_TIMEOUT = (5.0, 5.0)
_LOOKUPS_DEADLINE = 30.0
"""Seconds for all requests of one lookup of published months."""

T = TypeVar("T")


@dataclass(frozen=True)
class Downloaded:
    """A month's gzipped CSV, downloaded and validated."""

    facts: ValidCsv
    version: Version
    """Of the published file: this one, or the Parquet file that it was written from."""
    left_out: tuple[str, ...] = ()
    """Columns of the published file that this one does not have."""


class Mirror(dg.ConfigurableResource):
    """The mirror of `<base_url>/<colour>/<colour>_tripdata_<YYYY-MM>.csv.gz` and TLC's
    `<parquet_url>/<colour>_tripdata_<YYYY-MM>.parquet`, by http, https or file URL.

    Lost connections, timeouts and the statuses 408, 425, 429 and 5xx are retried.
    """

    base_url: str | None = Field(default=None, description="Base of the mirror; default: TAXI_SOURCE_URL.")
    parquet_url: str | None = Field(
        default=None,
        description="Base of TLC's Parquet files, for months after the mirror's; default: TAXI_PARQUET_URL.",
    )
    connect_timeout: float = Field(default=10, description="Seconds to wait for a connection.")
    read_timeout: float = Field(default=60, description="Seconds without data after which a connection is closed.")
    attempts: int = Field(default=6, description="Number of attempts to download a file.")
    first_wait: float = Field(default=1, description="Seconds before the second attempt, doubled for each later one.")
    longest_wait: float = Field(
        default=120,
        description="Maximum seconds between attempts; a longer Retry-After ends the attempts.",
    )

    @cached_property
    def _settings(self) -> Settings:
        return Settings()

    def url(self, month: TripMonth) -> str:
        """Return the address of a month's file, without user and password."""
        return safe_url(self._address(month))

    @property
    def is_public(self) -> bool:
        """Whether this is the public mirror, whose months and row counts are known."""
        return self._base() == PUBLIC_MIRROR

    def is_unchanged(self, file: RawFile, log: Logger) -> bool:
        """Return whether the mirror publishes exactly this file.

        Raise NotPublished if it does not have the month, SourceUnavailable if it does not respond.
        """
        if file.url != self.url(file.month):
            return False
        return self._retry(file.month, lambda: self._is_unchanged(file), log)

    def download(self, month: TripMonth, part: BinaryIO, log: Logger) -> Downloaded:
        """Write the month's gzipped CSV to `part`, which must be unbuffered, and validate it.

        Raise NotPublished, BadFile, SourceUnavailable after the last attempt, or PermanentError if the disk is full.
        """
        if not _is_parquet(month):
            download = ResumableDownload(month.gz_name, part, lambda: CsvValidator(month), log)
            return Downloaded(self._run(month, download, log), download.version)
        parquet = Path(part.name).with_suffix(".parquet.part")
        try:
            with parquet.open("xb", buffering=0) as file:
                download = ResumableDownload(
                    month.parquet_name,
                    file,
                    lambda: ParquetValidator(month),
                    log,
                    disk_factor=DISK_FACTOR,
                    absent=_absent(month),
                )
                self._run(month, download, log)
            log.info("%s: converting to %s", month.parquet_name, month.gz_name)
            converted = write_csv(parquet, month, part)
        finally:
            parquet.unlink(missing_ok=True)
        return Downloaded(converted.facts, download.version, converted.left_out)

    def published(self, colour: Colour) -> list[str]:
        """Return the months, `YYYY-MM`, that the mirror of gzipped CSVs has."""
        months = [TripMonth(colour, key) for key in month_partitions.get_partition_keys() if key <= MIRROR_ENDS]
        return [month.month for month, found in self.are_published(months).items() if found]

    def are_published(self, months: Iterable[TripMonth]) -> dict[TripMonth, bool | None]:
        """Return for each month whether it is published, None if the source does not respond.

        A few months are requested at once, without retries, and no more after the first failure of a source.
        """
        wanted = list(months)
        failed = {_is_parquet(month): threading.Event() for month in wanted}
        deadline = time.monotonic() + _LOOKUPS_DEADLINE
        with self._session() as session, ThreadPoolExecutor(_LOOKUPS_AT_ONCE) as pool:

            def is_published(month: TripMonth) -> bool | None:
                if failed[_is_parquet(month)].is_set() or time.monotonic() > deadline:
                    return None
                try:
                    return self._has(month, session)
                except AttemptFailed:
                    failed[_is_parquet(month)].set()
                    return None
                except BadSetting:
                    raise
                except PermanentError:
                    # Access is denied, for example with a wrong password: the month may still be published.
                    return None

            return dict(zip(wanted, pool.map(is_published, wanted), strict=True))

    def _has(self, month: TripMonth, session: requests.Session) -> bool:
        """Return whether the month is published. Raise AttemptFailed or PermanentError if that is unknown."""
        if self.is_public and not _is_parquet(month):
            return month.month >= FIRST_MONTH
        if path := self._path(month):
            return path.is_file()
        try:
            first_byte = {"Range": "bytes=0-0"}
            with open_response(session, self._address(month), first_byte, _LOOKUP_TIMEOUT, _absent(month)):
                return True
        except Absent:
            return False

    def _run(self, month: TripMonth, download: ResumableDownload[T], log: Logger) -> T:
        with self._session() as session:

            def attempt() -> T:
                if path := self._path(month):
                    return download.copy(path)
                return download.attempt(session, self._address(month), (self.connect_timeout, self.read_timeout))

            return self._retry(month, attempt, log)

    def _base(self) -> str:
        return _valid_base(self.base_url or self._settings.source_url, "TAXI_SOURCE_URL")

    def _parquet_base(self) -> str:
        return _valid_base(self.parquet_url or self._settings.parquet_url, "TAXI_PARQUET_URL")

    def _address(self, month: TripMonth) -> str:
        if _is_parquet(month):
            return f"{self._parquet_base()}/{month.parquet_name}"
        return f"{self._base()}/{month.colour.name}/{month.gz_name}"

    def _path(self, month: TripMonth) -> Path | None:
        """Return the path of the month's file, None if it has an http or https URL."""
        parts = urlsplit(self._address(month))
        return Path(url2pathname(parts.path)) if parts.scheme == "file" else None

    def _session(self) -> requests.Session:
        session = requests.Session()
        session.headers.update({"Accept-Encoding": "identity", "User-Agent": "taxi-platform"})
        return session

    def _is_unchanged(self, file: RawFile) -> bool:
        if path := self._path(file.month):
            return version_on_disk(path).is_still(file.version)
        # A conditional GET whose body is not read: some servers reject HEAD, and signed URLs may not allow it.
        headers = {"If-None-Match": file.etag, "If-Modified-Since": None if file.etag else file.last_modified}
        given = {name: value for name, value in headers.items() if value}
        timeout = (self.connect_timeout, self.read_timeout)
        request = (self._address(file.month), given, timeout, _absent(file.month))
        with self._session() as session, open_response(session, *request) as response:
            return response.status_code == 304 or version_of(response).is_still(file.version)

    def _not_published(self, month: TripMonth) -> NotPublished:
        if _is_parquet(month):
            remedy = "It publishes a month about two months after its end. Choose another, or check TAXI_PARQUET_URL."
            return NotPublished(f"TLC has not published {self.url(month)}.", remedy)
        months = month_ranges(self.published(month.colour))
        found = f"It has these months: {months}." if months else f"It has no {month.colour.name} month."
        return NotPublished(
            f"The mirror does not have {self.url(month)}.", f"{found} Choose another month, or check TAXI_SOURCE_URL."
        )

    def _retry(self, month: TripMonth, attempt: Callable[[], T], log: Logger) -> T:
        """Return what `attempt` returns, after as many attempts as necessary and allowed."""

        def warn(state: tenacity.RetryCallState) -> None:
            log.warning("%s; attempt %d of %d", _failure(state), state.attempt_number, self.attempts)

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(AttemptFailed),
            stop=self._is_last,
            wait=self._wait,
            before_sleep=warn,
            reraise=True,
        )
        try:
            return retrying(attempt)
        except Absent:
            problem = None
        except AttemptFailed as error:
            problem = SourceUnavailable(
                f"{month.gz_name} was not downloaded: {error}.",
                f"The limit is {self.attempts} attempts. A file that was on disk before is unchanged.",
            )
        raise problem or self._not_published(month)

    def _wait(self, state: tenacity.RetryCallState) -> float:
        required = _failure(state).retry_after
        doubling = tenacity.wait_exponential(self.first_wait, self.longest_wait)
        return (doubling(state) if required is None else required) + random.uniform(0, self.first_wait)

    def _is_last(self, state: tenacity.RetryCallState) -> bool:
        """Return whether to stop, which is also so if the server names a longer wait than `longest_wait`."""
        return state.attempt_number >= self.attempts or (_failure(state).retry_after or 0) > self.longest_wait


def _is_parquet(month: TripMonth) -> bool:
    return month.month > MIRROR_ENDS


def _absent(month: TripMonth) -> Collection[int]:
    """Return the statuses that mean that a month is not published; TLC's bucket responds 403."""
    return (403, 404) if _is_parquet(month) else (404,)


def _valid_base(url: str, setting: str) -> str:
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        scheme = ""
    if scheme not in ("http", "https", "file"):
        # The value may contain a password, so the error does not show it.
        raise BadSetting(
            f"{setting} is not an http, https or file URL.",
            "Set it to such a URL; a folder is written as file:///path/to/folder.",
        )
    return url.rstrip("/")


def _failure(state: tenacity.RetryCallState) -> AttemptFailed:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, AttemptFailed)
    return error
