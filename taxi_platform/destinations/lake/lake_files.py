"""The lake's files: their paths, the load record in their metadata, and whether one was changed by hand.

A load record ends with the digest of the file's data, which is everything before the Parquet footer. A program
that rewrites a file either loses the record or leaves a digest that does not match any more.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from taxi_platform.destinations.lake.libraries import duckdb
from taxi_platform.errors import PermanentError
from taxi_platform.trips.columns import Colour
from taxi_platform.trips.load_record import LoadRecord
from taxi_platform.trips.partitions import TripMonth

RECORD_KEY = "taxi_platform_load_record"
DATA_SHA256 = "data_sha256"
"""The key of `LoadRecord.content` that holds the digest of the file's data."""

_BLOCK_BYTES = 1 << 20
_TAIL_BYTES = 8
"""Of a Parquet file: the footer's length and a magic number."""


def colour_folder(lake: Path, colour: Colour) -> Path:
    return lake / f"colour={colour.name}"


def file_path(lake: Path, month: TripMonth) -> Path:
    """Return where a month's file lies, whether or not it exists."""
    return colour_folder(lake, month.colour) / f"month={month.month}" / month.parquet_name


def existing_files(lake: Path, colour: Colour) -> dict[TripMonth, Path]:
    """Return the files of a colour, oldest month first."""
    found = {}
    for path in sorted(colour_folder(lake, colour).glob(f"month=*/{colour.table}_*.parquet")):
        month = TripMonth.from_file(colour, f"{path.stem}.csv")
        if month and path == file_path(lake, month):
            found[month] = path
    return found


def read_record(connection: duckdb.DuckDBPyConnection, path: Path) -> LoadRecord | None:
    """Return the load record of a file; None when there is no file, or none with a record."""
    try:
        found = connection.execute(
            "select value from parquet_kv_metadata($path) where key = encode($key)",
            {"path": str(path), "key": RECORD_KEY},
        ).fetchone()
    except duckdb.Error:
        return None
    return LoadRecord.from_json(found[0].decode()) if found else None


def read_records(connection: duckdb.DuckDBPyConnection, lake: Path, colour: Colour) -> dict[TripMonth, LoadRecord]:
    """Return the load record of each loaded month of a colour."""
    records = {month: read_record(connection, path) for month, path in existing_files(lake, colour).items()}
    return {month: record for month, record in records.items() if record}


def is_unchanged(path: Path, record: LoadRecord) -> bool:
    """Return whether the file's data are those that were written with this record."""
    try:
        return record.content.get(DATA_SHA256) == data_sha256(path)
    except (OSError, PermanentError):
        return False


def data_sha256(path: Path) -> str:
    """Return the digest of everything before the footer."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        left = _footer_start(file.fileno(), path)
        while left:
            block = file.read(min(left, _BLOCK_BYTES))
            digest.update(block)
            left -= len(block)
    return digest.hexdigest()


def write_record(path: Path, provisional: str, final: str) -> None:
    """Replace the provisional record in a file by the final one, in the same place.

    The metadata belong to the footer, whose length is fixed once the file is written, so the final record is padded.
    """
    old, new = provisional.encode(), final.encode().ljust(len(provisional.encode()))
    with path.open("r+b") as file:
        start = _footer_start(file.fileno(), path)
        file.seek(start)
        place = file.read().find(old)
        if place < 0 or len(old) != len(new):
            raise AssertionError("the load record does not fit into its place in the footer")
        file.seek(start + place)
        file.write(new)


def _footer_start(descriptor: int, path: Path) -> int:
    size = os.fstat(descriptor).st_size
    tail = os.pread(descriptor, _TAIL_BYTES, max(0, size - _TAIL_BYTES))
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != b"PAR1" or length + _TAIL_BYTES > size:
        raise PermanentError(f"{path} is not a Parquet file.", "Delete it and load its month again.")
    return size - _TAIL_BYTES - length


def force_to_disk(path: Path) -> None:
    """Flush a file or a folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
