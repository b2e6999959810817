"""The assets that load a month into the lake."""

import time
from collections.abc import Iterable, Iterator

import dagster as dg

from taxi_platform.destinations.base import SOURCE
from taxi_platform.destinations.lake.cloud import ensure_external_table, upload_month
from taxi_platform.destinations.lake.lake_files import file_path
from taxi_platform.destinations.lake.merge import load
from taxi_platform.destinations.lake.resource import Lake
from taxi_platform.destinations.lake.writer import TYPES
from taxi_platform.destinations.merge_report import report_merge
from taxi_platform.google_cloud.connection import GoogleCloud
from taxi_platform.source.raw_file import RawFile
from taxi_platform.trips.columns import COLOURS, FILENAME, UNIQUE_ROW_ID, Colour, Column
from taxi_platform.trips.load_record import LoadedMonth
from taxi_platform.trips.partitions import trip_partitions
from taxi_platform.trips.table_schema import column_metadata, schema_of, union_columns
from taxi_platform.trips.trip_asset import OWNERS, retries, trip_asset


def _schema(columns: Iterable[Column]) -> dg.TableSchema:
    return schema_of(columns, lambda column: TYPES[column.kind], folded=True)


def _columns(colour: Colour) -> dict[str, dg.MetadataValue]:
    return column_metadata(_schema(colour.table_columns), colour, colour.row_id, SOURCE)


# The columns of all colours; the metadata of a run has those of its own colour.
_SCHEMA = _schema([UNIQUE_ROW_ID, FILENAME, *union_columns()])


@trip_asset(
    group_name="lake",
    kinds={"parquet", "duckdb"},
    retry_policy=retries(5),
    io_manager_key="lake_months",
    metadata={
        "dagster/uri": "file://<TAXI_LAKE_PATH>/colour=<colour>/month=<YYYY-MM>/<colour>_tripdata_<YYYY-MM>.parquet",
        "dagster/column_schema": _SCHEMA,
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
            **_columns(raw_csv.month.colour),
            "dagster/uri": path.as_uri(),
            "bytes": path.stat().st_size,
        },
    )


@dg.asset(
    group_name="lake",
    kinds={"gcs", "parquet"},
    owners=OWNERS,
    code_version="1",
    partitions_def=trip_partitions,
    retry_policy=retries(10),
    output_required=False,
    metadata={
        "dagster/uri": "gs://<bucket>/lake/colour=<colour>/month=<YYYY-MM>/<colour>_tripdata_<YYYY-MM>.parquet",
        "dagster/column_schema": _SCHEMA,
    },
)
def lake_object(
    context: dg.AssetExecutionContext,
    lake_parquet: LoadedMonth,
    lake: dg.ResourceParam[Lake],
    google_cloud: dg.ResourceParam[GoogleCloud],
) -> Iterator[dg.MaterializeResult]:
    """The month's Parquet file in the bucket, byte for byte, if Google Cloud is configured.

    Without its settings the asset is skipped, so that a lake on this machine needs no account.
    """
    if google_cloud.missing_settings:
        context.log.info(f"Nothing is uploaded, because {' and '.join(google_cloud.missing_settings)} are not set.")
        return
    began = time.monotonic()
    uploaded = upload_month(google_cloud, lake, lake_parquet)
    uri = f"gs://{google_cloud.bucket_name}/{uploaded.blob.name}"
    context.log.info(f"{uri}: {uploaded.blob.size:,} bytes uploaded" if uploaded.sent else f"{uri}: unchanged")
    yield dg.MaterializeResult(
        data_version=dg.DataVersion(uploaded.blob.md5_hash or lake_parquet.record.sha256),
        metadata={
            "dagster/uri": uri,
            "dagster/partition_row_count": lake_parquet.record.rows_in_table,
            "generation": str(uploaded.blob.generation),
            "bytes": uploaded.blob.size or 0,
            "md5": uploaded.blob.md5_hash or "",
            "sha256": lake_parquet.record.sha256,
            "uploaded": uploaded.sent,
            "seconds": round(time.monotonic() - began, 3),
        },
    )


@dg.asset(
    group_name="lake",
    kinds={"bigquery", "parquet"},
    owners=OWNERS,
    code_version="1",
    retry_policy=retries(10),
    output_required=False,
    deps=["gcs_bucket", "bigquery_dataset"],
    metadata={
        "dagster/table_name": "<dataset>.<colour>_tripdata_lake",
        "dagster/column_schema": _SCHEMA,
    },
)
def lake_external(
    context: dg.AssetExecutionContext, google_cloud: dg.ResourceParam[GoogleCloud]
) -> Iterator[dg.MaterializeResult]:
    """One external table per colour over the lake's files in the bucket, which BigQuery reads at each query.

    Months that are uploaded later are in it without another run. Without Google Cloud's settings the asset is skipped.
    """
    if google_cloud.missing_settings:
        context.log.info(f"No table is created, because {' and '.join(google_cloud.missing_settings)} are not set.")
        return
    tables = {}
    for colour in COLOURS.values():
        found = ensure_external_table(google_cloud, colour)
        if found is None:
            context.log.info(f"The bucket has no {colour.name} file of the lake yet, so there is no table for it.")
        else:
            tables[found[0]] = "created" if found[1] else "unchanged"
    if tables:
        yield dg.MaterializeResult(metadata=tables)
