"""The group `source`: the published files, which feed both legs.

Not here: how a file is fetched, checked and kept (`resources.mirror`, `file_check`, `io_managers.raw_files`).
"""

import time

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
    """How a file is fetched."""

    refresh: bool = Field(False, description="Fetch the file even when the mirror says that the one here is unchanged.")


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
    """The published gzipped CSV of one taxi colour and month, complete and with every line checked, on local disk.

    A file that is here already is used again while the mirror answers that it is unchanged. After the mirror's end,
    2021-07, it is TLC's own Parquet file, written as such a CSV.
    """
    began = time.monotonic()
    file, reused = raw_files.bring(TripMonth.from_key(context.partition_key), context.log, refresh=config.refresh)
    seconds = time.monotonic() - began
    if file.extra_columns:
        context.log.warning(_not_loaded(file))
    return dg.MaterializeResult(
        value=file,
        data_version=dg.DataVersion(file.sha256),
        metadata={**_facts(file), "reused": reused, "seconds": seconds, **({} if reused else _speed(file, seconds))},
    )


def _facts(file: RawFile) -> dict[str, dg.MetadataValue | dg.TableSchema | str | int | float]:
    """What the web interface shows of a file."""
    return {
        "dagster/uri": file.path.as_uri(),
        "dagster/partition_row_count": file.rows,
        "dagster/column_schema": schema_of(_file_columns(file), _text_form),
        "bytes": file.size,
        "uncompressed_bytes": file.uncompressed_size,
        "sha256": file.sha256,
        "url": dg.MetadataValue.url(file.url),
        "etag": file.etag or "none given",
        "last_modified": file.last_modified or "none given",
        "columns_in_usual_order": file.in_usual_order,
        "preview": _preview(file),
        "extra_columns": ", ".join(file.extra_columns) or "none",
    }


def _not_loaded(file: RawFile) -> str:
    """Return the warning about columns that the registry does not have, with the line that adds the first of them."""
    line = f'Column("{file.extra_columns[0]}", Kind.NUMBER, "<description>", since="{file.month.month}")'
    return (
        f"{file.path.name} has columns that are not loaded: {', '.join(file.extra_columns)}. "
        f"To load one, add it to the colour's columns in taxi_platform/trips/columns.py, for example {line}."
    )


def _preview(file: RawFile) -> dg.TableMetadataValue:
    """The file's first rows, as they stand in it."""
    lines = next(read_blocks(file.path, _PREVIEW_BYTES), b"").splitlines()[:_PREVIEW_ROWS]
    records = [dg.TableRecord(dict(zip(file.header, line.decode().split(","), strict=True))) for line in lines]
    return dg.MetadataValue.table(records, schema=schema_of(_file_columns(file), _text_form))


def _speed(file: RawFile, seconds: float) -> dict[str, float]:
    return {"megabytes_per_second": file.size / 1e6 / seconds}


def _file_columns(file: RawFile) -> list[Column]:
    """The file's own columns in its own order."""
    return [
        column or Column(name, Kind.TEXT, "Not known to the registry, loaded nowhere.")
        for name, column in zip(file.header, file.columns, strict=True)
    ]
