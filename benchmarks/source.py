"""Figures of the source: download and validation of a CSV, conversion of a Parquet file.

    python -m benchmarks.source <parquet file> <csv.gz file> [duckdb]

This command converts one file in a process of its own, whose peak memory is that of the conversion. `make bench
GROUPS=source` compares both with curl and gunzip and with DuckDB.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.figures import ROUNDS, Bench, Figure
from taxi_platform.lazy_import import LazyModule
from taxi_platform.source.mirror import Mirror
from taxi_platform.source.parquet import write_csv
from taxi_platform.trips.columns import COLOURS, Colour, Kind
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.support import http_mirror

# A process that converts imports only what its conversion needs, since its memory is measured.
if TYPE_CHECKING:
    import duckdb
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
else:
    duckdb, np, pa, pq = map(LazyModule, ("duckdb", "numpy", "pyarrow", "pyarrow.parquet"))

_PARQUET_ROWS = 4_000_000
_DOWNLOAD = "download and validation of 1.5 million rows"
_CONVERSION = "4 million rows from Parquet to csv.gz"
_LOG = logging.getLogger("benchmarks")


def source(bench: Bench) -> list[Figure]:
    """Compare a download with `curl | gunzip` and a conversion with DuckDB's COPY."""
    work = bench.files.month(0)
    with http_mirror.serve(work.folder) as served:
        mirror = Mirror(base_url=served.url)
        for _ in range(ROUNDS + 2):
            command = f"curl --silent {mirror.url(work.month)} | gunzip > /dev/null"
            began = time.monotonic()
            subprocess.run(command, shell=True, check=True)
            bench.note(_DOWNLOAD, "curl and gunzip", time.monotonic() - began)
            with (bench.folder / "download").open("wb", buffering=0) as part:
                began = time.monotonic()
                mirror.download(work.month, part, _LOG)
                bench.note(_DOWNLOAD, "ours", time.monotonic() - began)
    month = TripMonth(work.month.colour, "2023-05")
    # The whole month in one row group is the hardest case for memory, and a form that TLC has published.
    parquet = _write_parquet(bench.folder / month.parquet_name, month.colour)
    for _ in range(ROUNDS):
        for name in ("ours", "duckdb"):
            seconds, megabytes = _convert(parquet, bench.folder / "converted.csv.gz", name)
            bench.note(_CONVERSION, name, seconds)
            bench.note(f"peak memory, {_CONVERSION}", name, megabytes)
    return [
        Figure("download and validation ÷ curl and gunzip", bench.ratio(_DOWNLOAD, "ours", "curl and gunzip"), "≤ 1.5"),
        Figure("Parquet to csv.gz, ours ÷ DuckDB's COPY", bench.ratio(_CONVERSION, "ours", "duckdb"), ""),
        Figure(f"peak memory, {_CONVERSION}", bench.median(f"peak memory, {_CONVERSION}", "ours"), "≤ 400", unit="MB"),
    ]


def _write_parquet(path: Path, colour: Colour) -> Path:
    """Write a generated month with the types of TLC's files: whole numbers with nulls among them as doubles."""
    random = np.random.default_rng(1)
    pickup = np.datetime64("2023-05-01", "us").astype(np.int64) + np.sort(
        random.integers(0, 31 * 86_400, _PARQUET_ROWS) * 1_000_000
    )
    columns = {}
    for column in colour.required_columns:
        match column.kind:
            case Kind.TIME:
                columns[column.name] = pa.array(pickup, pa.timestamp("us"))
            case Kind.NUMBER:
                columns[column.name] = pa.array(random.integers(0, 8_000, _PARQUET_ROWS) / 100)
            case _ if column.name.endswith("flag"):
                columns[column.name] = pa.array(np.array(["N", "Y"])[random.integers(0, 2, _PARQUET_ROWS)])
            case _:
                numbers = random.integers(1, 266, _PARQUET_ROWS).astype(float)
                columns[column.name] = pa.array(numbers, mask=random.random(_PARQUET_ROWS) < 0.05)
    pq.write_table(pa.table(columns), path, row_group_size=_PARQUET_ROWS, compression="zstd")
    return path


def _convert(parquet: Path, target: Path, name: str) -> tuple[float, float]:
    command = [sys.executable, "-m", "benchmarks.source", str(parquet), str(target), name]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, megabytes = json.loads(done.stdout)
    return seconds, megabytes


def main(parquet: str, target: str, name: str = "ours") -> None:
    """Convert one file, and print the seconds and the peak memory in megabytes as JSON."""
    began = time.monotonic()
    if name == "duckdb":
        duckdb.read_parquet(parquet).write_csv(target, header=True, compression="gzip")
    else:
        colour, month = Path(parquet).stem.split("_tripdata_")
        with Path(target).open("wb", buffering=0) as part:
            write_csv(Path(parquet), TripMonth(COLOURS[colour], month), part)
    print(json.dumps([time.monotonic() - began, _peak_megabytes()]))


def _peak_megabytes() -> float:
    """Return the peak memory of this process; getrusage's includes that of the process that started it."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:", 1)[1].split()[0]) / 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
