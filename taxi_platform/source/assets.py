"""The asset of the group `source`: the published files, which every destination loads from."""

import time
from typing import Any

import dagster as dg
from pydantic import Field

from taxi_platform.source.file_store import RawFiles
from taxi_platform.source.gzip_lines import read_blocks
from taxi_platform.source.raw_file import RawFile
from taxi_platform.trips.columns import Column, Kind
from taxi_platform.trips.partitions import TripMonth
from taxi_platform.trips.table_schema import schema_of, union_columns
from taxi_platform.trips.trip_asset import retries, trip_asset

_TEXT_FORMS = {
    Kind.TEXT: "text",
    Kind.TIME: "text: YYYY-MM-DD HH:MM:SS",
    Kind.INTEGER: "text: integer",
    Kind.CODE: "text: integer",
    Kind.NUMBER: "text: number",
}
_PREVIEW_ROWS = 5
_PREVIEW_BYTES = 1 << 12


def _text_form(column: Column) -> str:
    return _TEXT_FORMS[column.kind]


class RawCsvConfig(dg.Config):
    """How a file is downloaded."""

    refresh: bool = Field(default=False, description="Download the file even if the mirror declares it unchanged.")


@trip_asset(
    group_name="source",
    kinds={"csv", "file"},
    io_manager_key="raw_files",
    retry_policy=retries(30, times=2),
    metadata={
        "dagster/uri": "file://<TAXI_HOME>/raw/<colour>/<colour>_tripdata_<YYYY-MM>.csv.gz",
        "dagster/column_schema": schema_of(union_columns(), _text_form),
    },
)
def raw_csv(
    context: dg.AssetExecutionContext, config: RawCsvConfig, raw_files: dg.ResourceParam[RawFiles]
) -> dg.MaterializeResult[RawFile]:
    """The published gzipped CSV of one taxi colour and month on local disk, complete and with every line validated.

    A file on disk is reused while the mirror declares it unchanged. Months after 2021-07, the last one of the mirror,
    are converted from TLC's own Parquet files.
    """
    month = TripMonth.from_key(context.partition_key)
    began = time.monotonic()
    file, reused = raw_files.fetch(month, context.log, refresh=config.refresh)
    seconds = time.monotonic() - began
    if file.extra_columns:
        context.log.warning(_not_loaded(file))
    speed = {} if reused else {"megabytes_per_second": file.size / 1e6 / seconds}
    return dg.MaterializeResult(
        value=file,
        data_version=dg.DataVersion(file.sha256),
        metadata={**_facts(file), "reused": reused, "seconds": seconds, **speed},
    )


def _not_loaded(file: RawFile) -> str:
    """Return the warning about columns that the registry does not have, with the line that adds the first of them."""
    line = f'Column("{file.extra_columns[0]}", Kind.NUMBER, "<description>", since="{file.month.month}")'
    return (
        f"{file.path.name} has columns that are not loaded: {', '.join(file.extra_columns)}. "
        f"To load one, add it to the colour's columns in taxi_platform/trips/columns.py, for example {line}."
    )


def _facts(file: RawFile) -> dict[str, Any]:
    """Return the metadata of a file for the web interface."""
    return {
        "dagster/uri": file.path.as_uri(),
        "dagster/partition_row_count": file.rows,
        "dagster/column_schema": schema_of(_file_columns(file), _text_form),
        "bytes": file.size,
        "uncompressed_bytes": file.uncompressed_size,
        "sha256": file.sha256,
        "url": dg.MetadataValue.url(file.url),
        "etag": file.etag or "none",
        "last_modified": file.last_modified or "none",
        "columns_in_usual_order": file.in_usual_order,
        "preview": _preview(file),
        "extra_columns": ", ".join(file.extra_columns) or "none",
    }


def _preview(file: RawFile) -> dg.TableMetadataValue:
    """Return the file's first rows as they are in the file."""
    lines = next(read_blocks(file.path, _PREVIEW_BYTES), b"").splitlines()[:_PREVIEW_ROWS]
    records = [dg.TableRecord(dict(zip(file.header, line.decode().split(","), strict=True))) for line in lines]
    return dg.MetadataValue.table(records, schema=schema_of(_file_columns(file), _text_form))


def _file_columns(file: RawFile) -> list[Column]:
    """Return the file's own columns in the file's order."""
    return [
        column or Column(name, Kind.TEXT, "Not in the column registry, not loaded.")
        for name, column in zip(file.header, file.columns, strict=True)
    ]
