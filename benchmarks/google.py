"""Bytes that a month costs on Google Cloud, for the platform and for the Kestra flow, computed from published files.

    python -m benchmarks.google <folder of green .csv.gz files>

Nothing is run on Google Cloud. Uploaded: the flow uploads the uncompressed CSV, the platform the published gzip.
Scanned: BigQuery counts the logical bytes of the columns that a statement names, in the partitions that it does not
prune. The flow's statements read the external table once, its monthly table once, and the column unique_row_id of the
whole merged table in each MERGE. The platform's (`taxi_platform/destinations/bigquery/sql/`) read the external table
and the monthly table once, the monthly table's pickups and row ids once more each, and of the merged table the file's
own days: file names and pickups for two counts. BigQuery's minimum of 10 MB per table and query, and days that
neighbouring months share, are left out.
"""

import csv
import gzip
import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from taxi_platform.trips.columns import COLOURS, Kind

_TEXT_OVERHEAD = 2
_ROW_ID = 16 + _TEXT_OVERHEAD
_PICKUP = 8
_FIXED = {Kind.TIME: 8, Kind.INTEGER: 8, Kind.NUMBER: 16}


@dataclass(frozen=True)
class Month:
    """A published file and its sizes."""

    name: str
    rows: int
    packed: int
    unpacked: int
    columns: int
    """Logical bytes of the file's own columns in BigQuery."""

    @property
    def filename(self) -> int:
        """Logical bytes of the column filename in one row."""
        return len(self.name.removesuffix(".gz")) + _TEXT_OVERHEAD

    @property
    def monthly(self) -> int:
        """Logical bytes of the monthly table."""
        return self.columns + self.rows * (_ROW_ID + self.filename)

    def scanned_by_flow(self, rows_before: int) -> int:
        return self.columns + self.monthly + rows_before * _ROW_ID

    def scanned_by_ours(self) -> int:
        return self.columns + self.monthly + self.rows * (_PICKUP + _ROW_ID + 2 * (self.filename + _PICKUP))


def read(path: Path) -> Month:
    """Return the rows and sizes of a published file."""
    colour = COLOURS[path.name.partition("_")[0]]
    kinds = {column.name: column.kind for column in colour.columns}
    with gzip.open(path) as file:
        text = file.read()
    lines = csv.reader(io.StringIO(text.decode(), newline=""))
    fixed = [_FIXED.get(kinds[name]) for name in next(lines)]
    rows = size = 0
    for line in lines:
        rows += 1
        for value, width in zip(line, fixed, strict=True):
            if value:
                size += width or len(value) + _TEXT_OVERHEAD
    return Month(path.name, rows, path.stat().st_size, len(text), size)


def table(months: list[Month]) -> Iterator[str]:
    """Yield a Markdown table, for months that are loaded one after another into an empty table."""
    yield "| file | uploaded, flow | ours | flow ÷ ours | scanned, flow | ours | flow ÷ ours |"
    yield "|---|---|---|---|---|---|---|"
    before = 0
    for month in months:
        flow, ours = month.scanned_by_flow(before), month.scanned_by_ours()
        yield (
            f"| {month.name} | {month.unpacked / 1e6:.1f} MB | {month.packed / 1e6:.1f} MB | "
            f"{month.unpacked / month.packed:.1f} | {flow / 1e6:.1f} MB | {ours / 1e6:.1f} MB | {flow / ours:.2f} |"
        )
        before += month.rows


if __name__ == "__main__":
    print("\n".join(table([read(path) for path in sorted(Path(sys.argv[1]).glob("*.csv.gz"))])))
