"""Bytes that BigQuery scans for a month in the bucket, as CSV and as the lake's Parquet file.

    python -m benchmarks.scan <published .csv.gz> <lake's .parquet>

Computed by BigQuery's rules; nothing is run there. Of a CSV each query reads the uncompressed file. Of a Parquet file
it reads the columns that the query names, and charges the size of BigQuery's types: 8 bytes for a number or a time, 2
bytes more than its UTF-8 form for a text, nothing for a null.
"""

import gzip
import sys
from pathlib import Path

import duckdb

from taxi_platform.destinations.lake.writer import quoted
from taxi_platform.trips.columns import COLOURS, Kind

TWO_COLUMNS = ("PULocationID", "total_amount")


def csv_bytes(path: Path) -> int:
    """Return the size of the uncompressed file."""
    with gzip.open(path) as file:
        return sum(len(block) for block in iter(lambda: file.read(1 << 20), b""))


def column_bytes(path: Path) -> dict[str, int]:
    """Return the bytes of each column of a file of the lake."""
    columns = COLOURS[path.name.partition("_")[0]].table_columns
    sizes = [
        f"sum(strlen({quoted(column)}) + 2)" if column.kind is Kind.TEXT else f"8 * count({quoted(column)})"
        for column in columns
    ]
    found = duckdb.execute(f"select {', '.join(sizes)} from read_parquet($path)", {"path": str(path)}).fetchone() or ()
    return {column.name: int(size or 0) for column, size in zip(columns, found, strict=True)}


if __name__ == "__main__":
    published, file = Path(sys.argv[1]), Path(sys.argv[2])
    sizes = column_bytes(file)
    print("| query | CSV | Parquet |\n|---|---|---|")
    text = csv_bytes(published) / 1e6
    for what, scanned in (
        (f"`{'`, `'.join(TWO_COLUMNS)}`", sum(sizes[name] for name in TWO_COLUMNS)),
        ("all columns", sum(sizes.values())),
    ):
        print(f"| {what} | {text:.1f} MB | {scanned / 1e6:.1f} MB |")
