"""Time of the parts of a copy: the row id in several forms, the index of out-of-month rows, the log, the streams.

    python -m benchmarks.parts

It copies a month into tables that differ in one property, on an embedded server of its own, and prints the median of
several rounds for each table.
"""

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from pathlib import Path
from statistics import median
from threading import Lock
from time import monotonic

import psutil
import psycopg
from psycopg import sql

from benchmarks.figures import ROUNDS
from benchmarks.work import Files, Work, empty_database, settle
from taxi_platform.destinations.postgres.ensure import ensure_tables
from taxi_platform.destinations.postgres.tables import definition, is_out_of_month, name_of, row_id_expression
from taxi_platform.local.embedded_postgres import EmbeddedPostgres
from taxi_platform.source.gzip_lines import read_blocks
from taxi_platform.trips.columns import FILENAME
from taxi_platform.trips.partitions import TripMonth

_SESSION = "set datestyle = 'ISO, YMD'; set extra_float_digits = 1; set synchronous_commit = off"


@dataclass(frozen=True)
class Way:
    """A table and a way to fill it. `row_id`: the expression of its generated column, if it has one."""

    row_id: str | None
    streams: int = 2
    has_out_of_month_index: bool = True
    kind: str = ""


@dataclass(frozen=True)
class Cost:
    """Measured cost of a copy."""

    seconds: float
    processor_seconds: float
    """Of the whole machine, client and background processes included."""
    log_megabytes: float
    """Of write-ahead log."""


def ways(month: TripMonth) -> dict[str, Way]:
    """Return the ways by name. The first is the platform's."""
    taken = row_id_expression(month).as_string(None)
    names = [column.folded_name for column in month.colour.row_id]
    pickup, dropoff = names[1:3]
    texts = [f"coalesce({name}::text, '')" for name in names if name not in (pickup, dropoff)]
    # A cast of a time to text is not immutable, a function that is declared so is.
    times = [f"coalesce(trip_months.time_text({name}), '')" for name in (pickup, dropoff)]
    return {
        "as it is: two streams, row id, index of out-of-month rows": Way(taken),
        "one stream": Way(taken, streams=1),
        "three streams": Way(taken, streams=3),
        "no index of out-of-month rows": Way(taken, has_out_of_month_index=False),
        "unlogged": Way(taken, kind="unlogged"),
        "no row id": Way(None),
        "no row id, no index, unlogged": Way(None, has_out_of_month_index=False, kind="unlogged"),
        "one stream, no row id": Way(None, streams=1),
        "one stream, no row id, no index, unlogged": Way(
            None, streams=1, has_out_of_month_index=False, kind="unlogged"
        ),
        "one stream, md5 of one column": Way("md5(vendorid)", streams=1),
        "one stream, row id without the times": Way(f"md5({' || '.join(texts)})", streams=1),
        "one stream, times through the function": Way(f"md5({' || '.join(texts + times)})", streams=1),
        "one stream, row id in one PL/pgSQL function": Way(f"bench_row_id({', '.join(names)})", streams=1),
    }


def copy(url: str, work: Work, way: Way) -> Cost:
    """Copy the month into a new table, and measure it."""
    colour = work.month.colour
    with psycopg.connect(url, autocommit=True) as connection:
        ensure_tables(connection, colour)
        connection.execute("drop table if exists copied")
        row_id = f"unique_row_id text generated always as ({way.row_id}) stored" if way.row_id else "unique_row_id text"
        columns = sql.SQL(", ").join(definition(column) for column in colour.required_columns)
        connection.execute(
            sql.SQL("create {} table copied ({}, filename text default {}, {})").format(
                _plain(way.kind), _plain(row_id), sql.Literal(work.month.filename), columns
            )
        )
        assert FILENAME.folded_name == "filename"
        if way.has_out_of_month_index:
            connection.execute(
                sql.SQL("create index on copied ({}, unique_row_id) where {}").format(
                    name_of(colour.pickup), is_out_of_month(work.month, colour.pickup)
                )
            )
    settle(url)
    blocks, lock = read_blocks(work.gz), Lock()
    began, busy, log = monotonic(), _busy(), _log_bytes(url)
    with ThreadPoolExecutor(way.streams) as pool:
        streams = [pool.submit(_copy, url, work, blocks, lock) for _ in range(way.streams)]
    for stream in streams:
        stream.result()
    return Cost(monotonic() - began, _busy() - busy, (_log_bytes(url) - log) / 1e6)


def _busy() -> float:
    """Return the seconds that all processors together have worked since the machine started."""
    times = psutil.cpu_times()
    return times.user + times.system


def _log_bytes(url: str) -> int:
    """Return the position in the server's write-ahead log, in bytes."""
    with psycopg.connect(url) as connection:
        found = connection.execute("select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::int8").fetchone()
    return found[0] if found else 0


def _copy(url: str, work: Work, blocks: Iterator[bytes], lock: Lock) -> None:
    names = sql.SQL(", ").join(name_of(column) for column in work.month.colour.required_columns)
    command = sql.SQL("copy copied ({}) from stdin with (format text, delimiter ',', null '')").format(names)
    with psycopg.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        connection.execute(_SESSION)
        with cursor.copy(command) as copy:
            while True:
                with lock:
                    block = next(blocks, None)
                if block is None:
                    break
                copy.write(block)


def _plain(text: str) -> sql.SQL:
    return sql.SQL(text)  # pyright: ignore[reportArgumentType]


def _row_id_function(work: Work) -> sql.Composed:
    columns = work.month.colour.row_id
    parameters = sql.SQL(", ").join(definition(column) for column in columns)
    texts = " || ".join(f"coalesce({column.folded_name}::text, '')" for column in columns)
    return sql.SQL(
        "create function bench_row_id({}) returns text language plpgsql immutable as $$ begin return md5({}); end $$"
    ).format(parameters, _plain(texts))


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="taxi-platform-bench-") as folder:
        server = EmbeddedPostgres(Path(folder) / "postgres")
        try:
            work = Files(Path(folder) / "files").month(0)
            measured: dict[str, list[Cost]] = {}
            with empty_database(server.start()) as url:
                with psycopg.connect(url, autocommit=True) as connection:
                    connection.execute(_row_id_function(work))
                for _ in range(ROUNDS):
                    for name, way in ways(work.month).items():
                        measured.setdefault(name, []).append(copy(url, work, way))
        finally:
            server.remove()
    print("| copy of 1.5 million rows | seconds | processor seconds | MB of log |\n|---|---|---|---|")
    for name, costs in measured.items():
        seconds, processor_seconds, log_megabytes = map(median, zip(*map(astuple, costs), strict=True))
        print(f"| {name} | {seconds:.2f} | {processor_seconds:.2f} | {log_megabytes:.0f} |")


if __name__ == "__main__":
    main()
