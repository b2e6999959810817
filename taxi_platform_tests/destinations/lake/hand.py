"""Changes by hand: files of the lake rewritten with DuckDB, with the metadata that they had."""

from pathlib import Path

import duckdb

from taxi_platform.destinations.lake.lake_files import RECORD_KEY
from taxi_platform.destinations.lake.resource import Lake
from taxi_platform.destinations.lake.snapshot import lake_files


def rewrite(path: Path, select: str) -> None:
    """Write the result of `select ... from rows` over a file, where `rows` are its rows."""
    with duckdb.connect() as connection:
        connection.execute("create temp table rows as select * from read_parquet($path)", {"path": str(path)})
        record = connection.execute(
            "select decode(value) from parquet_kv_metadata($path) where key = encode($key)",
            {"path": str(path), "key": RECORD_KEY},
        ).fetchone()
        assert record
        connection.execute(
            f"copy ({select}) to $path (format parquet, compression zstd, kv_metadata {{{RECORD_KEY}: $record}})",
            {"path": str(path), "record": record[0]},
        )


def delete_rows(lake: Lake, condition: str) -> None:
    """Delete the rows of all files that satisfy a condition."""
    for path in lake_files(lake):
        rewrite(path, f"select * from rows where not ({condition})")
