"""Asset checks: what must hold of a loaded month, asked of the database after it was loaded.

What must never be visible is checked inside the merge's transaction, not here.
"""

import warnings
from collections.abc import Callable

import dagster as dg
from psycopg import sql

from taxi_platform.assets.postgres import postgres_tripdata
from taxi_platform.io_managers.postgres import LoadedMonth
from taxi_platform.partitions import TripMonth, trip_partitions
from taxi_platform.postgres.tables import is_stray, parent_table
from taxi_platform.published import published_rows
from taxi_platform.resources.mirror import Mirror
from taxi_platform.resources.postgres import Postgres


def trip_check(asset: dg.AssetsDefinition) -> Callable[[Callable[..., dg.AssetCheckResult]], dg.AssetChecksDefinition]:
    """Declares a check of each partition of an asset that has trips."""

    def declare(check: Callable[..., dg.AssetCheckResult]) -> dg.AssetChecksDefinition:
        with warnings.catch_warnings():
            # Dagster 1.13 calls partitioned checks a preview; the version is pinned.
            warnings.simplefilter("ignore", dg.PreviewWarning)
            return dg.asset_check(asset=asset, partitions_def=trip_partitions)(check)

    return declare


@trip_check(postgres_tripdata)
def every_row_accounted_for(postgres_tripdata: LoadedMonth, postgres: Postgres) -> dg.AssetCheckResult:
    """Rows in the file = rows in the table + rows kept by other files, counted in the table now."""
    record = postgres_tripdata.record
    rows = _count(postgres, postgres_tripdata.month)
    return dg.AssetCheckResult(
        passed=record.rows == rows + record.rows_kept_elsewhere,
        metadata={
            "rows_in_file": record.rows,
            "rows_in_table": rows,
            "rows_kept_by_other_files": record.rows_kept_elsewhere,
        },
    )


@trip_check(postgres_tripdata)
def rows_as_published(postgres_tripdata: LoadedMonth, mirror: Mirror) -> dg.AssetCheckResult:
    """The file has as many rows as the public mirror's, where these are known and it is the source."""
    published = published_rows(postgres_tripdata.month) if mirror.is_public else None
    return dg.AssetCheckResult(
        passed=published in (None, postgres_tripdata.record.rows),
        description=None if published else "Not known for this source and month.",
        metadata={"rows_in_file": postgres_tripdata.record.rows, "rows_published": published or "not known"},
    )


@trip_check(postgres_tripdata)
def pickups_inside_month(postgres_tripdata: LoadedMonth, postgres: Postgres) -> dg.AssetCheckResult:
    """A few pickups lie outside the file's month; they are loaded as they are, and counted here as a warning."""
    month = postgres_tripdata.month
    strays = _count(postgres, month, is_stray(month, month.colour.pickup))
    return dg.AssetCheckResult(
        passed=strays == 0,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{strays:,} pickups lie outside {month.month}.",
        metadata={"pickups_outside_month": strays},
    )


def _count(postgres: Postgres, month: TripMonth, condition: sql.Composable | None = None) -> int:
    query = sql.SQL("select count(*) from {} where filename = {} and ({})").format(
        parent_table(month.colour), sql.Literal(month.filename), condition or sql.SQL("true")
    )
    with postgres.connect(f"checks {month}") as connection:
        found = connection.execute(query).fetchone()
    return found[0] if found else 0
