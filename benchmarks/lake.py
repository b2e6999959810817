"""The lake: a month's file next to DuckDB's own COPY, and the memory of the process that writes it."""

import tempfile
import time
from pathlib import Path

import duckdb

from benchmarks.figures import ROUNDS, SMALL, Bench, Figure
from benchmarks.load import Loader
from benchmarks.work import Work, settle
from taxi_platform.destinations.lake.sql import statement
from taxi_platform.destinations.lake.writer import typed_rows
from taxi_platform.source.raw_file import RawFile


def lake(bench: Bench) -> list[Figure]:
    """DuckDB alone and ours in turn, then the peak memory of ours for a month and for four times its rows."""
    group, work = "lake", bench.files.month(0)
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
            settle(bench.server_url)
            began = time.monotonic()
            copy(work, Path(folder) / "rows.parquet")
            bench.note(group, "DuckDB", time.monotonic() - began)
        with tempfile.TemporaryDirectory(dir=bench.folder) as home, _loader(bench, home) as loader:
            loader.load(bench.files.month(30, rows=SMALL))
            loader.prepare(work)
            settle(bench.server_url)
            loader.go()
            loaded = loader.wait()
            bench.note(group, "ours, the file", loaded.table_seconds)
            bench.note(group, "ours, with checks and events", loaded.seconds)
    for times, rows in ((1, "1.5 million rows"), (4, "6 million rows")):
        for _ in range(ROUNDS):
            with tempfile.TemporaryDirectory(dir=bench.folder) as home, _loader(bench, home) as loader:
                bench.note(group, f"megabytes, {rows}", loader.load(bench.files.month(0, times=times)).peak_megabytes)
    return [
        Figure("lake: file ÷ DuckDB's COPY", bench.ratio(group, "ours, the file", "DuckDB"), "≤ 1.3"),
        Figure(
            "lake: file, checks and events ÷ DuckDB's COPY",
            bench.ratio(group, "ours, with checks and events", "DuckDB"),
            "",
        ),
        *(
            Figure(f"lake: peak memory, {rows}", bench.median(group, f"megabytes, {rows}"), "≤ 400", "MB")
            for rows in ("1.5 million rows", "6 million rows")
        ),
    ]


def copy(work: Work, target: Path) -> None:
    """Write a month's rows with the lake's select list by one COPY, with DuckDB's own settings."""
    header = tuple(column.name for column in work.month.published_columns)
    file = RawFile(work.month, work.gz, url="", sha256="", size=0, rows=0, uncompressed_size=0, header=header)
    query, parameters = typed_rows(file)
    with duckdb.connect() as connection:
        connection.execute(statement("postgres_text"))
        connection.execute(
            f"copy ({query}) to $target (format parquet, compression zstd)", {**parameters, "target": str(target)}
        )


def _loader(bench: Bench, home: str) -> Loader:
    return Loader(bench.server_url, Path(home), "lake")
