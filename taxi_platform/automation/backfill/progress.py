"""A backfill in the terminal: a progress bar, a line for each month, a summary, an exit status."""

import os
import signal
import time
from collections.abc import Iterator
from importlib import import_module

import click
import dagster as dg
from tqdm import tqdm

from taxi_platform.automation.backfill.runner import Backfill, Outcome
from taxi_platform.destinations.base import SOURCE, Destination
from taxi_platform.local.instance import daemon_lock_is_held, prepare, runs_at_once
from taxi_platform.settings import Settings
from taxi_platform.trips.load_record import months_to_reload
from taxi_platform.trips.partitions import TripMonth

_DAEMON_SECONDS = 60
INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


def show(months: list[TripMonth], destination: Destination, *, again: bool) -> int:
    """Run the backfill and return its exit status.

    0: every month is loaded; 1: some are not, or a month of the colour must be reloaded; 130: interrupted.
    """
    resources = destination.resources({})
    destination.require_settings(resources)
    # Set in a deployment; a data directory of this machine has an instance of its own, and a lock that is exact.
    has_daemon = _has_daemon
    if "DAGSTER_HOME" not in os.environ:
        directory = Settings().data_directory
        os.environ |= prepare(directory)
        has_daemon = lambda _: daemon_lock_is_held(directory)  # noqa: E731
    with dg.DagsterInstance.get() as instance:  # also imports what the workers use, before they are forked
        kind = Backfill
        if has_daemon(instance):
            kind = import_module("taxi_platform.automation.backfill.queued").QueuedBackfill
            click.echo("Dagster's daemon is running: it loads the months.")
    done: list[Outcome] = []
    interrupted = False
    for stop in (signal.SIGINT, signal.SIGTERM):  # a shell's background job ignores SIGINT by default
        signal.signal(stop, signal.default_int_handler)
    backfill = kind(destination, resources, months, runs_at_once(), again=again)
    try:
        with backfill, dg.DagsterInstance.get() as instance, _Bar(backfill, instance) as bar:
            for outcome in backfill.run(instance, bar.tick):
                done.append(outcome)
                bar.add(outcome)
    except KeyboardInterrupt:
        interrupted = True
    click.echo(_summary(months, done, interrupted=interrupted))
    if interrupted:
        return INTERRUPTED
    outdated = months_to_reload(backfill.loaded_months())
    if outdated:
        click.echo(
            f"These months may lack rows or columns and must be reloaded: {', '.join(m.month for m in outdated)}. "
            "A backfill of them reloads them."
        )
    return 1 if outdated or any(outcome.error for outcome in done) else 0


def _has_daemon(instance: dg.DagsterInstance) -> bool:
    """Return whether a daemon starts the instance's queued runs. It reports every 30 seconds that it is alive."""
    report = instance.get_daemon_heartbeats().get("QUEUED_RUN_COORDINATOR")
    return report is not None and time.time() - report.timestamp < _DAEMON_SECONDS


class _Bar:
    """The progress bar: months done, time left, rows per second, and the phase of each month that is being loaded."""

    def __init__(self, backfill: Backfill, instance: dg.DagsterInstance) -> None:
        self._backfill = backfill
        self._instance = instance
        self._bar = tqdm(total=len(backfill.months), unit="month", desc=backfill.destination.name, dynamic_ncols=True)
        self._began = time.monotonic()
        self._rows = 0

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def add(self, outcome: Outcome) -> None:
        """Print a month's line above the bar."""
        tqdm.write(_line(outcome))
        if outcome.skipped:
            # The estimate of the time left counts only months that are loaded now.
            self._bar.total -= 1
            self._bar.refresh()
        else:
            self._rows += outcome.rows
            self._bar.update()

    def tick(self) -> None:
        """Show the rate and what is being loaded."""
        rate = round(self._rows / (time.monotonic() - self._began))
        self._bar.set_postfix_str(", ".join([f"{rate:,} rows/s", *sorted(self._phases())]))

    def _phases(self) -> Iterator[str]:
        months = {run: month for month, run in list(self._backfill.running.items())}
        if not months:
            return
        started = dg.RunsFilter(run_ids=list(months), statuses=[dg.DagsterRunStatus.STARTED])
        for run in self._instance.get_runs(started):
            steps = self._instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_START)
            if steps:
                yield f"{months[run.run_id].month} {phase_of(steps[-1].step_key or '', self._backfill.destination)}"


def phase_of(step: str, destination: Destination) -> str:
    """Return the word for what a step of a month's run does."""
    if step == SOURCE.to_python_identifier():
        return "downloading"
    if step == destination.table.to_python_identifier():
        return "merging"
    loading = {key.to_python_identifier() for key in destination.asset_keys}
    return "copying" if step in loading else "checking"


def _line(outcome: Outcome) -> str:
    month = f"{outcome.month.colour.name} {outcome.month.month}"
    if outcome.error:
        return f"{month}  failed after {outcome.seconds:.1f} s: {outcome.error}"
    rows = f"{month}  {outcome.rows:>11,} rows"
    skipped = f"  {outcome.skipped_rows:,} skipped as duplicates" if outcome.skipped_rows else ""
    return f"{rows}  loaded already{skipped}" if outcome.skipped else f"{rows}  {outcome.seconds:>7.1f} s{skipped}"


def _summary(months: list[TripMonth], done: list[Outcome], *, interrupted: bool) -> str:
    loaded = [outcome for outcome in done if not outcome.skipped and not outcome.error]
    skipped = [outcome for outcome in done if outcome.skipped]
    failed = sorted(outcome.month.month for outcome in done if outcome.error)
    parts = [f"{len(loaded)} of {len(months)} months loaded, {sum(outcome.rows for outcome in loaded):,} rows"]
    if skipped:
        parts.append(f"{len(skipped)} were loaded already")
    if failed:
        parts.append(f"{len(failed)} failed: {', '.join(failed)}")
    if interrupted:
        parts.append(f"stopped with {len(months) - len(done)} to go; unfinished months changed no table")
    return "; ".join(parts) + "."
