"""The Postgres leg: `raw_csv` → `postgres_staging` → `postgres_tripdata`.

The assets say what a thing is; `io_managers.postgres` writes it and looks after it.
"""

import dagster as dg

from taxi_platform.destinations.postgres.io_managers import StagedMonth, postgres_schema
from taxi_platform.source.raw_file import RawFile
from taxi_platform.trips.columns import FILENAME, UNIQUE_ROW_ID
from taxi_platform.trips.table_schema import union_columns
from taxi_platform.trips.trip_asset import retries, trip_asset

_RETRIES = retries(5)

# Both colours' columns; a run's own schema, with only its colour's, is in that run's metadata.
_SCHEMA = postgres_schema([UNIQUE_ROW_ID, FILENAME, *union_columns()])


@trip_asset(
    group_name="postgres",
    kinds={"postgres"},
    retry_policy=_RETRIES,
    io_manager_key="postgres_staging_tables",
    metadata={
        "dagster/table_name": "trip_months.<colour>_tripdata_<YYYY>_<MM>_staging",
        "dagster/column_schema": _SCHEMA,
    },
)
def postgres_staging(raw_csv: RawFile) -> dg.MaterializeResult[RawFile]:
    """The file's rows, typed, with their row ids, in a table of that partition's own.

    It stands until `postgres_tripdata` puts it in place. A month that is in place from the same file is not staged.
    """
    return dg.MaterializeResult(value=raw_csv, data_version=dg.DataVersion(raw_csv.sha256))


@trip_asset(
    group_name="postgres",
    kinds={"postgres", "table"},
    retry_policy=_RETRIES,
    io_manager_key="postgres_trip_tables",
    metadata={"dagster/table_name": "public.<colour>_tripdata", "dagster/column_schema": _SCHEMA},
)
def postgres_tripdata(postgres_staging: StagedMonth) -> dg.MaterializeResult[StagedMonth]:
    """The month's rows in `public.<colour>_tripdata`, the table to query.

    Every row of the file is there as often as the file has it, unless another file that was loaded before has it too.
    A newer version of the file takes the place of the older one in one step, and readers see one or the other.
    """
    return dg.MaterializeResult(value=postgres_staging, data_version=dg.DataVersion(postgres_staging.sha256))
