"""The assets that load a month into PostgreSQL."""

import time

import dagster as dg

from taxi_platform.destinations.base import SOURCE
from taxi_platform.destinations.merge_report import report_merge
from taxi_platform.destinations.postgres.merge import merge
from taxi_platform.destinations.postgres.metadata import postgres_schema, preview
from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.destinations.postgres.staging import StagedMonth, stage
from taxi_platform.destinations.postgres.tables import SCHEMA, parent_name, partition_table, staging_name, staging_table
from taxi_platform.source.raw_file import RawFile
from taxi_platform.trips.columns import FILENAME, UNIQUE_ROW_ID, Colour
from taxi_platform.trips.load_record import LoadedMonth
from taxi_platform.trips.table_schema import column_metadata, union_columns
from taxi_platform.trips.trip_asset import retries, trip_asset

_RETRIES = retries(5)

# The columns of all colours; the metadata of a run has those of its own colour.
_SCHEMA = postgres_schema([UNIQUE_ROW_ID, FILENAME, *union_columns()])


@trip_asset(
    group_name="postgres",
    kinds={"postgres"},
    retry_policy=_RETRIES,
    io_manager_key="postgres_months",
    metadata={
        "dagster/table_name": "trip_months.<colour>_tripdata_<YYYY>_<MM>_staging",
        "dagster/column_schema": _SCHEMA,
    },
)
def postgres_staging(
    context: dg.AssetExecutionContext, raw_csv: RawFile, postgres: dg.ResourceParam[Postgres]
) -> dg.MaterializeResult[StagedMonth]:
    """The file's rows, typed, with their row ids, in a staging table of this partition's own.

    The table exists until `postgres_tripdata` attaches it. A month that is loaded from the same file is not staged.
    """
    month, began = raw_csv.month, time.monotonic()
    context.log.info(f"{month.filename}: staging {raw_csv.rows:,} rows, {raw_csv.uncompressed_size:,} bytes")
    staged = stage(postgres, raw_csv)
    seconds = time.monotonic() - began
    metadata = {"sha256": raw_csv.sha256, "seconds": round(seconds, 3), **_columns(month.colour)}
    if staged.is_loaded:
        context.log.info(f"{month.filename}: unchanged and loaded already, nothing to stage")
        metadata |= {"rows_staged": 0, "already_loaded": True}
    else:
        context.log.info(f"{month.filename}: {staged.record.rows:,} rows staged in {seconds:.1f} s")
        metadata |= {
            "dagster/table_name": f"{SCHEMA}.{staging_name(month)}",
            "dagster/partition_row_count": staged.record.rows,
            "rows_staged": staged.record.rows,
            "pickups_outside_month": staged.record.out_of_month,
            "bytes": raw_csv.uncompressed_size,
            "rows_per_second": round(staged.record.rows / max(seconds, 0.001)),
            "preview": preview(postgres, month.colour, staging_table(month)),
        }
    return dg.MaterializeResult(value=staged, data_version=dg.DataVersion(raw_csv.sha256), metadata=metadata)


@trip_asset(
    group_name="postgres",
    kinds={"postgres", "table"},
    retry_policy=_RETRIES,
    io_manager_key="postgres_months",
    metadata={"dagster/table_name": "public.<colour>_tripdata", "dagster/column_schema": _SCHEMA},
)
def postgres_tripdata(
    context: dg.AssetExecutionContext, postgres_staging: StagedMonth, postgres: dg.ResourceParam[Postgres]
) -> dg.MaterializeResult[LoadedMonth]:
    """The month's rows in `public.<colour>_tripdata`, the table to query.

    It has every row of the file, as many times as the file contains it, unless a file that was loaded earlier has that
    row too. A corrected file replaces the older version in one step, and a query sees one or the other.
    """
    month, began = postgres_staging.month, time.monotonic()
    merged = merge(postgres, month)
    return dg.MaterializeResult(
        value=LoadedMonth(month, merged.record),
        data_version=dg.DataVersion(merged.record.sha256),
        metadata={
            "dagster/table_name": parent_name(month.colour),
            **report_merge(context, month, merged, time.monotonic() - began),
            "preview": preview(postgres, month.colour, partition_table(month)),
            **_columns(month.colour),
        },
    )


def _columns(colour: Colour) -> dict[str, dg.MetadataValue]:
    return column_metadata(postgres_schema(colour.table_columns), colour, colour.row_id, SOURCE)
