"""A backfill as the terminal shows it: a progress bar, a line for each month, a summary, an exit status.

Not here: what is done (`backfill`).
"""

import os
import signal

import click
import dagster as dg
from tqdm import tqdm

from taxi_platform.automation.backfill.runner import Backfill, Outcome
from taxi_platform.destinations.base import Destination
from taxi_platform.local.instance import prepare, runs_at_once
from taxi_platform.settings import Settings
from taxi_platform.trips.partitions import TripMonth

INTERRUPTED = 130
"""The exit status after Ctrl-C, as shells have it."""


def show(months: list[TripMonth], destination: Destination, *, again: bool) -> int:
    """Runs the backfill; its exit status: 0 when every month is loaded, 1 when some are not, or a month of the colour
    lacks rows, 130 after Ctrl-C."""
    resources = destination.resources({})
    destination.require_settings(resources)
    if "DAGSTER_HOME" not in os.environ:
        os.environ |= prepare(Settings().home_folder)
    done: list[Outcome] = []
    interrupted = False
    for stop in (signal.SIGINT, signal.SIGTERM):  # a shell's background job ignores SIGINT unless told otherwise
        signal.signal(stop, signal.default_int_handler)
    with dg.DagsterInstance.get() as instance, tqdm(total=len(months), unit="month", desc=destination.name) as bar:
        backfill = Backfill(destination, resources, instance, runs_at_once())
        try:
            for outcome in backfill.run(months, again=again):
                done.append(outcome)
                tqdm.write(_line(outcome))
                bar.update()
        except KeyboardInterrupt:
            interrupted = True
    click.echo(_summary(months, done, interrupted=interrupted))
    if interrupted:
        return INTERRUPTED
    outdated = backfill.to_reload(months[0].colour)
    if outdated:
        click.echo(
            f"These months may lack rows or columns and must be reloaded: {', '.join(m.month for m in outdated)}. "
            "A backfill of them reloads them."
        )
    return 1 if outdated or any(outcome.error for outcome in done) else 0


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
        parts.append(f"stopped with {len(months) - len(done)} to go; what was under way changed no table")
    return "; ".join(parts) + "."
