"""Consistent views of the lake's files for queries, while loads replace them.

DuckDB opens a file by its name twice, for the footer and for the data. If the file is replaced in between, the query
fails. A snapshot holds hard links to the files as they are, so a query reads each month whole, old or new.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from taxi_platform.destinations.lake.lake_files import existing_files
from taxi_platform.destinations.lake.libraries import duckdb
from taxi_platform.destinations.lake.locks import loading_folder
from taxi_platform.destinations.lake.resource import Lake
from taxi_platform.destinations.lake.writer import TYPES, quoted
from taxi_platform.trips.columns import COLOURS, Colour


@contextmanager
def snapshot(lake: Lake, paths: Iterable[Path]) -> Iterator[list[Path]]:
    """Yield hard links to these files; a file that does not exist has none.

    Where the lake is read-only or its file system has no hard links, yield the files themselves.
    """
    if not os.access(lake.folder, os.W_OK):
        yield [path for path in paths if path.exists()]
        return
    with loading_folder(lake.folder, seconds=lake.merge_timeout) as folder:
        yield [link for path in paths if (link := _link(path, folder / path.name))]


def create_views(connection: duckdb.DuckDBPyConnection, files: Iterable[Path]) -> None:
    """Create or replace a view per colour, named like the table, over those of the files that are of the colour."""
    chosen = list(files)
    for colour in COLOURS.values():
        paths = [str(path) for path in chosen if path.name.startswith(f"{colour.table}_")]
        connection.execute(f"set variable {colour.name}_files = $paths", {"paths": paths})
        connection.execute(f"create or replace view {colour.table} as {_rows(colour, has_files=bool(paths))}")


def lake_files(lake: Lake) -> list[Path]:
    """Return the files of all colours."""
    return [path for colour in COLOURS.values() for path in existing_files(lake.folder, colour).values()]


def _rows(colour: Colour, *, has_files: bool) -> str:
    """Return a query for a colour's rows: no rows if there is no file, and nulls for columns that a file lacks."""
    typed = ", ".join(f"null::{TYPES[column.kind]} as {quoted(column)}" for column in colour.table_columns)
    nothing = f"select {typed} where false"
    if not has_files:
        return nothing
    files = f"read_parquet(getvariable('{colour.name}_files'), union_by_name = true, hive_partitioning = false)"
    return f"{nothing} union all by name select * from {files}"


def _link(path: Path, link: Path) -> Path | None:
    while True:
        try:
            link.hardlink_to(path)
        except FileNotFoundError:
            # The same error occurs if the file is replaced at this moment.
            if not path.exists():
                return None
        except OSError:
            return path
        else:
            return link
