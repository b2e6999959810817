"""The demo: sample files and products, loaded through the assets into a home of their own, and what came of it.

Sample rows never meet real ones: the demo has its own embedded server, under `<TAXI_HOME>/demo`.

Not here: how samples are made (`sample_trips`) and how a month is loaded.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import psycopg
from psycopg import sql

from taxi_platform.definitions import build_defs
from taxi_platform.demo.sample_products import write_sample_products
from taxi_platform.demo.sample_trips import write_samples
from taxi_platform.destinations.postgres.tables import attached, parent_table
from taxi_platform.getting_started.duckdb_file import DuckDBFile
from taxi_platform.getting_started.jobs import hello_world
from taxi_platform.local.instance import embedded_server, prepare
from taxi_platform.trips.columns import COLOURS, Colour
from taxi_platform.trips.partitions import TripMonth

_QUIET = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}
_TAGS = {"taxi/sample": "true"}


@dataclass(frozen=True)
class LoadedMonth:
    """A month as the database has it."""

    month: TripMonth
    rows_in_file: int
    rows_in_table: int
    rows_skipped: int


def load_samples(home: Path) -> Iterator[TripMonth]:
    """Makes the sample files and loads each through the assets; yields a month when it is in its table.

    Changes this process's environment, which is where the resources find the demo's home, files and server.
    """
    samples = home / "sample-data"
    paths = write_samples(samples)
    os.environ |= prepare(home)
    # Given in any case, so that settings in .env do not lead elsewhere.
    os.environ |= {"TAXI_SOURCE_URL": samples.as_uri(), "TAXI_POSTGRES_URL": embedded_server(home).ensure_database()}
    job = sample_job("postgres_tripdata")
    with dg.DagsterInstance.get() as instance:
        for path in paths:
            month = TripMonth.from_file(COLOURS[path.parent.name], path.name.removesuffix(".gz"))
            assert month is not None, path
            load(month, job, instance)
            yield month


def sample_job(asset: str) -> dg.JobDefinition:
    """The job that makes an asset and all it is made from."""
    job = dg.define_asset_job("load_sample", selection=f"+key:{asset}")
    return dg.Definitions.merge(build_defs(), dg.Definitions(jobs=[job])).resolve_job_def("load_sample")


def run_examples(home: Path) -> list[tuple[str, float]]:
    """Greets, and makes the products pipeline's table from sample products; returns that table's rows.

    Of the getting-started examples these need no network. To be called after `load_samples`, in whose environment.
    """
    os.environ |= {"TAXI_PRODUCTS_URL": write_sample_products(home / "sample-data").as_uri()}
    with dg.DagsterInstance.get() as instance:
        hello_world.execute_in_process(instance=instance)
        sample_job("products_by_brand").execute_in_process(run_config=_QUIET, instance=instance, tags=_TAGS)
    with DuckDBFile().get_connection() as connection:
        return connection.execute("from products_by_brand").fetchall()


def load(month: TripMonth, job: dg.JobDefinition, instance: dg.DagsterInstance) -> None:
    """Loads the month in this process; raises what the run raised."""
    job.execute_in_process(
        run_config=_QUIET,
        partition_key=month.partition_key,
        instance=instance,
        tags=_TAGS,
    )


def loaded_months(url: str) -> list[LoadedMonth]:
    """What the database at the URL has of each month, counted in the tables; beside it the month's own record."""
    with psycopg.connect(url) as connection:
        return [found for colour in COLOURS.values() for found in _months_of(connection, colour)]


def _months_of(connection: psycopg.Connection, colour: Colour) -> Iterator[LoadedMonth]:
    for filename, partition in sorted(attached(connection, colour).items()):
        month, record = TripMonth.from_file(colour, filename), partition.record
        if month is None or record is None:
            continue
        query = sql.SQL("select count(*) from {} where filename = %s").format(parent_table(colour))
        row = connection.execute(query, [filename]).fetchone()
        yield LoadedMonth(month, record.rows, row[0] if row else 0, record.rows_skipped)
