"""The backfill runner: loads many months side by side in worker processes, without a running daemon.

A killed worker affects only its own month, which is loaded again in a new worker. Months that the destination
has loaded already are skipped. `progress` shows a backfill in the terminal, `queued` passes it to a running daemon.
"""

import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

import dagster as dg

from taxi_platform.automation.backfill.worker import Task
from taxi_platform.automation.backfill.worker_process import WorkerEnded, WorkerProcess, prepare_to_fork
from taxi_platform.destinations.base import SOURCE, Destination, Resources
from taxi_platform.errors import TaxiError
from taxi_platform.trips.load_record import LoadRecord, months_to_reload
from taxi_platform.trips.partitions import TripMonth

BACKFILL_TAG = "taxi/backfill"
ATTEMPTS = 3
"""Runs of a month whose worker is killed. A run that fails is not repeated, because its steps retry themselves."""
_GRACE_SECONDS = 30.0
"""Time that an interrupted run has to clean up."""
TICK_SECONDS = 1.0


@dataclass(frozen=True)
class Outcome:
    """The result of one month; `error` is None if the month is loaded."""

    month: TripMonth
    rows: int = 0
    """Rows in the file."""
    skipped_rows: int = 0
    """Rows of the file that were skipped as duplicates of other files."""
    seconds: float = 0.0
    skipped: bool = False
    """Whether the month was loaded already."""
    error: str | None = None


@dataclass
class Backfill:
    """Months of one colour that are loaded into one destination."""

    destination: Destination
    resources: Resources
    months: Sequence[TripMonth]
    workers: int
    """Months that are loaded at the same time."""
    again: bool = False
    """Whether months that are loaded already are loaded again."""
    definitions: str = "taxi_platform.definitions"
    """Module whose `defs` the workers load."""
    tag: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    """Value of the tag `taxi/backfill` of all its runs."""
    running: dict[TripMonth, str] = field(default_factory=dict)
    """Run id of each month that is being loaded."""
    _idle: list[WorkerProcess] = field(default_factory=list)
    _busy: list[WorkerProcess] = field(default_factory=list)
    _stopping: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)
    """Held to move a worker from one list to the other, and to stop: no worker gets a month after that."""

    def __enter__(self) -> Self:
        """Start the workers. Before this the caller opens Dagster's instance once, which creates its tables."""
        # Before the destination is asked: its library may start threads, and then no worker could be forked.
        prepare_to_fork(self.definitions)
        for _ in self.months[: self.workers]:
            self._idle.append(WorkerProcess(self.definitions, self._idle))
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._idle:
            worker.close(_GRACE_SECONDS)

    @cached_property
    def current(self) -> Mapping[TripMonth, LoadRecord]:
        """The load records of the months that are loaded already, which are skipped unless `again` is given."""
        found = {} if self.again else self.loaded_months()
        outdated = months_to_reload(found)
        return {month: found[month] for month in self.months if month in found and month not in outdated}

    @property
    def waiting(self) -> list[TripMonth]:
        """The months to load."""
        return [month for month in self.months if month not in self.current]

    def run(self, instance: dg.DagsterInstance, tick: Callable[[], None] = lambda: None) -> Iterator[Outcome]:
        """Load the months and yield the outcome of each when it is known; call `tick` about once a second.

        Loaded months are skipped unless they must be reloaded. If the caller is interrupted (KeyboardInterrupt),
        unfinished runs are interrupted too.
        """
        yield from self.skipped()
        with ThreadPoolExecutor(self.workers) as pool:
            waiting = {pool.submit(self._load, month, instance) for month in self.waiting}
            try:
                while waiting:
                    done, waiting = wait(waiting, TICK_SECONDS, FIRST_COMPLETED)
                    yield from (future.result() for future in done)
                    tick()
            except BaseException:
                self._stop(waiting)
                raise

    def skipped(self) -> Iterator[Outcome]:
        """Yield the outcomes of the months that are loaded already."""
        for month, record in self.current.items():
            yield Outcome(month, record.rows, record.rows_skipped, skipped=True)

    def loaded_months(self) -> Mapping[TripMonth, LoadRecord]:
        """Return the load records of the colour's months, as the destination has them."""
        return self.destination.loaded_months(self.resources, self.months[0].colour)

    def assets(self) -> list[dg.AssetKey]:
        """Return the keys of the assets that a run of a month materializes."""
        return [SOURCE, *self.destination.asset_keys]

    def outcome(self, month: TripMonth, seconds: float, error: str | None) -> Outcome:
        """Return the outcome of a month whose run ended, with the rows that the destination reports."""
        record: LoadRecord | None = None
        if error is None:
            try:
                record = self.loaded_months().get(month)
            except TaxiError as failure:
                error = f"its run succeeded, and {self.destination.name} did not respond afterwards: {failure.what}"
        rows, skipped = (record.rows, record.rows_skipped) if record else (0, 0)
        return Outcome(month, rows, skipped, seconds, error=error)

    def _load(self, month: TripMonth, instance: dg.DagsterInstance) -> Outcome:
        began = time.monotonic()
        error: str | None = None
        for _ in range(ATTEMPTS):
            run_id = self.running[month] = str(uuid.uuid4())
            killed = False
            try:
                error = self._attempt(month, run_id)
            except WorkerEnded as ended:
                killed, error = ended.killed, str(ended)
            if error is not None:
                self._end_run(instance, run_id, error)
            if not killed or self._stopping:
                break
        del self.running[month]
        return self.outcome(month, time.monotonic() - began, error)

    def _attempt(self, month: TripMonth, run_id: str) -> str | None:
        with self._lock:
            if self._stopping:
                return "cancelled"
            worker = self._idle.pop() if self._idle else WorkerProcess(self.definitions)
            self._busy.append(worker)
        try:
            error = worker.load(
                Task(
                    month=month.key,
                    assets=[key.to_user_string() for key in self.assets()],
                    run_id=run_id,
                    tags={BACKFILL_TAG: self.tag},
                )
            )
        except WorkerEnded:
            with self._lock:
                self._busy.remove(worker)
            worker.close(0)
            raise
        with self._lock:
            self._busy.remove(worker)
            self._idle.append(worker)
        return error

    def _stop(self, waiting: Iterable[Future[Outcome]]) -> None:
        """Interrupt unfinished runs; kill the workers of those that do not end in time."""
        for future in waiting:
            future.cancel()
        with self._lock:
            self._stopping = True
            for worker in self._busy:
                worker.interrupt(signal.SIGINT)
        wait([future for future in waiting if not future.cancelled()], _GRACE_SECONDS)
        with self._lock:
            for worker in self._busy:
                worker.interrupt(signal.SIGKILL)

    def _end_run(self, instance: dg.DagsterInstance, run_id: str, reason: str) -> None:
        """Mark the run as ended in Dagster's history if its worker could not."""
        run = instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return
        if self._stopping:
            instance.report_run_canceled(run, message="The backfill was stopped.")
        else:
            instance.report_run_failed(run, message=f"The worker ended before the run: {reason}.")
