"""Many months from the command line: several side by side, each a run of Dagster's in a process of its own.

It works with nothing else running. A month cannot disturb another: a process that is killed takes only its own month
with it, and that is run again. The destination says which months are loaded, and these are skipped.

Not here: what a run does (`load_month`), and the words on the screen (`cli`).
"""

import json
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field

import dagster as dg

from taxi_platform.automation.alerts import without_secrets
from taxi_platform.destinations.base import Leg
from taxi_platform.errors import TaxiError
from taxi_platform.trips import load_record
from taxi_platform.trips.columns import Colour
from taxi_platform.trips.load_record import FileRecord
from taxi_platform.trips.partitions import TripMonth, month_partitions

ATTEMPTS = 3
"""Runs of a month whose process is killed; a run that fails in its own words is not repeated."""
_GRACE = 30.0
"""Seconds that an interrupted run has to put things in order."""


@dataclass(frozen=True)
class Outcome:
    """What became of a month. `error` is None when it is loaded now."""

    month: TripMonth
    rows: int = 0
    """In the file."""
    kept: int = 0
    """Of these, rows that another file brought before, which are not added."""
    seconds: float = 0.0
    skipped: bool = False
    error: str | None = None


def months_between(colour: Colour, first: str, last: str) -> list[TripMonth]:
    """The months from `first` to `last`, both `YYYY-MM` and both included. Raises ValueError with the reason."""
    known = month_partitions.get_partition_keys()
    for month in (first, last):
        if month not in known:
            raise ValueError(f"{month} is no month from {known[0]} to {known[-1]}, in the form YYYY-MM.")
    if first > last:
        raise ValueError(f"{first} is after {last}.")
    return [TripMonth(colour, month) for month in known if first <= month <= last]


@dataclass
class Backfill:
    """The months of a colour on their way into one destination."""

    leg: Leg
    instance: dg.DagsterInstance
    side_by_side: int
    tag: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    """The value of `taxi/backfill` on all its runs."""
    _workers: dict[str, subprocess.Popen[str]] = field(default_factory=dict)
    _stopping: bool = False
    _door: threading.Lock = field(default_factory=threading.Lock)
    """So that no worker begins between the decision to stop and the look at those that are under way."""

    def run(self, months: Iterable[TripMonth], *, again: bool = False) -> Iterator[Outcome]:
        """Loads the months, and yields each when it is done; loaded ones are skipped unless `again`.

        A month that lacks rows, because another file let go of them, is loaded again in any case.
        When the caller is interrupted (KeyboardInterrupt), runs under way are interrupted too and cleared away.
        """
        wanted = list(months)
        found = self.leg.loaded(wanted[0].colour) if wanted and not again else {}
        lacking = _lacking(found)
        loaded = {month: record for month, record in found.items() if month not in lacking}
        for month in wanted:
            if month in loaded:
                yield Outcome(month, loaded[month].rows, loaded[month].rows_kept_elsewhere, skipped=True)
        with ThreadPoolExecutor(self.side_by_side) as pool:
            futures = [pool.submit(self._load, month) for month in wanted if month not in loaded]
            try:
                for future in as_completed(futures):
                    yield future.result()
            except BaseException:
                self._stop(futures)
                raise

    def lacking(self, colour: Colour) -> list[TripMonth]:
        """The loaded months of which another file kept rows that it may not have any more."""
        return _lacking(self.leg.loaded(colour))

    def _load(self, month: TripMonth) -> Outcome:
        began = time.monotonic()
        error: str | None = None
        for _ in range(ATTEMPTS):
            run_id = str(uuid.uuid4())
            killed, error = self._attempt(month, run_id)
            if not killed:
                break
            self._clear(run_id, error or "")
        load: FileRecord | None = None
        if error is None:
            try:
                load = self.leg.loaded(month.colour).get(month)
            except TaxiError as unanswered:
                error = f"its run succeeded, and {self.leg.name} cannot be asked for it: {unanswered.what}"
        rows, kept = (load.rows, load.rows_kept_elsewhere) if load else (0, 0)
        return Outcome(month, rows, kept, time.monotonic() - began, error=error)

    def _attempt(self, month: TripMonth, run_id: str) -> tuple[bool, str | None]:
        """Whether the run's process was killed, and what went wrong."""
        task = {"month": month.key, "assets": self.leg.selection, "run_id": run_id, "tags": {"taxi/backfill": self.tag}}
        with self._door:
            if self._stopping:
                return False, "cancelled before it began"
            worker = self._workers[run_id] = subprocess.Popen(
                [sys.executable, "-m", "taxi_platform.automation.backfill.worker", json.dumps(task)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                # A terminal's Ctrl-C is for this process, which tells them.
                start_new_session=True,
            )
        said, complained = worker.communicate()
        del self._workers[run_id]
        if said.strip():
            return False, json.loads(said.strip().splitlines()[-1])["error"]
        if self._stopping:
            return False, "cancelled"
        reason = f"its process ended with {worker.returncode}"
        last = complained.strip().splitlines()[-1:] if worker.returncode > 0 else []
        return worker.returncode < 0, ": ".join([reason, *map(without_secrets, last)])

    def _stop(self, futures: list[Future[Outcome]]) -> None:
        with self._door:
            self._stopping = True
            under_way = dict(self._workers)
        for future in futures:
            future.cancel()
        for worker in under_way.values():
            worker.send_signal(signal.SIGINT)
        ends = time.monotonic() + _GRACE
        for run_id, worker in under_way.items():
            try:
                worker.wait(max(0.0, ends - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.kill()
            self._clear(run_id, "cancelled")

    def _clear(self, run_id: str, reason: str) -> None:
        """Ends a run in the history whose process could not do so itself."""
        run = self.instance.get_run_by_id(run_id)
        if run is not None and not run.is_finished:
            report: Callable[..., object] = (
                self.instance.report_run_canceled if self._stopping else self.instance.report_run_failed
            )
            report(run, message=f"The run's process ended before the run: {reason}.")


def _lacking(loaded: Mapping[TripMonth, FileRecord]) -> list[TripMonth]:
    names = load_record.lacking({month.filename: record for month, record in loaded.items()})
    return [month for month in loaded if month.filename in names]
