"""Loads into the lake: repeated, at the same time, killed, and after changes by hand."""

import multiprocessing
import os
import random
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from taxi_platform.destinations.lake.lake_files import existing_files, file_path
from taxi_platform.destinations.lake.locks import merge_lock
from taxi_platform.destinations.lake.merge import load as load_month
from taxi_platform.destinations.lake.resource import Lake
from taxi_platform.errors import BadFile, DatabaseUnavailable, PermanentError, SourceUnavailable, TableBusy
from taxi_platform.source.raw_file import RawFile
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.destinations.contract import APRIL, MARCH, MAY, Load, Query, Write
from taxi_platform_tests.destinations.lake.hand import delete_rows, rewrite
from taxi_platform_tests.support.trip_files import Row, trip

SPAWN = multiprocessing.get_context("spawn")
SHARED_PICKUP = "2020-04-05 12:00:00"


def run_load(lake: Lake, file: RawFile) -> None:
    """Load in a process of its own."""
    load_month(lake, file)


def many(month: TripMonth, count: int, **fields: str) -> list[Row]:
    return [trip(month, f"{1 + n % 28:02} {n // 60 % 24:02}:{n % 60:02}:00", **fields) for n in range(count)]


def leftovers(lake: Lake) -> list[Path]:
    return [path for path in (lake.folder / ".loading").iterdir() if path.is_dir()]


def test_same_file_is_written_with_same_bytes(lake: Lake, load: Load, write: Write) -> None:
    file = write(APRIL, [*many(APRIL, 3000), trip(APRIL, "2041-08-17 16:24:38")])
    load(file)
    first = file_path(lake.folder, APRIL).read_bytes()
    file_path(lake.folder, APRIL).unlink()
    assert load(file).changed
    assert file_path(lake.folder, APRIL).read_bytes() == first


def test_unchanged_month_is_not_written_again(lake: Lake, load: Load, write: Write) -> None:
    file = write(APRIL, [trip(APRIL)])
    load(file)
    before = file_path(lake.folder, APRIL).stat()
    load(file)
    after = file_path(lake.folder, APRIL).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert leftovers(lake) == []


@pytest.mark.parametrize(
    "change",
    [
        "select * replace (fare_amount + 1 as fare_amount) from rows",
        "select * from rows union all select * from (from rows limit 1) offset 1",
        "select * exclude (fare_amount) from rows",
        "select * from rows where false",
    ],
)
def test_change_by_hand_is_restored(lake: Lake, load: Load, write: Write, query: Query, change: str) -> None:
    file = write(APRIL, [trip(APRIL), trip(APRIL, "02 02:00:00")])
    load(file)
    before = sorted(query("select * from green_tripdata"))
    rewrite(file_path(lake.folder, APRIL), change)
    assert load(file).changed
    assert sorted(query("select * from green_tripdata")) == before


@pytest.mark.parametrize("how", ["row", "file"])
def test_row_deleted_from_first_file_is_loaded_with_second(
    lake: Lake, load: Load, write: Write, query: Query, how: str
) -> None:
    shared = trip(MARCH, SHARED_PICKUP)
    march, april = write(MARCH, [shared, trip(MARCH)]), write(APRIL, [shared, trip(APRIL)])
    load(march)
    load(april)
    if how == "row":
        delete_rows(lake, f"lpep_pickup_datetime = '{SHARED_PICKUP}'")
    else:
        file_path(lake.folder, MARCH).unlink()
    assert load(april).changed
    assert query(f"select filename from green_tripdata where lpep_pickup_datetime = '{SHARED_PICKUP}'") == [
        (APRIL.filename,)
    ]
    load(march)
    assert query(f"select filename from green_tripdata where lpep_pickup_datetime = '{SHARED_PICKUP}'") == [
        (APRIL.filename,)
    ]
    assert query("select count(*) from green_tripdata") == [(3,)]
    assert not load(march).changed
    assert not load(april).changed


def test_row_is_loaded_when_its_file_was_reloaded_without_it(load: Load, write: Write, query: Query) -> None:
    """May takes the row while March's file is missing; the reloaded March skips it; a corrected May drops it."""
    shared = trip(MARCH, SHARED_PICKUP)
    march, april, may = (write(month, [shared, trip(month)]) for month in (MARCH, APRIL, MAY))
    load(march)
    load(april)
    rewritten = write(MARCH, [trip(MARCH)])
    load(rewritten)
    load(may)
    load(write(MARCH, [shared, trip(MARCH)]))
    load(write(MAY, [trip(MAY)]))
    assert load(april).changed
    assert query(f"select filename from green_tripdata where lpep_pickup_datetime = '{SHARED_PICKUP}'") == [
        (APRIL.filename,)
    ]


def test_file_full_of_out_of_month_rows_is_compared(load: Load, write: Write, query: Query) -> None:
    rows = many(MARCH, 3000)
    load(write(MARCH, rows))
    merged = load(write(APRIL, [*rows, trip(APRIL)]))
    assert {name: skipped.rows for name, skipped in merged.record.skipped.items()} == {MARCH.filename: 3000}
    assert dict(query("select filename, count(*) from green_tripdata group by 1")) == {
        MARCH.filename: 3000,
        APRIL.filename: 1,
    }


@pytest.mark.parametrize("pickup_first", [True, False])
@pytest.mark.parametrize("at", ["2020-03-05 12:00:00", SHARED_PICKUP, "2020-05-05 12:00:00"])
def test_row_with_one_time_is_one_row(load: Load, write: Write, query: Query, at: str, pickup_first: bool) -> None:
    """The row ids of a row with only a pickup and of one with only a dropoff are equal."""
    one = trip(MARCH, at) | {"lpep_dropoff_datetime": ""}
    other = trip(MARCH, at) | {"lpep_pickup_datetime": ""}
    load(write(MARCH, [one if pickup_first else other]))
    merged = load(write(APRIL, [trip(APRIL), other if pickup_first else one]))
    assert {name: skipped.rows for name, skipped in merged.record.skipped.items()} == {MARCH.filename: 1}
    assert query("select count(*), count(distinct unique_row_id) from green_tripdata") == [(2, 2)]


def test_months_load_side_by_side(lake: Lake, write: Write, query: Query) -> None:
    shared = trip(MARCH, SHARED_PICKUP)
    files = [write(month, [shared, *many(month, 500)]) for month in (MARCH, APRIL, MAY)]
    with ThreadPoolExecutor(6) as pool:
        for result in [pool.submit(load_month, lake, file) for file in files * 2]:
            result.result()
    assert query(
        "select count(*), count(*) filter (lpep_pickup_datetime = '2020-04-05 12:00:00') from green_tripdata"
    ) == [(1501, 1)]
    assert leftovers(lake) == []


def test_two_runs_of_a_month_load_it_once(lake: Lake, write: Write, query: Query) -> None:
    file = write(APRIL, many(APRIL, 2000))
    with ThreadPoolExecutor(2) as pool:
        results = [each.result() for each in [pool.submit(load_month, lake, file) for _ in range(2)]]
    assert sorted(result.changed for result in results) == [False, True]
    assert query("select count(*) from green_tripdata") == [(2000,)]


@pytest.mark.parametrize("seed", range(3))
def test_killed_load_leaves_old_or_new_month(lake: Lake, load: Load, write: Write, query: Query, seed: int) -> None:
    chance = random.Random(seed)
    shared = trip(MARCH, SHARED_PICKUP)
    load(write(MARCH, [shared]))
    load(write(APRIL, [shared, *many(APRIL, 1000)]))
    corrected = write(APRIL, [shared, *many(APRIL, 20_000, fare_amount="9")])
    process = SPAWN.Process(target=run_load, args=(lake, corrected))
    process.start()
    own = lake.folder / ".loading"
    while process.is_alive() and not any(path.is_dir() for path in own.iterdir()):
        process.join(0.01)
    process.join(chance.uniform(0, 0.5))
    if process.pid and process.is_alive():
        os.kill(process.pid, signal.SIGKILL)
    process.join()
    counts = query("select filename, count(*), count(distinct fare_amount) from green_tripdata group by 1 order by 1")
    assert counts in (
        [(MARCH.filename, 1, 1), (APRIL.filename, 1000, 1)],
        [(MARCH.filename, 1, 1), (APRIL.filename, 20_000, 1)],
    )
    load(corrected)
    assert query("select count(*) from green_tripdata where fare_amount = 9") == [(20_000,)]
    assert leftovers(lake) == []


def test_reader_of_a_snapshot_sees_month_whole(lake: Lake, load: Load, write: Write, query: Query) -> None:
    load(write(APRIL, many(APRIL, 2000)))
    results: set[tuple] = set()
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(_replace_repeatedly, load, write)
        while not done.done():
            results |= set(query("select count(*), sum(fare_amount) from green_tripdata"))
        done.result()
    assert results <= {(2000, 16_000.0), (1000, 9_000.0)}


def _replace_repeatedly(load: Load, write: Write) -> None:
    for _ in range(10):
        load(write(APRIL, many(APRIL, 1000, fare_amount="9")))
        load(write(APRIL, many(APRIL, 2000)))


def test_bad_value_names_line_and_column(lake: Lake, load: Load, write: Write) -> None:
    load(write(APRIL, [trip(APRIL)]))
    before = file_path(lake.folder, APRIL).read_bytes()
    with pytest.raises(
        BadFile, match=r"green_tripdata_2020-04\.csv, line 3, column lpep_pickup_datetime: .*2020-02-30"
    ):
        load(write(APRIL, [trip(APRIL), trip(APRIL, "2020-02-30 00:00:00")]))
    assert file_path(lake.folder, APRIL).read_bytes() == before
    assert leftovers(lake) == []


@pytest.mark.parametrize(
    ("column", "value"),
    [("fare_amount", "1e999"), ("fare_amount", "-1e999"), ("lpep_dropoff_datetime", "0000-01-01 00:00:00")],
)
def test_value_out_of_range_is_refused(load: Load, write: Write, column: str, value: str) -> None:
    with pytest.raises(BadFile, match=f"column {column}"):
        load(write(APRIL, [trip(APRIL, **{column: value})]))


def test_replaced_published_file_is_refused(load: Load, write: Write) -> None:
    described = write(APRIL, [trip(APRIL)])
    write(APRIL, [trip(APRIL, "02 02:00:00")])
    with pytest.raises(SourceUnavailable, match="was replaced while it was read"):
        load(described)


def test_unknown_columns_and_other_order_are_loaded(load: Load, write: Write, query: Query) -> None:
    names = [column.name for column in APRIL.colour.required_columns]
    header = ["new one", *reversed(names), 'it"s']
    load(write(APRIL, [trip(APRIL, fare_amount="7.25")], header))
    assert query("select vendorid, fare_amount, pulocationid from green_tripdata") == [("2", 7.25, "42")]


def test_foreign_parquet_file_is_named(lake: Lake, load: Load, write: Write) -> None:
    path = file_path(lake.folder, MARCH)
    path.parent.mkdir(parents=True)
    with duckdb.connect() as connection:
        connection.execute("copy (select 1 as a) to $path (format parquet)", {"path": str(path)})
    with pytest.raises(PermanentError, match=r"green_tripdata_2020-03\.parquet"):
        load(write(APRIL, [trip(APRIL)]))
    load(write(MARCH, [trip(MARCH)]))
    load(write(APRIL, [trip(APRIL)]))


def test_files_of_other_names_are_left_alone(lake: Lake, load: Load, write: Write) -> None:
    load(write(APRIL, [trip(APRIL)]))
    note = file_path(lake.folder, APRIL).parent / "mine.parquet"
    note.write_text("not parquet")
    load(write(MAY, [trip(MAY)]))
    assert list(existing_files(lake.folder, APRIL.colour)) == [APRIL, MAY]
    assert note.exists()


def test_merge_lock_held_for_too_long_is_reported(lake: Lake, write: Write) -> None:
    hasty = Lake(path=lake.path, merge_timeout=0.1)
    with merge_lock(lake.folder, APRIL.colour, seconds=1), pytest.raises(TableBusy, match=r"green\.lock"):
        load_month(hasty, write(APRIL, [trip(APRIL)]))


def test_disk_error_is_transient(tmp_path: Path, lake: Lake, load: Load, write: Write) -> None:
    file = write(APRIL, [trip(APRIL)])
    file.path.unlink()
    with pytest.raises(DatabaseUnavailable, match="failed to load"):
        load(file)


def test_colours_do_not_wait_for_each_other(lake: Lake, load: Callable[..., object], write: Write) -> None:
    yellow = TripMonth.from_key("yellow|2020-04")
    with merge_lock(lake.folder, APRIL.colour, seconds=1):
        load(write(yellow, [trip(yellow)]))
