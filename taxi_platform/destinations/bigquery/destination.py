"""BigQuery as a `Destination`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

from taxi_platform.destinations.base import Destination, Resources
from taxi_platform.destinations.bigquery.assets import (
    bigquery_dataset,
    bigquery_external,
    bigquery_monthly,
    bigquery_tripdata,
    gcs_bucket,
    gcs_csv,
)
from taxi_platform.destinations.bigquery.checks import bigquery_checks
from taxi_platform.destinations.bigquery.figures import month_figures
from taxi_platform.destinations.bigquery.io_managers import bigquery_references
from taxi_platform.destinations.bigquery.load_log import Load
from taxi_platform.destinations.bigquery.merged_table import loaded_months
from taxi_platform.destinations.figures import Figures
from taxi_platform.google_cloud.connection import GoogleCloud
from taxi_platform.google_cloud.lazy_resources import lazy_storage, lazy_warehouse
from taxi_platform.trips.columns import Colour, Column
from taxi_platform.trips.load_record import LoadedMonth, LoadRecord
from taxi_platform.trips.partitions import TripMonth

if TYPE_CHECKING:
    from taxi_platform.google_cloud.resources import StorageResource, WarehouseResource


class BigQueryResources(TypedDict, total=False):
    """The destination's resources, by key."""

    google_cloud: GoogleCloud
    gcs: StorageResource
    bigquery: WarehouseResource


class BigQueryDestination(Destination):
    """BigQuery, with the published files in a bucket."""

    name = "bigquery"
    aliases = ("gcp",)
    assets = (gcs_bucket, bigquery_dataset, gcs_csv, bigquery_external, bigquery_monthly, bigquery_tripdata)
    checks = (bigquery_checks,)
    resource_keys = frozenset({"google_cloud"})

    def resources(self, given: Resources) -> dict[str, Any]:
        """Return the connection to Google Cloud and dagster-gcp's resources on it."""
        cloud = given.get("google_cloud") or next(
            (given[key].cloud for key in ("bigquery", "gcs") if key in given), GoogleCloud()
        )
        return {
            "google_cloud": cloud,
            "gcs": lazy_storage(cloud),
            "bigquery": lazy_warehouse(cloud),
            "bigquery_references": bigquery_references,
        }

    def missing_settings(self, resources: Resources) -> Sequence[str]:
        """Return the settings of project and bucket that are neither set nor given to the resource."""
        cloud: GoogleCloud = resources["google_cloud"]
        return cloud.missing_settings

    def loaded_months(self, resources: Resources, colour: Colour) -> Mapping[TripMonth, LoadRecord]:
        """Return the load records in the table `taxi_loads`."""
        return loaded_months(resources["google_cloud"], colour)

    def figures(self, resources: Resources, loaded: LoadedMonth, columns: Sequence[Column]) -> Figures:
        """Return the figures of the month's rows in the merged table."""
        assert isinstance(loaded.record, Load)
        return month_figures(resources["google_cloud"], loaded.month, loaded.record, columns)


BIGQUERY = BigQueryDestination()
