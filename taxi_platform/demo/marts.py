"""The last part of the demo: marts of the sample trips, the best zones, and the report."""

import sys
from pathlib import Path

import click
import dagster as dg

from taxi_platform.analytics.definitions import MARTS
from taxi_platform.analytics.mart_assets import mart_key
from taxi_platform.analytics.models import MODELS
from taxi_platform.analytics.report.asset import make_report
from taxi_platform.analytics.sensor import range_tags
from taxi_platform.data_directory import shown
from taxi_platform.definitions import build_defs
from taxi_platform.destinations.base import Destination
from taxi_platform.settings import Settings
from taxi_platform.trips.columns import COLOURS
from taxi_platform.trips.partitions import TripMonth

_BEST_ZONES = """
select pickup_zone, sum(revenue_monthly_total_amount), sum(total_monthly_trips)
from {schema}.fct_monthly_zone_revenue group by 1 order by 2 desc limit 5
"""
_QUIET = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}


def show_marts(destination: Destination, instance: dg.DagsterInstance) -> None:
    """Build the marts of the loaded months, and print the best zones and the path of the report."""
    if not (Settings().dbt or Path(sys.executable).with_name("dbt")).exists():
        click.echo("\nMarts and report were left out: they need dbt, which the extra `marts` installs.")
        return
    (marts,) = (each for each in MARTS if each.destination is destination)
    job = build_defs().resolve_implicit_global_asset_job_def()
    resources = destination.resources({})
    colours = list(COLOURS.values())
    months = [each.month for colour in colours for each in destination.loaded_months(resources, colour)]
    # A range has all colours between its ends, in the registry's order: one run of dbt for all samples.
    ends = [TripMonth(colours[0], min(months)), TripMonth(colours[-1], max(months))]
    job.execute_in_process(
        run_config=_QUIET,
        asset_selection=[mart_key(marts, model.name) for model in MODELS],
        tags={"taxi/sample": "true", **range_tags(ends)},
        instance=instance,
    )
    click.echo(f"\n{'best pickup zones':<46}{'revenue':>12}{'trips':>10}")
    with marts.reading(resources) as query:
        for zone, revenue, trips in query(_BEST_ZONES.format(schema=marts.schema(resources))):
            click.echo(f"{zone:<46}{revenue:>12,.2f}{trips:>10,}")
    click.echo(f"\nA page of maps and charts, to open in a browser: {shown(make_report(marts, resources).page)}")
