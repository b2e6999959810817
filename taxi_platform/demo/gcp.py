"""The demo of the Google Cloud leg: sample files through bucket and BigQuery, on emulators on this machine.

Emulators keep tables in memory: what is in them is shown before they stop.

Not here: the emulators (`emulators.servers`), and how a month is loaded.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from taxi_platform.demo.postgres import LoadedMonth, load, sample_job
from taxi_platform.demo.sample_trips import write_samples
from taxi_platform.destinations.bigquery.merge import loaded, rows_held
from taxi_platform.destinations.bigquery.tables import Sql
from taxi_platform.google_cloud.resources import GoogleBigQuery
from taxi_platform.local.emulators.servers import running
from taxi_platform.trips.columns import COLOURS
from taxi_platform.trips.partitions import TripMonth

PROJECT = "demo-project"
BUCKET = "demo-lake"
DATASET = "zoomcamp"


@dataclass(frozen=True)
class Table:
    """A table in the dataset."""

    name: str
    kind: str
    """TABLE or EXTERNAL."""
    rows: int


@contextmanager
def emulated_cloud(home: Path) -> Iterator[None]:
    """The emulators, while the block runs, in the place of Google Cloud.

    Changes this process's environment, which is where the resources find what they talk to; the given settings lead
    nowhere else, whatever `.env` says.
    """
    samples = home / "sample-data"
    with running(home / "emulators") as emulators:
        os.environ |= emulators.environment | {
            "TAXI_HOME": str(home),
            "TAXI_SOURCE_URL": samples.as_uri(),
            "GCP_PROJECT_ID": PROJECT,
            "GCP_BUCKET_NAME": BUCKET,
            "GCP_DATASET": DATASET,
            "GCP_LOCATION": "us-central1",
        }
        yield


def load_samples(home: Path) -> Iterator[TripMonth]:
    """Makes the sample files and loads each through the assets; yields a month when it is in its table."""
    job = sample_job("bigquery_tripdata")
    with dg.DagsterInstance.ephemeral() as instance:
        for path in write_samples(home / "sample-data"):
            month = TripMonth.from_file(COLOURS[path.parent.name], path.name.removesuffix(".gz"))
            assert month is not None, path
            load(month, job, instance)
            yield month


def tables() -> list[Table]:
    """Every table of the dataset with its rows, counted."""
    with GoogleBigQuery().warehouse("listed the tables") as warehouse:
        names = sorted(each.table_id for each in warehouse.client.list_tables(DATASET, timeout=60))
        found = []
        for name in map(warehouse.name, names):
            table = warehouse.table(name)
            (row,) = warehouse.run(Sql(f"SELECT COUNT(*) AS n FROM {name.sql}"), {})
            found.append(Table(name.table, str(table and table.table_type), row["n"]))
        return found


def loaded_months() -> list[LoadedMonth]:
    """What BigQuery has of each month, counted in the merged tables; beside it the month's own record."""
    months = []
    with GoogleBigQuery().warehouse("counted the months") as warehouse:
        for colour in COLOURS.values():
            for filename, record in sorted(loaded(warehouse, colour).items()):
                month = TripMonth.from_file(colour, filename)
                if month is not None:
                    rows = rows_held(warehouse, month, record.days, undated=record.undated)
                    months.append(LoadedMonth(month, record.rows, rows, record.rows_skipped))
    return months
