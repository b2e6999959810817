"""The Google Cloud leg: `raw_csv` → `gcs_csv` → `bigquery_external` → `bigquery_monthly` → `bigquery_tripdata`.

The assets say what a thing is; `io_managers.gcs` and `io_managers.bigquery` write it and look after it.
"""

import dagster as dg

from taxi_platform.destinations.bigquery.monthly import ExternalTable, MonthlyTable
from taxi_platform.destinations.bigquery.tables import type_of
from taxi_platform.google_cloud.object_storage import LakeObject
from taxi_platform.google_cloud.resources import GoogleBigQuery, GoogleStorage
from taxi_platform.source.raw_file import RawFile
from taxi_platform.trips.columns import FILENAME, UNIQUE_ROW_ID
from taxi_platform.trips.table_schema import schema_of, union_columns
from taxi_platform.trips.trip_asset import OWNERS, retries, trip_asset

_RETRIES = retries(10)

# Both colours' columns; a run's own schema, with only its colour's, is in that run's metadata. The bucket and the
# dataset show the columns of what they hold.
_FILE_SCHEMA = schema_of(union_columns(), type_of)
_TABLE_SCHEMA = schema_of([UNIQUE_ROW_ID, FILENAME, *union_columns()], type_of)


@dg.asset(
    group_name="bigquery",
    kinds={"gcs"},
    owners=OWNERS,
    code_version="1",
    retry_policy=_RETRIES,
    metadata={"dagster/uri": "gs://<GCP_BUCKET_NAME>", "dagster/column_schema": _FILE_SCHEMA},
)
def gcs_bucket(gcs: GoogleStorage) -> dg.MaterializeResult:
    """The lake's bucket: made in GCP_LOCATION when it is missing, left alone when it is there."""
    bucket, made = gcs.ensure_bucket()
    return dg.MaterializeResult(
        metadata={
            "dagster/uri": f"gs://{bucket.name}",
            "location": bucket.location or "",
            "made": made,
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
)
def bigquery_dataset(bigquery: GoogleBigQuery) -> dg.MaterializeResult:
    """The dataset: made in GCP_LOCATION when it is missing, left alone when it is there."""
    dataset, made = bigquery.ensure_dataset()
    return dg.MaterializeResult(
        metadata={
            "dagster/uri": f"bigquery://{dataset.project}/{dataset.dataset_id}",
            "location": dataset.location or "",
            "made": made,
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
    io_manager_key="lake_objects",
    # The dataset too: what is wrong with it is to be said before anything is sent.
    deps=[gcs_bucket, bigquery_dataset],
    metadata={
        "dagster/uri": "gs://<bucket>/raw/<colour>/<YYYY>/<colour>_tripdata_<YYYY-MM>.csv.gz",
        "dagster/column_schema": _FILE_SCHEMA,
    },
)
def gcs_csv(raw_csv: RawFile) -> dg.MaterializeResult[RawFile]:
    """The published file in the lake, byte for byte: what was published, or written from TLC's Parquet."""
    return dg.MaterializeResult(value=raw_csv, data_version=dg.DataVersion(raw_csv.sha256))


@trip_asset(
    group_name="bigquery",
    kinds={"bigquery", "gcs"},
    retry_policy=_RETRIES,
    io_manager_key="bigquery_external_tables",
    metadata={
        "dagster/table_name": "<dataset>.<colour>_tripdata_<YYYY>_<MM>_ext",
        "dagster/column_schema": _FILE_SCHEMA,
    },
)
def bigquery_external(gcs_csv: LakeObject) -> dg.MaterializeResult[LakeObject]:
    """An external table over the file in the lake: BigQuery reads the object itself when the table is queried."""
    return dg.MaterializeResult(value=gcs_csv, data_version=dg.DataVersion(gcs_csv.sha256))


@trip_asset(
    group_name="bigquery",
    kinds={"bigquery", "table"},
    retry_policy=_RETRIES,
    io_manager_key="bigquery_monthly_tables",
    metadata={
        "dagster/table_name": "<dataset>.<colour>_tripdata_<YYYY>_<MM>",
        "dagster/column_schema": _TABLE_SCHEMA,
    },
)
def bigquery_monthly(bigquery_external: ExternalTable) -> dg.MaterializeResult[ExternalTable]:
    """The month's rows, typed, with their row ids and the name of their file, in a table of their own."""
    return dg.MaterializeResult(value=bigquery_external, data_version=dg.DataVersion(bigquery_external.source.sha256))


@trip_asset(
    group_name="bigquery",
    kinds={"bigquery", "table"},
    retry_policy=_RETRIES,
    io_manager_key="bigquery_merged_tables",
    metadata={"dagster/table_name": "<dataset>.<colour>_tripdata", "dagster/column_schema": _TABLE_SCHEMA},
)
def bigquery_tripdata(bigquery_monthly: MonthlyTable) -> dg.MaterializeResult[MonthlyTable]:
    """The month's rows in `<dataset>.<colour>_tripdata`, the table to query, partitioned by the day of the pickup.

    Every row of the file is there as often as the file has it, unless another file that was loaded before has it too.
    A newer version of the file takes the place of the older one in one step, and readers see one or the other.
    """
    return dg.MaterializeResult(value=bigquery_monthly, data_version=dg.DataVersion(bigquery_monthly.sha256))
