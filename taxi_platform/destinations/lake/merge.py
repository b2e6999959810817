"""The merge of a month into the lake: write a temporary file, then rename it under the colour's merge lock.

The steps, numbered as in docs/lake.md:

1. Return if the month is loaded from this version of the published file and nothing was changed by hand.
2. Write all rows into a folder of this run's own, without a lock.
3. Take the merge lock, and repeat step 1, because another run may have loaded the month.
4. Find rows that other files have. If there are any, write the file again without them.
5. Complete the load record in the file's metadata and flush the file to the disk.
6. Rename the file over the month's older version.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from taxi_platform.destinations.lake.lake_files import (
    DATA_SHA256,
    data_sha256,
    existing_files,
    file_path,
    force_to_disk,
    is_unchanged,
    read_records,
    write_record,
)
from taxi_platform.destinations.lake.libraries import duckdb
from taxi_platform.destinations.lake.locks import loading_folder, make_lake_folder, merge_lock
from taxi_platform.destinations.lake.resource import Lake
from taxi_platform.destinations.lake.sql import statement
from taxi_platform.destinations.lake.writer import provisional_record, quoted, write_rows, write_rows_without
from taxi_platform.errors import PermanentError
from taxi_platform.source.raw_file import RawFile
from taxi_platform.trips.columns import Colour
from taxi_platform.trips.load_record import (
    LoadRecord,
    MergeResult,
    Skipped,
    is_current,
    rows_in_tables,
    skipped_for_another_version,
)
from taxi_platform.trips.partitions import TripMonth

DATA_SHA256_OF = f"{DATA_SHA256} of "
"""Prefix of the keys of `LoadRecord.content` that hold the digests of the files that have the duplicates."""

DUPLICATES_MEMORY_LIMIT = "1GB"
"""Limit while duplicates are searched. They are few unless a month was published under the name of another."""


def load(lake: Lake, file: RawFile) -> MergeResult:
    """Load a published file; the guarantees of the contract hold when it returns."""
    month, folder = file.month, lake.folder
    with lake.connect(f"load {month}") as connection:
        records = _records(connection, folder, month.colour)
        if _is_current(folder, records, month, file.sha256):
            return _unchanged(records, month)
    with (
        loading_folder(folder, seconds=lake.merge_timeout) as own,
        lake.connect(f"load {month}", spill=own / "spill") as connection,
    ):
        record = LoadRecord(
            sha256=file.sha256,
            rows=file.rows,
            out_of_month=0,
            columns=tuple(column.folded_name for column in month.colour.table_columns),
        )
        rows = own / "rows"
        provisional = provisional_record(record)
        write_rows(connection, file, rows, provisional)
        record = replace(record, out_of_month=count_out_of_month(connection, rows, month))
        force_to_disk(rows)
        with merge_lock(folder, month.colour, seconds=lake.merge_timeout):
            records = _records(connection, folder, month.colour)
            if _is_current(folder, records, month, file.sha256):
                return _unchanged(records, month)
            duplicates = find_duplicates(connection, folder, month, rows)
            if duplicates:
                record = _with_duplicates(record, duplicates, records, folder, month.colour)
                everything, rows, provisional = rows, own / "rows_without_duplicates", provisional_record(record)
                write_rows_without(connection, everything, rows, provisional)
            record = replace(record, content={DATA_SHA256: data_sha256(rows), **record.content})
            write_record(rows, provisional, record.to_json())
            _move(rows, file_path(folder, month))
            replaced = records.get(month.filename)
            records[month.filename] = record
    return MergeResult(
        record=record,
        changed=True,
        replaced=replaced,
        rows_of_colour=rows_in_tables(records.values()),
        needs_reload=skipped_for_another_version(records, month.filename, file.sha256),
    )


def count_out_of_month(connection: duckdb.DuckDBPyConnection, path: Path, month: TripMonth) -> int:
    """Return the number of rows whose pickup lies outside the month or is empty."""
    pickup = quoted(month.colour.pickup)
    found = connection.execute(
        f"select count(*) from read_parquet($path) where {pickup} is null or {pickup} < $start or {pickup} >= $end",
        {"path": str(path), "start": month.start, "end": month.end},
    ).fetchone()
    return found[0] if found else 0


def count_rows(connection: duckdb.DuckDBPyConnection, path: Path) -> int:
    """Return the number of rows of a file."""
    found = connection.execute("select count(*) from read_parquet($path)", {"path": str(path)}).fetchone()
    return found[0] if found else 0


def find_duplicates(connection: duckdb.DuckDBPyConnection, lake: Path, month: TripMonth, rows: Path) -> dict[str, int]:
    """Return how many of these rows other files have, by file name; the table `duplicates` then holds their ids."""
    others = {other: path for other, path in existing_files(lake, month.colour).items() if other != month}
    if not others:
        return {}
    names = {"pickup": quoted(month.colour.pickup), "dropoff": quoted(month.colour.dropoff)}
    new, others_paths = str(rows), [str(path) for path in others.values()]
    connection.execute(f"set memory_limit = '{DUPLICATES_MEMORY_LIMIT}'")
    try:
        connection.execute(
            statement("candidates", **names),
            {"new": new, "others": others_paths, "start": month.start, "end": month.end},
        )
    except duckdb.Error as error:
        raise _foreign_file(connection, others_paths, names) or error from error
    connection.execute(statement("duplicates", **names), {"new": new})
    found = connection.execute("select filename, sum(copies)::bigint from duplicates group by 1 order by 1").fetchall()
    return dict(found)


def _foreign_file(
    connection: duckdb.DuckDBPyConnection, paths: Iterable[str], names: Mapping[str, str]
) -> PermanentError | None:
    """Return an error that names the first file without the platform's columns, None if all have them."""
    for path in paths:
        try:
            query = "select unique_row_id, filename, {pickup}, {dropoff} from read_parquet($path) limit 0"
            connection.execute(query.format(**names), {"path": path})
        except duckdb.Error as error:
            return PermanentError(
                f"{path} is not a Parquet file of the platform: {str(error).splitlines()[0]}",
                "Delete it, or load its month again.",
            )
    return None


def _records(connection: duckdb.DuckDBPyConnection, folder: Path, colour: Colour) -> dict[str, LoadRecord]:
    return {month.filename: record for month, record in read_records(connection, folder, colour).items()}


def _is_current(folder: Path, records: Mapping[str, LoadRecord], month: TripMonth, sha256: str) -> bool:
    """Return whether the month is loaded and a reload would change nothing.

    A file that has its duplicates must still have the same rows: it may have been reloaded since, without rows that a
    third file has, and rows may have been deleted by hand.
    """
    if not is_current(records, month, sha256):
        return False
    record = records[month.filename]
    return is_unchanged(file_path(folder, month), record) and all(
        _data_sha256_of(folder, month.colour, name) == record.content.get(DATA_SHA256_OF + name)
        for name in record.skipped
    )


def _data_sha256_of(folder: Path, colour: Colour, name: str) -> str | None:
    """Return the digest of the data of the file that has duplicates, None if there is no such file."""
    month = TripMonth.from_file(colour, name)
    path = month and file_path(folder, month)
    return data_sha256(path) if path and path.exists() else None


def _with_duplicates(
    record: LoadRecord, duplicates: Mapping[str, int], records: Mapping[str, LoadRecord], folder: Path, colour: Colour
) -> LoadRecord:
    skipped, content = {}, {}
    for name, rows in duplicates.items():
        skipped[name] = Skipped(rows, records[name].sha256 if name in records else "")
        content[DATA_SHA256_OF + name] = _data_sha256_of(folder, colour, name)
    return replace(record, skipped=skipped, content=content)


def _unchanged(records: Mapping[str, LoadRecord], month: TripMonth) -> MergeResult:
    return MergeResult(
        record=records[month.filename],
        changed=False,
        replaced=None,
        rows_of_colour=rows_in_tables(records.values()),
        needs_reload=skipped_for_another_version(records, month.filename, records[month.filename].sha256),
    )


def _move(source: Path, target: Path) -> None:
    """Rename a file into place. After a crash or a power failure the old or the new version is there, whole."""
    make_lake_folder(target.parent)
    force_to_disk(source)
    source.replace(target)
    for folder in (target.parent, target.parent.parent, target.parent.parent.parent):
        force_to_disk(folder)
