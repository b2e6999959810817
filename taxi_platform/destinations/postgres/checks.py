"""The checks of `postgres_tripdata`, counted in Postgres."""

import dagster as dg
from psycopg import sql

from taxi_platform.destinations.checks import accounted_for, as_published, inside_month, trip_check
from taxi_platform.destinations.postgres.assets import postgres_tripdata
from taxi_platform.destinations.postgres.catalog import count_rows
from taxi_platform.destinations.postgres.io_managers import LoadedMonth
from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.destinations.postgres.tables import is_stray
from taxi_platform.source.mirror import Mirror
from taxi_platform.trips.partitions import TripMonth


@trip_check(postgres_tripdata)
def every_row_accounted_for(postgres_tripdata: LoadedMonth, postgres: Postgres) -> dg.AssetCheckResult:
    """Rows in the file = rows in the table + rows kept by other files, counted in the table now."""
    record = postgres_tripdata.record
    rows = _count(postgres, postgres_tripdata.month)
    return accounted_for(in_file=record.rows, in_table=rows, kept_elsewhere=record.rows_kept_elsewhere)


@trip_check(postgres_tripdata)
def rows_as_published(postgres_tripdata: LoadedMonth, mirror: Mirror) -> dg.AssetCheckResult:
    """The file has as many rows as the public mirror's, where these are known and it is the source."""
    return as_published(postgres_tripdata.month, postgres_tripdata.record.rows, mirror)


@trip_check(postgres_tripdata)
def pickups_inside_month(postgres_tripdata: LoadedMonth, postgres: Postgres) -> dg.AssetCheckResult:
    """A few pickups lie outside the file's month; they are loaded as they are, and counted here as a warning."""
    month = postgres_tripdata.month
    return inside_month(month, _count(postgres, month, is_stray(month, month.colour.pickup)))


def _count(postgres: Postgres, month: TripMonth, condition: sql.Composable | None = None) -> int:
    with postgres.connect(f"checks {month}") as connection:
        return count_rows(connection, month, condition)
