"""The IO manager of the destination's assets: it passes references to objects and tables, never rows.

The assets themselves store a month. Within a run the IO manager passes on the reference that an asset returned; in a
run that does not materialize the upstream asset it looks the reference up in Google Cloud.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import dagster as dg

from taxi_platform.destinations.bigquery.merged_table import loaded_files
from taxi_platform.destinations.bigquery.monthly import (
    ExternalTable,
    MonthlyTable,
    find_external,
    find_monthly,
)
from taxi_platform.destinations.bigquery.object_storage import CsvObject, find_csv, object_name
from taxi_platform.destinations.bigquery.tables import external_name, monthly_name
from taxi_platform.errors import NotStaged
from taxi_platform.google_cloud.connection import GoogleCloud
from taxi_platform.trips.load_record import LoadedMonth
from taxi_platform.trips.partitions import TripMonth


class References(dg.IOManager):
    """References to a month's object and tables."""

    def __init__(self) -> None:
        self._stored: dict[tuple[dg.AssetKey, str], object] = {}

    def handle_output(self, context: dg.OutputContext, obj: object) -> None:
        """Keep the reference for the rest of the run; the asset has stored what it refers to."""
        self._stored[context.asset_key, context.asset_partition_key] = obj

    def load_input(self, context: dg.InputContext) -> object:
        """Return the reference of this run, else look it up. Raise NotStaged if the object or table does not exist."""
        key = (context.asset_key, context.asset_partition_key)
        if key not in self._stored:
            find = _LOOKUPS[context.asset_key.path[-1]]
            self._stored[key] = find(context.resources.google_cloud, TripMonth.from_key(context.asset_partition_key))
        return self._stored[key]


@dg.io_manager(
    # Not dagster-gcp's resources: Dagster initializes the IO manager in every run that the freshness check is part of.
    required_resource_keys={"google_cloud"},
    description="Passes references to the month's object and tables between the assets.",
)
def bigquery_references(_: dg.InitResourceContext) -> References:
    """Return an IO manager for one run."""
    return References()


def _csv(cloud: GoogleCloud, month: TripMonth) -> CsvObject:
    with cloud.open_bucket(f"finding the object of {month}") as bucket:
        found = find_csv(bucket, month, retry_seconds=cloud.retry_seconds)
    return found or _missing(f"gs://{cloud.bucket_name}/{object_name(month)}", month)


def _external(cloud: GoogleCloud, month: TripMonth) -> ExternalTable:
    operation = f"finding the external table of {month}"
    with cloud.open_bucket(operation) as bucket, cloud.open_dataset(operation) as dataset:
        found = find_external(dataset, bucket, month)
    return found or _missing(str(dataset.table_name(external_name(month))), month)


def _monthly(cloud: GoogleCloud, month: TripMonth) -> MonthlyTable:
    with cloud.open_dataset(f"finding the monthly table of {month}") as dataset:
        found = find_monthly(dataset, month)
    return found or _missing(str(dataset.table_name(monthly_name(month))), month)


def _loaded(cloud: GoogleCloud, month: TripMonth) -> LoadedMonth:
    with cloud.open_dataset(f"finding the load record of {month}") as dataset:
        record = loaded_files(dataset, month.colour).get(month.filename)
    return LoadedMonth(month, record) if record else _missing(f"The load record of {month}", month)


def _missing(name: str, month: TripMonth) -> NoReturn:
    raise NotStaged(
        f"{name} does not exist, is unfinished, or belongs to another version of the file.",
        f"Materialize it with its upstream assets: --select '+key:bigquery_tripdata' --partition '{month}'.",
    )


_LOOKUPS: dict[str, Callable[[GoogleCloud, TripMonth], object]] = {
    "gcs_csv": _csv,
    "bigquery_external": _external,
    "bigquery_monthly": _monthly,
    "bigquery_tripdata": _loaded,
}
