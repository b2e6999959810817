"""Loads while other runs and readers are active, and loads whose process is killed."""

import multiprocessing
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path

import psycopg
import pytest

from taxi_platform.destinations.postgres.merge import merge
from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.destinations.postgres.staging import stage
from taxi_platform.errors import TableBusy
from taxi_platform.source.raw_file import RawFile
from taxi_platform.trips.load_record import MergeResult
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.support.trip_files import csv_text, raw_file, trip
from taxi_platform_tests.support.waiting import until

Query = Callable[..., list[tuple]]
Load = Callable[[RawFile], MergeResult]
Write = Callable[..., RawFile]

MARCH = TripMonth.from_key("green|2020-03")
APRIL = TripMonth.from_key("green|2020-04")
COPYING = "select 1 from pg_stat_progress_copy where tuples_processed > 0"
MINE = "from pg_stat_activity where application_name like 'taxi_platform%' and datname = current_database()"


def together(*calls: Callable[[], object]) -> list[object]:
    """Run the calls in parallel, started at the same moment."""
    barrier = threading.Barrier(len(calls))

    def begin(call: Callable[[], object]) -> object:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(begin, call) for call in calls]]


@contextmanager
def reading(url: str) -> Iterator[int]:
    """Yield the pid of a reader with an open transaction on the green table."""
    with psycopg.connect(url) as connection:
        connection.execute("select count(*) from green_tripdata")
        yield connection.info.backend_pid


def load_in_process(url: str, file: RawFile) -> None:
    postgres = Postgres(url=url)
    stage(postgres, file)
    merge(postgres, file.month)


@contextmanager
def process(url: str, file: RawFile) -> Iterator[BaseProcess]:
    """Yield a load in a process of its own, which the test kills."""
    load = multiprocessing.get_context("spawn").Process(target=load_in_process, args=(url, file))
    load.start()
    try:
        yield load
    finally:
        load.kill()
        load.join()


def many_trips(month: TripMonth, rows: int) -> list[dict[str, str]]:
    return [
        trip(month, f"{1 + n // 3600 % 28:02} {n // 60 % 24:02}:{n % 60:02}:{n % 59:02}", fare_amount=str(n))
        for n in range(rows)
    ]


def test_parallel_runs_of_one_month_load_it_once(load: Load, write: Write, query: Query) -> None:
    file = write(APRIL, many_trips(APRIL, 5000))
    for _ in range(3):
        together(lambda: load(file), lambda: load(file), lambda: load(file))
        assert query("select count(*) from green_tripdata") == [(5000,)]
    assert query("select relname from pg_class where relname ~ '(staging|loading)' and relkind = 'r'") == []


def test_parallel_versions_of_a_month_leave_one_whole(load: Load, query: Query, tmp_path: Path) -> None:
    versions = [
        raw_file(tmp_path / str(rows), APRIL, csv_text(APRIL, many_trips(APRIL, rows))) for rows in (3000, 5000)
    ]
    for _ in range(3):
        together(*[lambda file=file: load(file) for file in versions])
        assert query("select count(*), count(distinct unique_row_id) from green_tripdata") in [
            [(3000, 3000)],
            [(5000, 5000)],
        ]


def test_parallel_months_end_as_if_loaded_in_sequence(load: Load, write: Write, query: Query) -> None:
    """All files have the same out-of-month row, and each has a row that lies inside the next month."""
    months = [TripMonth.from_key(f"{colour}|2020-0{n}") for colour in ("green", "yellow") for n in range(1, 7)]
    files = []
    for month in months:
        everywhere = trip(month, "2008-12-31 23:02:00")
        inside_next = trip(month, f"{month.end:%Y-%m-%d} 00:30:00")
        files.append(write(month, [everywhere, inside_next, trip(month, "01 00:30:00"), *many_trips(month, 500)]))
    merged = together(*[lambda file=file: load(file) for file in files])
    for colour in ("green", "yellow"):
        found = query(f"select count(*), count(distinct unique_row_id) from {colour}_tripdata")
        # 500 rows each, the out-of-month row of all once, six first-of-month rows and the one in July.
        assert found == [(6 * 500 + 1 + 7, 6 * 500 + 1 + 7)]
    counted = [each.record.rows_in_table + each.record.rows_skipped for each in merged]  # pyright: ignore
    assert counted == [503] * 12


@pytest.mark.parametrize("pickup", ["2020-03-05 12:00:00", "2020-04-05 12:00:00", "2008-01-01 00:00:00"])
def test_parallel_merges_load_a_shared_row_once(postgres: Postgres, write: Write, query: Query, pickup: str) -> None:
    shared = trip(MARCH, pickup)
    for round_ in range(5):
        files = [
            write(MARCH, [shared, trip(MARCH, fare_amount=str(round_))]),
            write(APRIL, [shared, trip(APRIL, fare_amount=str(round_))]),
        ]
        for file in files:
            stage(postgres, file)
        together(*[lambda file=file: merge(postgres, file.month) for file in files])
        assert query("select count(*), count(distinct unique_row_id) from green_tripdata") == [(3, 3)]


def test_query_sees_month_whole_old_or_new(load: Load, write: Write, each_postgres_url: str) -> None:
    load(write(APRIL, many_trips(APRIL, 100)))
    seen, stop = set(), threading.Event()

    def look() -> None:
        with psycopg.connect(each_postgres_url, autocommit=True) as connection:
            while not stop.is_set():
                seen.update(connection.execute("select count(*) from green_tripdata").fetchall())

    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(look)
        try:
            for rows in (200, 300, 400):
                load(write(APRIL, many_trips(APRIL, rows)))
        finally:
            stop.set()
        reader.result()
    assert seen <= {(100,), (200,), (300,), (400,)}


def test_first_load_does_not_wait_for_readers(load: Load, write: Write, each_postgres_url: str) -> None:
    load(write(MARCH, [trip(MARCH)]))
    with reading(each_postgres_url):
        assert load(write(APRIL, [trip(APRIL)])).changed


def test_unchanged_month_does_not_wait_for_readers(load: Load, write: Write, each_postgres_url: str) -> None:
    file = write(MARCH, [trip(MARCH)])
    load(file)
    with reading(each_postgres_url):
        assert not load(file).changed


def test_reader_blocks_swap_until_timeout(load: Load, write: Write, query: Query, each_postgres_url: str) -> None:
    load(write(APRIL, [trip(APRIL)]))
    corrected = write(APRIL, [trip(APRIL), trip(APRIL, "02 00:00:00")])
    impatient = Postgres(url=each_postgres_url, merge_timeout=3)
    stop = threading.Event()

    def keep_asking() -> int:
        """Query in a loop; the server cancels a query that takes a minute."""
        asked = 0
        with psycopg.connect(each_postgres_url, autocommit=True) as connection:
            connection.execute("set statement_timeout = '1min'")
            while not stop.is_set():
                connection.execute("select count(*) from green_tripdata")
                asked += 1
        return asked

    with reading(each_postgres_url) as pid, ThreadPoolExecutor(1) as pool:
        reader = pool.submit(keep_asking)
        try:
            stage(impatient, corrected)
            with pytest.raises(TableBusy, match=rf"(?s)pid {pid} \(.*blocking pids: {pid};") as caught:
                merge(impatient, APRIL)
        finally:
            stop.set()
        assert reader.result() > 0
    assert caught.value.allow_retries
    assert query("select count(*) from green_tripdata") == [(1,)]
    assert load(corrected).changed
    assert query("select count(*) from green_tripdata") == [(2,)]


def test_swap_waits_for_a_reader_that_ends(
    postgres: Postgres, write: Write, query: Query, each_postgres_url: str
) -> None:
    for rows in (1, 2):
        file = write(APRIL, many_trips(APRIL, rows))
        stage(postgres, file)
        if rows == 1:
            merge(postgres, APRIL)
    with ThreadPoolExecutor(1) as pool:
        with reading(each_postgres_url):
            waiting = pool.submit(merge, postgres, APRIL)
            until(lambda: query(f"select 1 {MINE} and wait_event_type = 'Lock'"), "the swap waits")
        assert waiting.result().changed
    assert query("select count(*) from green_tripdata") == [(2,)]


def test_lookup_reads_part_of_an_unanalyzed_month(load: Load, write: Write, query: Query) -> None:
    """During a backfill the server has not analyzed a table yet; a lookup must use the index all the same."""
    rows = [trip(MARCH, f"{1 + n // 1000:02} {n // 60 % 24:02}:{n % 60:02}:00") for n in range(20_000)]
    load(write(MARCH, rows))
    load(write(APRIL, [trip(APRIL), trip(APRIL, "2020-03-05 12:00:01")]))

    def pages_read() -> list[tuple]:
        # The server counts ten for each page that a BRIN index names.
        return query(
            "select idx_tup_read / 10, pg_relation_size(relid) / 8192 from pg_stat_user_indexes "
            "where relname = 'green_tripdata_2020_03' and indexrelname like '%pickups' and idx_scan > 0"
        )

    until(pages_read, "the server has counted")
    [(read, pages)] = pages_read()
    assert 0 < read <= pages / 2


@pytest.fixture
def eager_autovacuum(query: Query) -> Iterator[None]:
    """Let autovacuum start each second."""
    query("alter system set autovacuum_naptime = 1")
    query("select pg_reload_conf()")
    yield
    query("alter system reset autovacuum_naptime")
    query("select pg_reload_conf()")


@pytest.mark.usefixtures("eager_autovacuum")
def test_swap_cancels_an_autovacuum(load: Load, write: Write, query: Query, each_postgres_url: str) -> None:
    """The server starts one within a minute of each load."""
    load(write(APRIL, many_trips(APRIL, 3000)))
    partition = "trip_months.green_tripdata_2020_04"
    slow = "autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1"
    query(f"alter table {partition} set (autovacuum_vacuum_threshold = 1, {slow})")
    query(f"update {partition} set vendorid = vendorid")
    working = f"select pid from pg_stat_progress_vacuum where relid = '{partition}'::regclass"
    until(lambda: query(working), "an autovacuum is at work")
    changed = write(APRIL, [trip(APRIL)])
    stage(Postgres(url=each_postgres_url), changed)
    assert query(working), "it lasts longer than the swap is tried"

    assert merge(Postgres(url=each_postgres_url, merge_timeout=0), APRIL).changed
    assert query("select count(*) from green_tripdata") == [(1,)]


def test_killed_while_staging_next_run_cleans_up(
    load: Load, write: Write, query: Query, each_postgres_url: str
) -> None:
    load(write(APRIL, [trip(APRIL)]))
    file = write(APRIL, many_trips(APRIL, 100_000))
    with process(each_postgres_url, file) as victim:
        until(lambda: query(COPYING), "rows are copied", pause=0.01)
        victim.kill()
    until(lambda: not query(f"select 1 {MINE}"), "the server has noticed")
    assert query("select count(*) from green_tripdata") == [(1,)]
    assert len(query("select 1 from pg_class where relname ~ '_loading_[0-9a-f]{8}$' and relkind = 'r'")) == 1
    assert load(file).changed
    assert query("select count(*) from green_tripdata") == [(100_000,)]
    assert query("select relname from pg_class where relname ~ '(staging|loading)' and relkind = 'r'") == []


def test_killed_while_merging_next_run_succeeds(load: Load, write: Write, query: Query, each_postgres_url: str) -> None:
    load(write(APRIL, [trip(APRIL)]))
    file = write(APRIL, many_trips(APRIL, 1000))
    with reading(each_postgres_url), process(each_postgres_url, file) as victim:
        waits = f"select 1 {MINE} and wait_event_type = 'Lock' and query like 'alter table%detach%'"
        until(lambda: query(waits), "the swap waits for the reader, inside its transaction")
        victim.kill()
    until(lambda: not query(f"select 1 {MINE}"), "the server has noticed")
    assert query("select count(*) from green_tripdata") == [(1,)]
    assert load(file).changed
    assert query("select count(*) from green_tripdata") == [(1000,)]
    assert query("select relname from pg_class where relname ~ '(staging|loading)' and relkind = 'r'") == []


def test_run_keeps_tables_that_another_run_is_copying(
    load: Load, write: Write, query: Query, each_postgres_url: str
) -> None:
    file = write(APRIL, many_trips(APRIL, 100_000))
    with process(each_postgres_url, file) as other:
        until(lambda: query(COPYING), "rows are copied", pause=0.01)
        load(write(MARCH, [trip(MARCH)]))
        other.join()
        assert other.exitcode == 0
    assert query("select count(*) from green_tripdata") == [(100_001,)]
