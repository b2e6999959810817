"""The demo of the Google Cloud leg: sample files through bucket and BigQuery, on emulators on this machine.

Emulators keep tables in memory: what is in them is shown before they stop.

Not here: the emulators (`emulators.servers`), and how a month is loaded.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from taxi_platform.destinations.bigquery.tables import Sql
from taxi_platform.google_cloud.resources import GoogleBigQuery
from taxi_platform.local.emulators.servers import running

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
