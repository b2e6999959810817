"""The assets that load a month into the lake."""

import time

import dagster as dg

from taxi_platform.destinations.lake.lake_files import file_path
from taxi_platform.destinations.lake.merge import load
from taxi_platform.destinations.lake.resource import Lake
from taxi_platform.destinations.lake.schema import column_metadata, lake_schema
from taxi_platform.destinations.merge_report import report_merge
from taxi_platform.source.raw_file import RawFile
from taxi_platform.trips.columns import FILENAME, UNIQUE_ROW_ID
from taxi_platform.trips.load_record import LoadedMonth
from taxi_platform.trips.table_schema import union_columns
from taxi_platform.trips.trip_asset import retries, trip_asset


@trip_asset(
    group_name="lake",
    kinds={"parquet", "duckdb"},
    retry_policy=retries(5),
    io_manager_key="lake_months",
    metadata={
        "dagster/uri": "file://<TAXI_LAKE_PATH>/colour=<colour>/month=<YYYY-MM>/<colour>_tripdata_<YYYY-MM>.parquet",
        "dagster/column_schema": lake_schema([UNIQUE_ROW_ID, FILENAME, *union_columns()]),
    },
)
def lake_parquet(
    context: dg.AssetExecutionContext, raw_csv: RawFile, lake: dg.ResourceParam[Lake]
) -> dg.MaterializeResult[LoadedMonth]:
    """The month's rows in one Parquet file of the lake, typed, with their row ids and the name of the published file.

    It has every row of the published file, as many times as the file contains it, unless a file that was loaded earlier
    has that row too. A corrected file replaces the older version in one step.
    """
    began = time.monotonic()
    merged = load(lake, raw_csv)
    path = file_path(lake.folder, raw_csv.month)
    return dg.MaterializeResult(
        value=LoadedMonth(raw_csv.month, merged.record),
        data_version=dg.DataVersion(raw_csv.sha256),
        metadata={
            **report_merge(context, raw_csv.month, merged, time.monotonic() - began),
            **column_metadata(raw_csv.month.colour),
            "dagster/uri": path.as_uri(),
            "bytes": path.stat().st_size,
        },
    )
