"""The BigQuery destination: `raw_csv` → `gcs_csv` → `bigquery_external` → `bigquery_monthly` → `bigquery_tripdata`."""

import time
from typing import TYPE_CHECKING

import dagster as dg

from taxi_platform.destinations.base import SOURCE
from taxi_platform.destinations.bigquery.merge import merge
from taxi_platform.destinations.bigquery.monthly import (
    ExternalTable,
    MonthlyTable,
    create_external,
    create_monthly,
    preview,
)
from taxi_platform.destinations.bigquery.object_storage import CsvObject, object_name, upload_csv
from taxi_platform.destinations.bigquery.tables import (
    external_columns,
    external_name,
    monthly_name,
    table_columns,
    type_of,
)
from taxi_platform.destinations.merge_report import report_merge
from taxi_platform.google_cloud.bucket import console_url, ensure_bucket
from taxi_platform.google_cloud.dataset import Work, ensure_dataset
from taxi_platform.google_cloud.identifiers import TableName
from taxi_platform.source.raw_file import RawFile
from taxi_platform.trips.columns import FILENAME, UNIQUE_ROW_ID, Colour
from taxi_platform.trips.load_record import LoadedMonth
from taxi_platform.trips.table_schema import column_metadata, schema_of, union_columns
from taxi_platform.trips.trip_asset import OWNERS, retries, trip_asset

if TYPE_CHECKING:
    from taxi_platform.google_cloud.resources import StorageResource, WarehouseResource

_RETRIES = retries(10)

# The columns of all colours; the metadata of a materialization has those of its colour.
_FILE_SCHEMA = schema_of(union_columns(), type_of)
_TABLE_SCHEMA = schema_of([UNIQUE_ROW_ID, FILENAME, *union_columns()], type_of)


@dg.asset(
    group_name="bigquery",
    kinds={"gcs"},
    owners=OWNERS,
    code_version="1",
    retry_policy=_RETRIES,
    metadata={"dagster/uri": "gs://<GCP_BUCKET_NAME>", "dagster/column_schema": _FILE_SCHEMA},
    required_resource_keys={"gcs"},
)
def gcs_bucket(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """The bucket for published files, created in GCP_LOCATION if it does not exist, and otherwise left as it is."""
    gcs: StorageResource = context.resources.gcs
    bucket, created = ensure_bucket(gcs.cloud)
    return dg.MaterializeResult(
        metadata={
            "dagster/uri": f"gs://{bucket.name}",
            "location": bucket.location or "",
            "created": created,
            "console": dg.MetadataValue.url(f"https://console.cloud.google.com/storage/browser/{bucket.name}"),
        }
    )


@dg.asset(
    group_name="bigquery",
    kinds={"bigquery"},
    owners=OWNERS,
    code_version="1",
    retry_policy=_RETRIES,
    metadata={"dagster/uri": "bigquery://<GCP_PROJECT_ID>/<GCP_DATASET>", "dagster/column_schema": _TABLE_SCHEMA},
    required_resource_keys={"bigquery"},
)
def bigquery_dataset(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """The dataset for trip tables, created in GCP_LOCATION if it does not exist, and otherwise left as it is."""
    warehouse: WarehouseResource = context.resources.bigquery
    dataset, created = ensure_dataset(warehouse.cloud)
    return dg.MaterializeResult(
        metadata={
            "dagster/uri": f"bigquery://{dataset.project}/{dataset.dataset_id}",
            "location": dataset.location or "",
            "created": created,
            "console": dg.MetadataValue.url(
                f"https://console.cloud.google.com/bigquery?project={dataset.project}"
                f"&ws=!1m4!1m3!3m2!1s{dataset.project}!2s{dataset.dataset_id}"
            ),
        }
    )


@trip_asset(
    group_name="bigquery",
    kinds={"gcs", "csv"},
    retry_policy=_RETRIES,
    io_manager_key="bigquery_references",
    # The dataset too, so that an error in its settings is reported before anything is uploaded.
    deps=[gcs_bucket, bigquery_dataset],
    metadata={
        "dagster/uri": "gs://<bucket>/raw/<colour>/<YYYY>/<colour>_tripdata_<YYYY-MM>.csv.gz",
        "dagster/column_schema": _FILE_SCHEMA,
    },
    required_resource_keys={"gcs"},
)
def gcs_csv(context: dg.AssetExecutionContext, raw_csv: RawFile) -> dg.MaterializeResult[CsvObject]:
    """The published file in the bucket, byte for byte. An object that is equal already is not uploaded again."""
    began = time.monotonic()
    gcs: StorageResource = context.resources.gcs
    with gcs.open_bucket(f"uploading {raw_csv.path.name}") as bucket:
        found, sent = upload_csv(bucket, raw_csv, retry_seconds=gcs.cloud.retry_seconds)
    seconds = time.monotonic() - began
    context.log.info(
        f"{found.uri}: {found.size:,} bytes uploaded in {seconds:.1f} s" if sent else f"{found.uri}: unchanged"
    )
    return dg.MaterializeResult(
        value=found,
        data_version=dg.DataVersion(found.sha256),
        metadata={
            "dagster/uri": found.uri,
            "dagster/partition_row_count": found.rows,
            "generation": str(found.generation),
            "bytes": found.size,
            "md5": found.md5,
            "sha256": found.sha256,
            "uploaded": sent,
            "console": dg.MetadataValue.url(console_url(bucket, object_name(found.month))),
            "seconds": round(seconds, 3),
        },
    )


@trip_asset(
    group_name="bigquery",
    kinds={"bigquery", "gcs"},
    retry_policy=_RETRIES,
    io_manager_key="bigquery_references",
    metadata={
        "dagster/table_name": "<dataset>.<colour>_tripdata_<YYYY>_<MM>_ext",
        "dagster/column_schema": _FILE_SCHEMA,
    },
    required_resource_keys={"bigquery"},
)
def bigquery_external(context: dg.AssetExecutionContext, gcs_csv: CsvObject) -> dg.MaterializeResult[ExternalTable]:
    """An external table over the object: BigQuery reads the file itself when the table is queried."""
    warehouse: WarehouseResource = context.resources.bigquery
    with warehouse.open_dataset(f"creating the external table of {gcs_csv.month}") as dataset:
        external, created = create_external(dataset, gcs_csv)
    name = dataset.table_name(external_name(gcs_csv.month))
    context.log.info(f"{name} reads {gcs_csv.uri}" if created else f"{name}: unchanged")
    return dg.MaterializeResult(
        value=external,
        data_version=dg.DataVersion(gcs_csv.sha256),
        metadata={
            "dagster/column_schema": schema_of(external_columns(gcs_csv.header, gcs_csv.columns), type_of),
            "dagster/uri": gcs_csv.uri,
            "generation": str(gcs_csv.generation),
            "sha256": gcs_csv.sha256,
            "created": created,
            **_table(name),
        },
    )


@trip_asset(
    group_name="bigquery",
    kinds={"bigquery", "table"},
    retry_policy=_RETRIES,
    io_manager_key="bigquery_references",
    metadata={
        "dagster/table_name": "<dataset>.<colour>_tripdata_<YYYY>_<MM>",
        "dagster/column_schema": _TABLE_SCHEMA,
    },
    required_resource_keys={"gcs", "bigquery"},
)
def bigquery_monthly(
    context: dg.AssetExecutionContext, bigquery_external: ExternalTable
) -> dg.MaterializeResult[MonthlyTable]:
    """The month's rows, typed, with their row ids and the name of their file, in a table of their own."""
    began = time.monotonic()
    month = bigquery_external.month
    gcs: StorageResource = context.resources.gcs
    warehouse: WarehouseResource = context.resources.bigquery
    operation = f"creating the monthly table of {month}"
    with gcs.open_bucket(operation) as bucket, warehouse.open_dataset(operation) as dataset:
        monthly, created = create_monthly(dataset, bucket, bigquery_external)
        rows = preview(dataset, month)
    seconds = time.monotonic() - began
    name = dataset.table_name(monthly_name(month))
    context.log.info(f"{name}: {monthly.rows:,} rows in {seconds:.1f} s" if created else f"{name}: unchanged")
    return dg.MaterializeResult(
        value=monthly,
        data_version=dg.DataVersion(monthly.sha256),
        metadata={
            "dagster/partition_row_count": monthly.rows,
            "created": created,
            "rows_per_second": round(monthly.rows / seconds),
            "sha256": monthly.sha256,
            "seconds": round(seconds, 3),
            **_rows(month.colour, rows, dataset.work),
            **_table(name),
        },
    )


@trip_asset(
    group_name="bigquery",
    kinds={"bigquery", "table"},
    retry_policy=_RETRIES,
    io_manager_key="bigquery_references",
    metadata={"dagster/table_name": "<dataset>.<colour>_tripdata", "dagster/column_schema": _TABLE_SCHEMA},
    required_resource_keys={"bigquery"},
)
def bigquery_tripdata(
    context: dg.AssetExecutionContext, bigquery_monthly: MonthlyTable
) -> dg.MaterializeResult[LoadedMonth]:
    """The month's rows in `<dataset>.<colour>_tripdata`, the table to query, partitioned by the day of the pickup.

    Every row of the file is in the table as many times as the file contains it, except rows that appear in a file that
    was loaded before. A corrected file replaces the older version in one transaction.
    """
    began = time.monotonic()
    month = bigquery_monthly.month
    warehouse: WarehouseResource = context.resources.bigquery
    merged = merge(warehouse, bigquery_monthly)
    with warehouse.open_dataset(f"previewing {month}") as dataset:
        rows = preview(dataset, month)
    return dg.MaterializeResult(
        value=LoadedMonth(month, merged.record),
        data_version=dg.DataVersion(bigquery_monthly.sha256),
        metadata={
            **report_merge(context, month, merged, time.monotonic() - began),
            **_rows(month.colour, rows, merged.work),
            **_table(dataset.table_name(month.colour.table)),
        },
    )


def _table(name: TableName) -> dict[str, dg.MetadataValue]:
    return {"dagster/table_name": dg.MetadataValue.text(str(name)), "console": dg.MetadataValue.url(name.console_url)}


def _rows(colour: Colour, preview_rows: list[dict[str, str]], work: Work) -> dict[str, dg.MetadataValue]:
    """Return a preview, what the jobs cost, and the columns with the columns of the file that they come from."""
    schema = schema_of(table_columns(colour), type_of)
    return {
        "preview": dg.MetadataValue.table([dg.TableRecord({**row}) for row in preview_rows], schema=schema),
        **column_metadata(schema, colour, colour.short_row_id, SOURCE),
        **work.metadata,
    }
