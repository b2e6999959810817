"""The lake's files in Google Cloud: copies in the bucket, and external tables of BigQuery over them."""

from __future__ import annotations

from taxi_platform.destinations.lake.lake_files import file_path
from taxi_platform.destinations.lake.resource import Lake
from taxi_platform.destinations.lake.snapshot import snapshot
from taxi_platform.errors import NotStaged
from taxi_platform.google_cloud.bucket import Uploaded, ensure_bucket, upload
from taxi_platform.google_cloud.connection import GoogleCloud
from taxi_platform.google_cloud.libraries import bigquery
from taxi_platform.trips.columns import Colour, Kind
from taxi_platform.trips.load_record import LoadedMonth
from taxi_platform.trips.partitions import TripMonth

CONTENT_TYPE = "application/vnd.apache.parquet"

BIGQUERY_TYPES = {
    Kind.TEXT: "STRING",
    Kind.TIME: "DATETIME",
    Kind.INTEGER: "INTEGER",
    Kind.CODE: "INTEGER",
    Kind.NUMBER: "FLOAT",
}
"""How BigQuery reads the types of the files; its times without a zone are DATETIME."""


def object_name(month: TripMonth) -> str:
    """Return `lake/colour=<colour>/month=<YYYY-MM>/<colour>_tripdata_<YYYY-MM>.parquet`."""
    return f"lake/colour={month.colour.name}/month={month.month}/{month.parquet_name}"


def upload_month(cloud: GoogleCloud, lake: Lake, loaded: LoadedMonth) -> Uploaded:
    """Upload a month's file, unless the object is equal already. Create the bucket if it does not exist."""
    try:
        return _upload(cloud, lake, loaded)
    except NotStaged:
        ensure_bucket(cloud)
        return _upload(cloud, lake, loaded)


def _upload(cloud: GoogleCloud, lake: Lake, loaded: LoadedMonth) -> Uploaded:
    path = file_path(lake.folder, loaded.month)
    with snapshot(lake, [path]) as files, cloud.open_bucket(f"uploading {path.name}") as bucket:
        if not files:
            raise NotStaged(f"{path} does not exist.", "Materialize lake_parquet first.")
        return upload(
            bucket,
            files[0],
            object_name(loaded.month),
            metadata={"sha256": loaded.record.sha256, "rows": str(loaded.record.rows_in_table)},
            content_type=CONTENT_TYPE,
            retry_seconds=cloud.retry_seconds,
        )


def ensure_external_table(cloud: GoogleCloud, colour: Colour) -> tuple[str, bool] | None:
    """Return the name of the colour's external table and whether it was created or recreated just now.

    Return None if the bucket has no file of the colour: BigQuery needs one to create the table.
    """
    prefix = f"lake/colour={colour.name}/"
    with cloud.open_bucket(f"listing {prefix}") as bucket:
        if not list(bucket.list_blobs(prefix=prefix, max_results=1)):
            return None
    with cloud.open_dataset(f"creating the external table over {prefix}") as dataset:
        name = dataset.table_name(f"{colour.table}_lake")
        wanted = _external_table(str(name), f"gs://{cloud.bucket_name}/lake", colour)
        found = dataset.get_table(name)
        if found is not None and _is_equal(found, wanted):
            return str(name), False
        dataset.drop_table(name)
        dataset.create_table(wanted)
        return str(name), True


def _external_table(name: str, root: str, colour: Colour) -> bigquery.Table:
    partitions = bigquery.HivePartitioningOptions()
    partitions.mode = "CUSTOM"
    partitions.source_uri_prefix = f"{root}/{{colour:STRING}}/{{month:STRING}}"
    partitions.require_partition_filter = False
    configuration = bigquery.ExternalConfig("PARQUET")
    configuration.source_uris = [f"{root}/colour={colour.name}/*"]
    configuration.hive_partitioning = partitions
    fields = [
        bigquery.SchemaField(column.folded_name, BIGQUERY_TYPES[column.kind], description=column.description)
        for column in colour.table_columns
    ]
    table = bigquery.Table(name, schema=fields)
    table.external_data_configuration = configuration
    table.description = f"The {colour.name} trips of the Parquet lake, read from the bucket at each query."
    return table


def _is_equal(found: bigquery.Table, wanted: bigquery.Table) -> bool:
    """Return whether a table reads the same files with the same columns; BigQuery appends those of the folders."""
    before, after = found.external_data_configuration, wanted.external_data_configuration
    columns = [(field.name, field.field_type) for field in wanted.schema]
    return (
        before is not None
        and after is not None
        and before.source_uris == after.source_uris
        and [(field.name, field.field_type) for field in found.schema][: len(columns)] == columns
    )
