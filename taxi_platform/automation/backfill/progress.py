"""A backfill as the terminal shows it: a progress bar, a line for each month, a summary, an exit status.

Not here: what is done (`backfill`).
"""

import os
import signal

import click
import dagster as dg
from tqdm import tqdm

from taxi_platform.automation.backfill.runner import Backfill, Outcome
from taxi_platform.destinations.base import Leg, legs
from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.errors import BadSetting
from taxi_platform.google_cloud.resources import GoogleBigQuery, GoogleStorage
from taxi_platform.local.instance import prepare, runs_at_once
from taxi_platform.settings import Settings
from taxi_platform.trips.partitions import TripMonth

INTERRUPTED = 130
"""The exit status after Ctrl-C, as shells have it."""


def show(months: list[TripMonth], destination: str, *, again: bool) -> int:
    """Runs the backfill; its exit status: 0 when every month is loaded, 1 when some are not, or a month of the colour
    lacks rows, 130 after Ctrl-C."""
    leg = _leg(destination)
    if "DAGSTER_HOME" not in os.environ:
        os.environ |= prepare(Settings().home_folder)
    done: list[Outcome] = []
    interrupted = False
    for stop in (signal.SIGINT, signal.SIGTERM):  # a shell's background job ignores SIGINT unless told otherwise
        signal.signal(stop, signal.default_int_handler)
    with dg.DagsterInstance.get() as instance, tqdm(total=len(months), unit="month", desc=leg.name) as bar:
        backfill = Backfill(leg, instance, runs_at_once())
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
    lacking = backfill.lacking(months[0].colour)
    if lacking:
        click.echo(
            f"These months may lack rows, because another file let go of them: {', '.join(m.month for m in lacking)}. "
            "A backfill of them brings the rows in."
        )
    return 1 if lacking or any(outcome.error for outcome in done) else 0


def _leg(destination: str) -> Leg:
    for leg in legs(Postgres(), GoogleStorage(), GoogleBigQuery()):
        if leg.name == destination:
            return leg
    raise BadSetting(
        "Google Cloud is not set up.", "A rerun does not help: set GCP_PROJECT_ID and GCP_BUCKET_NAME, then try again."
    )


def _line(outcome: Outcome) -> str:
    month = f"{outcome.month.colour.name} {outcome.month.month}"
    if outcome.error:
        return f"{month}  failed after {outcome.seconds:.1f} s: {outcome.error}"
    rows = f"{month}  {outcome.rows:>11,} rows"
    kept = f"  {outcome.kept:,} of them kept by other files" if outcome.kept else ""
    return f"{rows}  loaded already{kept}" if outcome.skipped else f"{rows}  {outcome.seconds:>7.1f} s{kept}"


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
