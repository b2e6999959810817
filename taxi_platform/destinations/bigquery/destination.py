"""The BigQuery destination: what it offers to the rest of the platform."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

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
from taxi_platform.destinations.bigquery.io_managers import ExternalTables, MergedTables, MonthlyTables
from taxi_platform.destinations.bigquery.load_log import Load
from taxi_platform.destinations.bigquery.loaded import loaded_months
from taxi_platform.destinations.bigquery.object_io_manager import LakeObjects
from taxi_platform.destinations.figures import Figures
from taxi_platform.google_cloud.resources import GoogleBigQuery, GoogleStorage
from taxi_platform.settings import Settings
from taxi_platform.trips.columns import Colour, Column
from taxi_platform.trips.load_record import LoadedMonth, LoadRecord
from taxi_platform.trips.partitions import TripMonth


class BigQueryResources(TypedDict, total=False):
    """The destination's resources and IO managers, by key."""

    gcs: GoogleStorage
    bigquery: GoogleBigQuery
    lake_objects: LakeObjects
    bigquery_external_tables: ExternalTables
    bigquery_monthly_tables: MonthlyTables
    bigquery_merged_tables: MergedTables


class BigQueryDestination(Destination):
    """BigQuery, with the published files in a bucket."""

    name = "bigquery"
    aliases = ("gcp",)
    assets = (gcs_bucket, bigquery_dataset, gcs_csv, bigquery_external, bigquery_monthly, bigquery_tripdata)
    checks = (bigquery_checks,)
    resource_keys = frozenset({"gcs", "bigquery"})

    def resources(self, given: Resources) -> dict[str, Any]:
        """Return bucket and dataset and the IO managers on them."""
        gcs = given.get("gcs") or GoogleStorage()
        bigquery = given.get("bigquery") or GoogleBigQuery()
        return {
            "gcs": gcs,
            "bigquery": bigquery,
            "lake_objects": LakeObjects(gcs=gcs),
            "bigquery_external_tables": ExternalTables(gcs=gcs, bigquery=bigquery),
            "bigquery_monthly_tables": MonthlyTables(gcs=gcs, bigquery=bigquery),
            "bigquery_merged_tables": MergedTables(bigquery=bigquery),
        }

    def missing_settings(self, resources: Resources) -> Sequence[str]:
        """Return the settings of project and bucket that are neither set nor given to the resources."""
        settings = Settings()
        found = {
            "GCP_PROJECT_ID": resources["bigquery"].project or settings.gcp_project,
            "GCP_BUCKET_NAME": resources["gcs"].bucket or settings.gcp_bucket,
        }
        return [name for name, value in found.items() if not value]

    def loaded_months(self, resources: Resources, colour: Colour) -> Mapping[TripMonth, LoadRecord]:
        """Return the load records in the table `taxi_loads`."""
        return loaded_months(resources["bigquery"], colour)

    def figures(self, resources: Resources, loaded: LoadedMonth, columns: Sequence[Column]) -> Figures:
        """Return the figures of the month's rows in the merged table."""
        assert isinstance(loaded.record, Load)
        return month_figures(resources["bigquery"], loaded.month, loaded.record, columns)


BIGQUERY = BigQueryDestination()
