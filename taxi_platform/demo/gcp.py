"""The demo of the BigQuery destination: sample data through the bucket into BigQuery, on emulators on this machine.

The emulators keep tables in memory, so the summary is printed before they stop.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from taxi_platform.google_cloud.connection import GoogleCloud
from taxi_platform.google_cloud.identifiers import Sql
from taxi_platform.local.emulators.servers import running
from taxi_platform.local.instance import embedded_server

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
def emulated_cloud(directory: Path) -> Iterator[None]:
    """Run the emulators during the block, with the environment of this process set to use them.

    It sets all settings that a `.env` file could contain, so that nothing else is contacted.
    """
    samples = directory / "sample-data"
    with running(directory / "emulators") as emulators:
        os.environ |= emulators.environment | {
            "TAXI_HOME": str(directory),
            "TAXI_SOURCE_URL": samples.as_uri(),
            "GCP_PROJECT_ID": PROJECT,
            "GCP_BUCKET_NAME": BUCKET,
            "GCP_DATASET": DATASET,
            "GCP_LOCATION": "us-central1",
        }
        yield


@contextmanager
def own_postgres(directory: Path) -> Iterator[None]:
    """Run an embedded server of the demo's own during the block, to compare marts with."""
    server = embedded_server(directory)
    server.start()
    try:
        os.environ["TAXI_POSTGRES_URL"] = server.ensure_database()
        yield
    finally:
        server.remove()


def tables() -> list[Table]:
    """Return every table of the dataset with its number of rows."""
    found = []
    with GoogleCloud().open_dataset("listing the tables") as dataset:
        for item in dataset.client.list_tables(DATASET, timeout=60):
            name = dataset.table_name(item.table_id)
            table = dataset.get_table(name)
            (row,) = dataset.run(Sql(f"SELECT COUNT(*) AS n FROM {name.sql}"), {})
            found.append(Table(name.table, str(table and table.table_type), row["n"]))
    return sorted(found, key=lambda table: table.name)
