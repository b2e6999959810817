"""The mirror that publishes the files: asks it what it has, and fetches from it with patience.

Not here: single requests and answers (`download`), where a file is kept (`io_managers.raw_files`).
"""

import random
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from logging import Logger
from pathlib import Path
from typing import BinaryIO, TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

import dagster as dg
import requests
import tenacity

from taxi_platform.download import Absent, Interrupted, Transfer, answer, safe_url, version_of, version_on_disk
from taxi_platform.errors import BadSetting, NotPublished, PermanentError, SourceUnavailable
from taxi_platform.file_check import Checked
from taxi_platform.partitions import TripMonth, month_partitions
from taxi_platform.settings import PUBLIC_MIRROR, Settings
from taxi_platform.source import RawFile, Version
from taxi_platform.trips import Colour

_PUBLIC_MIRROR_ENDS = "2021-07"
_PROBES = 8
_PROBE_TIMEOUT = (5.0, 5.0)

T = TypeVar("T")


class Mirror(dg.ConfigurableResource):
    """Publishes `<base_url>/<colour>/<colour>_tripdata_<YYYY-MM>.csv.gz`; http, https and file URLs.

    Connections cut, timeouts, 408, 425, 429 and 5xx are tried again: `attempts` in all, with waits that double from
    `first_wait` up to `longest_wait` seconds, each with a random part. `Retry-After` is obeyed up to `longest_wait`;
    a server that asks for more ends the attempts.
    """

    base_url: str | None = None
    """None: the setting TAXI_SOURCE_URL."""
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

    def download(self, month: TripMonth, part: BinaryIO, log: Logger) -> tuple[Checked, Version]:
        """Write the month's file to `part`, which must be unbuffered, and check it wholly.

        Raises NotPublished, BadFile, SourceUnavailable after the last attempt, PermanentError when the disk is full.
        """
        transfer = Transfer(month, part, log)
        folder = self._folder()
        with self._session() as session:

            def attempt() -> Checked:
                if folder is not None:
                    return transfer.copy(self._file(month))
                return transfer.attempt(session, self._address(month), (self.connect_timeout, self.read_timeout))

            checked = self._patiently(month, attempt, log)
        return checked, transfer.version

    def published(self, colour: Colour) -> list[str]:
        """The months, `YYYY-MM`, that the mirror has of a colour, as far as it answers.

        A web mirror cannot be listed: it is asked for the months one by one, a few at once, and without patience.
        """
        months = [TripMonth(colour, key) for key in month_partitions.get_partition_keys()]
        if self.is_public:
            return [month.month for month in months if month.month <= _PUBLIC_MIRROR_ENDS]
        if self._folder() is not None:
            return [month.month for month in months if self._file(month).is_file()]
        silent = threading.Event()

        def has(month: TripMonth) -> bool:
            if silent.is_set():
                return False
            try:
                with answer(session, self._address(month), {"Range": "bytes=0-0"}, _PROBE_TIMEOUT):
                    return True
            except (Absent, PermanentError):
                return False
            except Interrupted:
                silent.set()
                return False

        with self._session() as session, ThreadPoolExecutor(_PROBES) as pool:
            return [month.month for month, found in zip(months, pool.map(has, months), strict=True) if found]

    def _base(self) -> str:
        base = (self.base_url or Settings().source_url).rstrip("/")
        if urlsplit(base).scheme not in ("http", "https", "file"):
            raise BadSetting(
                "TAXI_SOURCE_URL is no http, https or file URL.",
                "A rerun does not help: set it to such a URL; a folder is written as file:///path/to/folder.",
            )
        return base

    def _address(self, month: TripMonth) -> str:
        return f"{self._base()}/{month.colour.name}/{month.gz_name}"

    def _folder(self) -> Path | None:
        """The folder that the mirror is, None for one on the web."""
        parts = urlsplit(self._base())
        return Path(url2pathname(parts.path)) if parts.scheme == "file" else None

    def _file(self, month: TripMonth) -> Path:
        return Path(url2pathname(urlsplit(self._address(month)).path))

    def _session(self) -> requests.Session:
        session = requests.Session()
        session.headers.update({"Accept-Encoding": "identity", "User-Agent": "taxi-platform"})
        return session

    def _ask(self, file: RawFile) -> bool:
        if self._folder() is not None:
            return version_on_disk(self._file(file.month)).is_still(file.version)
        # A conditional GET whose body is not read: some servers refuse HEAD, or signed addresses do not allow it.
        headers = {"If-None-Match": file.etag, "If-Modified-Since": None if file.etag else file.last_modified}
        given = {name: value for name, value in headers.items() if value}
        timeout = (self.connect_timeout, self.read_timeout)
        with self._session() as session, answer(session, self._address(file.month), given, timeout) as response:
            return response.status_code == 304 or version_of(response).is_still(file.version)

    def _not_published(self, month: TripMonth) -> NotPublished:
        has = ranges(self.published(month.colour))
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


def _interruption(state: tenacity.RetryCallState) -> Interrupted:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, Interrupted)
    return error


def ranges(months: Iterable[str]) -> str:
    """Months in order, `YYYY-MM`, as people write them: `2020-03..2020-10, 2020-12`."""
    numbered = enumerate(sorted(months))
    runs = [
        [month for _, month in run]
        for _, run in groupby(numbered, lambda pair: int(pair[1][:4]) * 12 + int(pair[1][5:]) - pair[0])
    ]
    return ", ".join(f"{run[0]}..{run[-1]}" if len(run) > 2 else ", ".join(run) for run in runs)
