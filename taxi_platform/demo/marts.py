"""The last part of the demos: marts of the sample trips, the best zones, the report, and a comparison of marts."""

import sys
from collections import Counter
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import click
import dagster as dg

from taxi_platform.analytics.definitions import MARTS
from taxi_platform.analytics.mart_assets import mart_key
from taxi_platform.analytics.marts import Marts
from taxi_platform.analytics.models import MODELS
from taxi_platform.analytics.report.asset import make_report
from taxi_platform.analytics.sensor import range_tags
from taxi_platform.data_directory import shown
from taxi_platform.definitions import build_defs
from taxi_platform.destinations.base import Destination, Resources
from taxi_platform.errors import PermanentError
from taxi_platform.settings import Settings
from taxi_platform.trips.columns import COLOURS
from taxi_platform.trips.partitions import TripMonth

_BEST_ZONES = """
select pickup_zone, sum(revenue_monthly_total_amount), sum(total_monthly_trips)
from {schema}.fct_monthly_zone_revenue group by 1 order by 2 desc limit 5
"""
_QUIET = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}
_NOT_COMPARED = {"built_at", "load_record"}
"""Columns that hold the time of the build, and what each destination records in its own form."""


class MartsDiffer(PermanentError):
    """Two destinations' marts of the same trips are not equal."""


def find_dbt() -> Path | None:
    """Return the dbt that builds marts, or None if there is none."""
    dbt = Settings().dbt or Path(sys.executable).with_name("dbt")
    return dbt if dbt.exists() else None


def show_marts(destination: Destination, instance: dg.DagsterInstance) -> None:
    """Build the marts of the loaded months, and print the best zones and the path of the report."""
    if not find_dbt():
        click.echo("\nMarts and report were left out: they need dbt, which the extra `marts` installs.")
        return
    build_marts(destination, instance)
    marts, resources = _marts_of(destination)
    click.echo(f"\n{'best pickup zones':<46}{'revenue':>12}{'trips':>10}")
    with marts.reading(resources) as query:
        for zone, revenue, trips in query(_BEST_ZONES.format(schema=marts.schema(resources))):
            click.echo(f"{zone:<46}{revenue:>12,.2f}{trips:>10,}")
    click.echo(f"\nA page of maps and charts, to open in a browser: {shown(make_report(marts, resources).page)}")


def build_marts(destination: Destination, instance: dg.DagsterInstance) -> None:
    """Build the marts of the loaded months in one run."""
    marts, resources = _marts_of(destination)
    colours = list(COLOURS.values())
    months = [each.month for colour in colours for each in destination.loaded_months(resources, colour)]
    # A range has all colours between its ends, in the registry's order: one run of dbt for all samples.
    ends = [TripMonth(colours[0], min(months)), TripMonth(colours[-1], max(months))]
    build_defs().resolve_implicit_global_asset_job_def().execute_in_process(
        run_config=_QUIET,
        asset_selection=[mart_key(marts, model.name) for model in MODELS],
        tags={"taxi/sample": "true", **range_tags(ends)},
        instance=instance,
    )


def print_mart_comparison(one: Destination, other: Destination) -> None:
    """Print for each table and view of the marts whether it has the same rows in both. Raise MartsDiffer if not."""
    pair = [_rows_by_model(each) for each in (one, other)]
    click.echo(f"\n{'mart':<28}{one.name:>12}{other.name:>12}  result")
    different = []
    for name, rows in pair[0].items():
        others = pair[1][name]
        result = "equal" if rows == others else "DIFFERENT"
        click.echo(f"{name:<28}{rows.total():>12,}{others.total():>12,}  {result}")
        if rows != others:
            different.append(name)
    if different:
        raise MartsDiffer(
            f"The marts of {one.name} and {other.name} differ: {', '.join(different)}.",
            "Compare the loaded trips with `taxi-platform reconcile`.",
        )


def _marts_of(destination: Destination) -> tuple[Marts, Resources]:
    (marts,) = (each for each in MARTS if each.destination is destination)
    return marts, destination.resources({})


def _rows_by_model(destination: Destination) -> dict[str, Counter[tuple[object, ...]]]:
    """Return how often each row is in each table and view."""
    marts, resources = _marts_of(destination)
    with marts.reading(resources) as query:
        return {
            model.name: Counter(
                tuple(map(_comparable, row))
                for row in query(
                    f"select {', '.join(name for name in model.columns if name not in _NOT_COMPARED)} "
                    f"from {marts.schema(resources)}.{model.name}"
                )
            )
            for model in MODELS
        }


def _comparable(value: object) -> object:
    """Return a value without what differs between databases: numbers as decimals, times without a zone."""
    if isinstance(value, float | int):
        return Decimal(str(value))
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value
