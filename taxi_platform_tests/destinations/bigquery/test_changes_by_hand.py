"""Rows and records that were changed by hand, and rows with equal ids on different days."""

import pytest

from taxi_platform_tests.destinations.contract import APRIL, MARCH
from taxi_platform_tests.support.google_fixtures import Load, Query, Write
from taxi_platform_tests.support.trip_files import trip

TIME = "2020-04-05 12:00:00"
SHARED = trip(MARCH, TIME)


def rows_by_file(query: Query) -> dict[str, int]:
    return dict(query("SELECT filename, COUNT(*) FROM {green_tripdata} GROUP BY filename"))


@pytest.mark.parametrize("lost", [f"lpep_pickup_datetime = '{TIME}'", "TRUE"], ids=["row", "all rows"])
def test_skipped_duplicate_is_loaded_if_its_file_lost_it(load: Load, write: Write, query: Query, lost: str) -> None:
    april = write(APRIL, [trip(APRIL), SHARED])
    march = write(MARCH, [SHARED, trip(MARCH)])
    load(march)
    assert load(april).record.rows_skipped == 1
    query(f"DELETE FROM {{green_tripdata}} WHERE filename = '{MARCH.filename}' AND {lost}")

    assert load(april).changed
    assert query(f"SELECT filename FROM {{green_tripdata}} WHERE lpep_pickup_datetime = '{TIME}'") == [
        (APRIL.filename,)
    ]
    assert load(march).record.rows_skipped == 1
    assert rows_by_file(query) == {MARCH.filename: 1, APRIL.filename: 2}
    assert not load(april).changed
    assert not load(march).changed


@pytest.mark.parametrize(("first", "second"), [("pickup", "dropoff"), ("dropoff", "pickup")])
def test_equal_ids_of_half_dated_rows_are_duplicates(
    load: Load, write: Write, query: Query, first: str, second: str
) -> None:
    """A row with only a pickup and one with only a dropoff at that time have equal row ids."""

    def half(only: str) -> dict[str, str]:
        times = {"lpep_pickup_datetime": "", "lpep_dropoff_datetime": "", f"lpep_{only}_datetime": TIME}
        return trip(MARCH, "01 00:00:00") | times

    load(write(MARCH, [half(first), trip(MARCH)]))
    merged = load(write(APRIL, [trip(APRIL), half(second)]))
    assert {name: skipped.rows for name, skipped in merged.record.skipped.items()} == {MARCH.filename: 1}
    assert rows_by_file(query) == {MARCH.filename: 2, APRIL.filename: 1}


@pytest.mark.parametrize("pickup", ["TIMESTAMP '2031-01-01 00:00:00+00'", "NULL"])
def test_corrected_file_removes_inserted_rows(load: Load, write: Write, query: Query, pickup: str) -> None:
    load(write(APRIL, [trip(APRIL)]))
    query(
        "INSERT INTO {green_tripdata} (filename, unique_row_id, lpep_pickup_datetime) "
        f"VALUES ('{APRIL.filename}', MD5('x'), {pickup})"
    )
    load(write(APRIL, [trip(APRIL, "02 02:00:00")]))
    assert query("SELECT CAST(DATE(lpep_pickup_datetime) AS STRING) FROM {green_tripdata}") == [("2020-04-02",)]


def test_rerun_removes_rows_inserted_on_another_day(load: Load, write: Write, query: Query) -> None:
    april = write(APRIL, [trip(APRIL)])
    load(april)
    query(
        "INSERT INTO {green_tripdata} (filename, unique_row_id, lpep_pickup_datetime) "
        f"VALUES ('{APRIL.filename}', MD5('x'), TIMESTAMP '2031-01-01 00:00:00+00')"
    )
    assert load(april).changed
    assert rows_by_file(query) == {APRIL.filename: 1}


def test_corrected_file_replaces_rows_without_record(load: Load, write: Write, query: Query) -> None:
    load(write(MARCH, [trip(MARCH)]))
    load(write(APRIL, [trip(APRIL), trip(APRIL, "2041-08-17 16:24:38")]))
    query(f"DELETE FROM {{taxi_loads}} WHERE filename = '{APRIL.filename}'")
    load(write(APRIL, [trip(APRIL, "02 02:00:00")]))
    assert rows_by_file(query) == {MARCH.filename: 1, APRIL.filename: 1}


def test_inserted_row_without_id_hides_no_row(load: Load, write: Write, query: Query) -> None:
    load(write(MARCH, [trip(MARCH)]))
    query(
        "INSERT INTO {green_tripdata} (filename, lpep_pickup_datetime) "
        "VALUES ('by hand', TIMESTAMP '2020-04-01 00:00:00+00')"
    )
    assert load(write(APRIL, [trip(APRIL), trip(APRIL, "02 02:00:00")])).record.rows_in_table == 2
    assert rows_by_file(query) == {MARCH.filename: 1, APRIL.filename: 2, "by hand": 1}


def test_one_deleted_and_one_doubled_row_are_restored(load: Load, write: Write, query: Query) -> None:
    file = write(APRIL, [trip(APRIL), trip(APRIL, "02 02:00:00")])
    load(file)
    before = sorted(query("SELECT * FROM {green_tripdata}"))
    query("DELETE FROM {green_tripdata} WHERE DATE(lpep_pickup_datetime) = '2020-04-01'")
    query("INSERT INTO {green_tripdata} SELECT * FROM {green_tripdata}")
    assert load(file).changed
    assert sorted(query("SELECT * FROM {green_tripdata}")) == before
