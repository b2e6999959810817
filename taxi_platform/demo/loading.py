"""Loading the sample files through the assets, and the summary of what a destination then has."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import dagster as dg

from taxi_platform.automation import reconcile
from taxi_platform.definitions import build_defs
from taxi_platform.demo.sample_products import write_sample_products
from taxi_platform.demo.sample_trips import write_samples
from taxi_platform.destinations.base import SOURCE, Destination
from taxi_platform.getting_started.jobs import hello_world
from taxi_platform.trips.columns import COLOURS
from taxi_platform.trips.partitions import TripMonth

_QUIET = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}
_TAGS = {"taxi/sample": "true"}


def sample_folder(directory: Path) -> Path:
    """Return the folder of the sample files in a data directory; it has the mirror's layout."""
    return directory / "sample-data"


def load_samples(
    directory: Path, destinations: Sequence[Destination], instance: dg.DagsterInstance
) -> Iterator[TripMonth]:
    """Generate the sample files and load each into the destinations; yield a month when it is loaded.

    The environment must lead to the sample folder and the destinations already.
    """
    # No copies: `.env` may name a bucket.
    keys = [SOURCE, *(key for destination in destinations for key in destination.keys_of_table)]
    job = build_defs().resolve_job_def("load_month")
    for path in write_samples(sample_folder(directory)):
        month = TripMonth.from_file(COLOURS[path.parent.name], path.name.removesuffix(".gz"))
        assert month is not None, path
        job.execute_in_process(
            run_config=_QUIET, partition_key=month.key, asset_selection=keys, instance=instance, tags=_TAGS
        )
        yield month


def print_comparison(destinations: Sequence[Destination]) -> None:
    """Print month by month whether the destinations hold the same rows."""
    resources: dict[str, Any] = {}
    for destination in destinations:
        resources |= destination.resources({})
    click.echo(f"\n{reconcile.heading(destinations)}")
    for colour in COLOURS.values():
        for comparison in reconcile.reconcile(resources, colour, destinations=destinations):
            click.echo(reconcile.line(comparison, destinations))


def print_summary(destination: Destination, prefix: str) -> None:
    """Print a table of the loaded months; `prefix` is the schema or dataset in front of a table's name."""
    resources = destination.resources({})
    click.echo(
        f"\n{destination.name:<26}{'month':<10}{'rows in file':>14}{'rows in table':>15}{'duplicates skipped':>20}"
    )
    for colour in COLOURS.values():
        loaded = destination.loaded_months(resources, colour)
        for month, record in sorted(loaded.items(), key=lambda item: item[0].month):
            click.echo(
                f"{prefix + colour.table:<26}{month.month:<10}{record.rows:>14,}{record.rows_in_table:>15,}"
                f"{record.rows_skipped:>20,}"
            )


def run_examples(directory: Path, instance: dg.DagsterInstance) -> None:
    """Run `hello_world` and the products pipeline on sample products: the tutorial's examples that need no network."""
    os.environ |= {"TAXI_PRODUCTS_URL": write_sample_products(sample_folder(directory)).as_uri()}
    hello_world.execute_in_process(instance=instance)
    build_defs().resolve_implicit_global_asset_job_def().execute_in_process(
        run_config=_QUIET,
        asset_selection=[dg.AssetKey(name) for name in ("products_raw", "products", "products_by_brand")],
        instance=instance,
        tags=_TAGS,
    )
