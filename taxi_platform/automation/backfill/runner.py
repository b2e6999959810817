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

from taxi_platform.destinations.base import SOURCE, Destination, Resources
from taxi_platform.errors import TaxiError
from taxi_platform.redaction import without_secrets
from taxi_platform.trips.columns import Colour
from taxi_platform.trips.load_record import LoadRecord, months_to_reload
from taxi_platform.trips.partitions import TripMonth

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
    skipped_rows: int = 0
    """Rows of the file that were skipped as duplicates of other files."""
    seconds: float = 0.0
    skipped: bool = False
    error: str | None = None


@dataclass
class Backfill:
    """The months of a colour on their way into one destination."""

    destination: Destination
    resources: Resources
    instance: dg.DagsterInstance
    workers: int
    """Months that are loaded at the same time."""
    definitions: str = "taxi_platform.definitions"
    """Module whose `defs` a worker loads."""
    tag: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    """The value of `taxi/backfill` on all its runs."""
    _processes: dict[str, subprocess.Popen[str]] = field(default_factory=dict)
    _stopping: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)
    """So that no worker begins between the decision to stop and the look at those that are under way."""

    def run(self, months: Iterable[TripMonth], *, again: bool = False) -> Iterator[Outcome]:
        """Loads the months, and yields each when it is done; loaded ones are skipped unless `again`.

        A month that lacks rows, because another file let go of them, is loaded again in any case.
        When the caller is interrupted (KeyboardInterrupt), runs under way are interrupted too and cleared away.
        """
        wanted = list(months)
        found = self._loaded(wanted[0].colour) if wanted and not again else {}
        outdated = months_to_reload(found)
        loaded = {month: record for month, record in found.items() if month not in outdated}
        for month in wanted:
            if month in loaded:
                yield Outcome(month, loaded[month].rows, loaded[month].rows_skipped, skipped=True)
        with ThreadPoolExecutor(self.workers) as pool:
            futures = [pool.submit(self._load, month) for month in wanted if month not in loaded]
            try:
                for future in as_completed(futures):
                    yield future.result()
            except BaseException:
                self._stop(futures)
                raise

    def to_reload(self, colour: Colour) -> list[TripMonth]:
        """Return the loaded months that would be loaded differently now."""
        return months_to_reload(self._loaded(colour))

    def _loaded(self, colour: Colour) -> Mapping[TripMonth, LoadRecord]:
        return self.destination.loaded_months(self.resources, colour)

    def _load(self, month: TripMonth) -> Outcome:
        began = time.monotonic()
        error: str | None = None
        for _ in range(ATTEMPTS):
            run_id = str(uuid.uuid4())
            killed, error = self._attempt(month, run_id)
            if not killed:
                break
            self._clear(run_id, error or "")
        load: LoadRecord | None = None
        if error is None:
            try:
                load = self._loaded(month.colour).get(month)
            except TaxiError as unanswered:
                error = f"its run succeeded, and {self.destination.name} did not respond afterwards: {unanswered.what}"
        rows, kept = (load.rows, load.rows_skipped) if load else (0, 0)
        return Outcome(month, rows, kept, time.monotonic() - began, error=error)

    def _attempt(self, month: TripMonth, run_id: str) -> tuple[bool, str | None]:
        """Whether the run's process was killed, and what went wrong."""
        task = {
            "month": month.key,
            "assets": [SOURCE.to_user_string(), *(key.to_user_string() for key in self.destination.asset_keys)],
            "run_id": run_id,
            "tags": {"taxi/backfill": self.tag},
            "definitions": self.definitions,
        }
        with self._lock:
            if self._stopping:
                return False, "cancelled before it began"
            worker = self._processes[run_id] = subprocess.Popen(
                [sys.executable, "-m", "taxi_platform.automation.backfill.worker", json.dumps(task)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                # A terminal's Ctrl-C is for this process, which tells them.
                start_new_session=True,
            )
        said, complained = worker.communicate()
        del self._processes[run_id]
        if said.strip():
            return False, json.loads(said.strip().splitlines()[-1])["error"]
        if self._stopping:
            return False, "cancelled"
        reason = f"its process ended with {worker.returncode}"
        last = complained.strip().splitlines()[-1:] if worker.returncode > 0 else []
        return worker.returncode < 0, ": ".join([reason, *map(without_secrets, last)])

    def _stop(self, futures: list[Future[Outcome]]) -> None:
        with self._lock:
            self._stopping = True
            under_way = dict(self._processes)
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
