"""Disk, time and cost of data sets, computed from one loaded month and from the journey's figures.

    python -m benchmarks.sizing > docs/sizing.md

It loads a generated yellow month into an embedded server and a lake in a temporary data directory, reads the sizes
there, and multiplies. Seconds per row come from docs/journey.json.
"""

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import psycopg

from benchmarks.google import read
from taxi_platform.definitions import defs
from taxi_platform.demo.sample_trips import write_sample
from taxi_platform.local.instance import embedded_server
from taxi_platform.trips.partitions import TripMonth

MONTH = TripMonth.from_key("yellow|2020-03")
ROWS = 300_000
ASSETS = ("raw_csv", "postgres_staging", "postgres_tripdata", "lake_parquet")
JOURNEY = Path(__file__).parents[1] / "docs" / "journey.json"

SCOPES = {
    "yellow and green, 2020": 26_400_000,
    "yellow and green, 2019 to July 2021": 133_000_000,
    "all of TLC's trips, 2009 to 2026, with for-hire vehicles": 4_000_000_000,
}
"""Rows: those of the published files for 2020, TLC's published totals for the others, rounded."""

BIGQUERY_STORAGE = 0.02
"""US dollars per GB and month of active logical storage; list price in us-central1."""
BIGQUERY_SCAN = 6.25
"""US dollars per TiB that on-demand queries scan."""
OBJECT_STORAGE = 0.02
NODE_HOUR = 0.10
"""US dollars per hour of a Kubernetes node with two processors."""


@dataclass(frozen=True)
class Sizes:
    """Bytes per row, and the memory of a process that loads a month."""

    gzip: float
    table: float
    indexes: float
    wal: float
    parquet: float
    bigquery: float
    """Logical bytes of the monthly and of the merged table together."""
    scanned: float
    worker_megabytes: float


def measure() -> Sizes:
    """Load one month into Postgres and the lake, and return its sizes."""
    with tempfile.TemporaryDirectory(prefix="taxi-platform-sizing-") as name:
        folder = Path(name)
        path = write_sample(folder / "files", MONTH, ROWS)
        rows = read(path).rows
        os.environ |= {"TAXI_HOME": str(folder / "data"), "TAXI_SOURCE_URL": (folder / "files").as_uri()}
        server = embedded_server(folder / "data")
        try:
            server.start()
            url = server.ensure_database()
            with psycopg.connect(url, autocommit=True) as connection, dg.DagsterInstance.ephemeral() as instance:
                before = _number(connection, "select pg_current_wal_lsn() - '0/0'")
                result = defs.resolve_job_def("load_month").execute_in_process(
                    partition_key=MONTH.key, asset_selection=[dg.AssetKey(each) for each in ASSETS], instance=instance
                )
                assert result.success
                wal = _number(connection, "select pg_current_wal_lsn() - '0/0'") - before
                partitions = "from pg_inherits where inhparent = 'public.yellow_tripdata'::regclass"
                table = _number(connection, f"select sum(pg_table_size(inhrelid)) {partitions}")
                indexes = _number(connection, f"select sum(pg_indexes_size(inhrelid)) {partitions}")
        finally:
            server.remove()
        [parquet] = (folder / "data").rglob("*.parquet")
        month = read(path)
        return Sizes(
            gzip=path.stat().st_size / rows,
            table=table / rows,
            indexes=indexes / rows,
            wal=wal / rows,
            parquet=parquet.stat().st_size / rows,
            bigquery=2 * month.monthly / rows,
            scanned=month.scanned_by_ours() / rows,
            worker_megabytes=_peak_megabytes(),
        )


def _number(connection: psycopg.Connection, query: str) -> float:
    row = connection.execute(query).fetchone()  # pyright: ignore[reportArgumentType, reportCallIssue]
    return float(row[0]) if row else 0.0


def _peak_megabytes() -> float:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:", 1)[1].split()[0]) / 1024


def rows_per_second() -> float:
    """Return the rate of the backfill of four yellow months in docs/journey.json."""
    found = json.loads(JOURNEY.read_text())["measured"]["journey, four yellow months"]["ours"]
    return 4 * 1_500_000 / sorted(found)[len(found) // 2]


def page(sizes: Sizes, rate: float) -> str:
    """Return docs/sizing.md."""
    rows = ["| | " + " | ".join(SCOPES) + " |", "|---" * (len(SCOPES) + 1) + "|"]

    def line(name: str, unit: str, per_row: float, digits: int = 0) -> None:
        cells = [f"{count * per_row:,.{digits}f} {unit}".strip() for count in SCOPES.values()]
        rows.append(f"| {name} | " + " | ".join(cells) + " |")

    gigabyte = 1e-9
    line("rows", "", 1)
    line("downloaded files, in the data directory or the bucket", "GB", sizes.gzip * gigabyte, 1)
    line("Postgres: tables", "GB", sizes.table * gigabyte, 1)
    line("Postgres: indexes", "GB", sizes.indexes * gigabyte, 2)
    line("Postgres: write-ahead log written while loading", "GB", sizes.wal * gigabyte, 1)
    line("lake (Parquet)", "GB", sizes.parquet * gigabyte, 1)
    line("hours to load into Postgres, two processors", "h", 1 / rate / 3600, 2)
    line("BigQuery: monthly and merged tables", "GB", sizes.bigquery * gigabyte, 1)
    line("BigQuery: storage, per month", "USD", sizes.bigquery * gigabyte * BIGQUERY_STORAGE, 2)
    line("BigQuery: bytes scanned while loading, once", "USD", sizes.scanned / 2**40 * BIGQUERY_SCAN, 2)
    line("bucket: files and lake, per month", "USD", (sizes.gzip + sizes.parquet) * gigabyte * OBJECT_STORAGE, 2)
    line("Kubernetes: node hours while loading", "USD", NODE_HOUR / rate / 3600, 2)
    return "\n".join(
        [
            "# Sizing",
            "",
            "    python -m benchmarks.sizing > docs/sizing.md",
            "",
            "This page is the output of that command. It loads one generated yellow month "
            f"({ROWS:,} rows), reads the sizes and multiplies. Hours are those of `taxi-platform backfill` "
            f"in [journey.json](journey.json), {rate:,.0f} rows per second on the machine named there.",
            "",
            *rows,
            "",
            f"A row takes {sizes.gzip:.0f} bytes in the published file, {sizes.table:.0f} in the table, "
            f"{sizes.indexes:.1f} in its indexes and {sizes.parquet:.0f} in the lake. A process that loads "
            f"a month into both takes {sizes.worker_megabytes:.0f} MB, and there is one for each processor. "
            "The server takes 256 MB for shared buffers and 128 MB while it sorts an index.",
            "",
            "While a month is replaced, Postgres holds both versions of that month. Keep free disk space for one more "
            "month per process, and 4 GB for the write-ahead log (`max_wal_size`).",
            "",
            "## Where one machine ends",
            "",
            "Loading a month costs the same whatever the table's size, so the disk sets the limit of loading: all of "
            "yellow and green fits on a laptop, and all of TLC's trips need the disk in the last column. Queries set "
            "the limit earlier. A query that reads every month of a table larger than memory reads it from disk: at "
            f"500 MB per second, {SCOPES['yellow and green, 2019 to July 2021'] * sizes.table / 5e8:.0f} seconds "
            f"for the second column and {4e9 * sizes.table / 5e8 / 3600:.1f} hours for the last.",
            "",
            "From there on use the lake or BigQuery. The lake stores columns, so a query over two columns reads a "
            "tenth of the bytes, and DuckDB reads it on the same machine; BigQuery reads the bucket's copy of it, or "
            "its own tables, on as many machines as the query needs. For-hire vehicles are not loaded today: their "
            "files have other columns, which the registry would need as a third service.",
            "",
            "Prices are list prices in us-central1, in US dollars; they are constants in `benchmarks/sizing.py`.",
        ]
    )


if __name__ == "__main__":
    print(page(measure(), rows_per_second()))
