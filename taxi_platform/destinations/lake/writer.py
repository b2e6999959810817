"""Writes the rows of a published file as a Parquet file, in DuckDB: no row passes through Python."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from taxi_platform.destinations.lake.lake_files import RECORD_KEY
from taxi_platform.destinations.lake.libraries import duckdb
from taxi_platform.destinations.lake.sql import statement
from taxi_platform.errors import BadFile, SourceUnavailable
from taxi_platform.source.raw_file import RawFile
from taxi_platform.trips.columns import Colour, Column, Kind
from taxi_platform.trips.load_record import LoadRecord

TYPES = {
    Kind.TEXT: "VARCHAR",
    Kind.TIME: "TIMESTAMP",
    Kind.INTEGER: "INTEGER",
    Kind.CODE: "INTEGER",
    Kind.NUMBER: "DOUBLE",
}

BUFFER_BYTES = 4 << 20
"""Of the CSV reader, which keeps several: its default of 32 MB costs 100 MB more memory and gains no time."""

SPARE_BYTES = 512
"""Kept free in the metadata for the fields of the load record that are known only once the rows are written."""

CORRECT = "The published file must be corrected. The lake was not changed."

_COPY = "copy ({rows}) to $target (format parquet, compression zstd, kv_metadata {{{key}: $record}})"


def write_rows(connection: duckdb.DuckDBPyConnection, file: RawFile, target: Path, record: str) -> None:
    """Write all rows of a published file, with this load record in the metadata.

    Raise BadFile for a value that does not fit its type, SourceUnavailable if the file was replaced meanwhile.
    """
    before = _file_on_disk(file)
    query, parameters = typed_rows(file)
    try:
        connection.execute(statement("postgres_text"))
        rows = _copy(connection, query, {**parameters, "target": str(target), "record": record})
    except (duckdb.ConversionException, duckdb.InvalidInputException) as error:
        raise _bad_value(file, str(error)) from None
    if _file_on_disk(file) != before or _sha256(file) != file.sha256 or rows != file.rows:
        raise SourceUnavailable(
            f"{file.path} was replaced while it was read.",
            "Load the month again, with the file as it is now. The lake was not changed.",
        )
    _refuse_out_of_range(connection, file, target)


def typed_rows(file: RawFile) -> tuple[str, dict[str, Any]]:
    """Return the query for a published file's rows as the lake stores them, and its parameters.

    It uses the macro of the statement `postgres_text`.
    """
    query = statement(
        "typed_rows",
        row_id_texts=_row_id_texts(file.month.colour),
        columns=_columns(file),
        buffer_size=str(BUFFER_BYTES),
    )
    return query, {
        "csv": str(file.path),
        "csv_columns": _csv_columns(file),
        "filename": file.month.filename,
    }


def _refuse_out_of_range(connection: duckdb.DuckDBPyConnection, file: RawFile, target: Path) -> None:
    """Raise BadFile for a number or a time that DuckDB reads and Postgres does not store.

    The file's statistics show which columns to read: those of a column with an infinite number have no limits.
    """
    found = connection.execute(
        "select distinct path_in_schema from parquet_metadata($path) where stats_min like '%(BC)%' "
        "or type = 'DOUBLE' and stats_max is null and stats_null_count < num_values",
        {"path": str(target)},
    ).fetchall()
    suspects = {name for (name,) in found}
    for column in file.month.colour.columns:
        condition, what = f"isinf({quoted(column)})", "a number is too large."
        if column.kind is Kind.TIME:
            condition, what = f"year({quoted(column)}) < 1", "a time lies before the year 1."
        query = f"select 1 from read_parquet($path) where {condition} limit 1"
        if column.folded_name in suspects and connection.execute(query, {"path": str(target)}).fetchone():
            raise BadFile(what, CORRECT, filename=file.month.filename, column=column.name)


def write_rows_without(connection: duckdb.DuckDBPyConnection, source: Path, target: Path, record: str) -> None:
    """Write the rows of a Parquet file whose row ids are not in the table `duplicates`."""
    query = "select * from read_parquet($source) where unique_row_id not in (select unique_row_id from duplicates)"
    _copy(connection, query, {"source": str(source), "target": str(target), "record": record})


def provisional_record(record: LoadRecord) -> str:
    """Return the text of a load record with space for the fields that are not known yet."""
    return record.to_json() + " " * SPARE_BYTES


def _copy(connection: duckdb.DuckDBPyConnection, rows: str, parameters: dict[str, Any]) -> int:
    copied = connection.execute(_COPY.format(rows=rows, key=RECORD_KEY), parameters).fetchone()
    return copied[0] if copied else 0


def _file_on_disk(file: RawFile) -> tuple[int, int]:
    """Return the file's inode and time of modification: a replaced file has others."""
    status = file.path.stat()
    return status.st_ino, status.st_mtime_ns


def _sha256(file: RawFile) -> str:
    with file.path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _csv_columns(file: RawFile) -> dict[str, str]:
    """Return name and type of each column in the file's order; a column that the registry lacks is not selected."""
    return {
        column.folded_name if column else f"extra_{place}": TYPES[column.kind] if column else "VARCHAR"
        for place, column in enumerate(file.columns)
    }


def _columns(file: RawFile) -> str:
    """Return the list of the table's columns, with a null for each that the file lacks."""
    present = set(file.columns)
    return ",\n    ".join(
        quoted(column) if column in present else f"null::{TYPES[column.kind]} as {quoted(column)}"
        for column in file.month.colour.columns
    )


def quoted(column: Column) -> str:
    """Return the column's name as an identifier."""
    return '"' + column.folded_name.replace('"', '""') + '"'


def _row_id_texts(colour: Colour) -> str:
    """Return the texts that a row id is made of; `concat` takes a null for an empty text."""
    return ", ".join(
        f"postgres_text({quoted(column)})" if column.kind is Kind.NUMBER else f"{quoted(column)}::varchar"
        for column in colour.row_id
    )


def _bad_value(file: RawFile, message: str) -> BadFile:
    """Return DuckDB's error about a value, with the file's own line and column."""
    line = re.search(r"CSV Error on Line: (\d+)", message)
    found = re.search(r'converting column "([^"]+)"\. (.+)', message)
    names = dict(zip(_csv_columns(file), file.header, strict=True))
    return BadFile(
        (found[2] if found else message.split("\n", 1)[0]).rstrip(".") + ".",
        CORRECT,
        filename=file.month.filename,
        line=int(line[1]) if line else None,
        column=names.get(found[1]) if found else None,
    )
