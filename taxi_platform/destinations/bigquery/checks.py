"""The checks of `bigquery_tripdata`, counted in BigQuery; they read the days of the month's file and no other."""

import dagster as dg

from taxi_platform.destinations.bigquery.assets import bigquery_tripdata
from taxi_platform.destinations.bigquery.io_managers import MergedMonth
from taxi_platform.destinations.bigquery.merge import rows_held
from taxi_platform.destinations.checks import accounted_for, as_published, inside_month, trip_check
from taxi_platform.google_cloud.resources import GoogleBigQuery
from taxi_platform.source.mirror import Mirror


@trip_check(bigquery_tripdata)
def every_row_accounted_for(bigquery_tripdata: MergedMonth, bigquery: GoogleBigQuery) -> dg.AssetCheckResult:
    """Rows in the file = rows in the table + rows kept by other files, counted in the table now."""
    month, record = bigquery_tripdata.month, bigquery_tripdata.record
    with bigquery.warehouse(f"checked {month}") as warehouse:
        rows = rows_held(warehouse, month, record.days, undated=record.undated)
    return accounted_for(in_file=record.rows, in_table=rows, kept_elsewhere=record.rows_kept_elsewhere)


@trip_check(bigquery_tripdata)
def rows_as_published(bigquery_tripdata: MergedMonth, mirror: Mirror) -> dg.AssetCheckResult:
    """The file has as many rows as the public mirror's, where these are known and it is the source."""
    return as_published(bigquery_tripdata.month, bigquery_tripdata.record.rows, mirror)


@trip_check(bigquery_tripdata)
def pickups_inside_month(bigquery_tripdata: MergedMonth, bigquery: GoogleBigQuery) -> dg.AssetCheckResult:
    """A few pickups lie outside the file's month; they are loaded as they are, and counted here as a warning."""
    month, record = bigquery_tripdata.month, bigquery_tripdata.record
    outside = [day for day in record.days if not month.has(day)]
    with bigquery.warehouse(f"checked {month}") as warehouse:
        return inside_month(month, rows_held(warehouse, month, outside, undated=record.undated))
