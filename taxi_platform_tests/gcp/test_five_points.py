"""The five points that hold after a run of a partition, and what they mean for strays; as in the Postgres leg."""

import hashlib

import pytest

from taxi_platform.partitions import TripMonth
from taxi_platform_tests.gcp.conftest import Load, Query, Write
from taxi_platform_tests.support.trip_files import trip

MARCH = TripMonth.from_key("green|2020-03")
APRIL = TripMonth.from_key("green|2020-04")
MAY = TripMonth.from_key("green|2020-05")
YELLOW_APRIL = TripMonth.from_key("yellow|2020-04")


def rows_by_file(query: Query) -> dict[str, int]:
    return dict(query("SELECT filename, COUNT(*) FROM {green_tripdata} GROUP BY 1"))


def everything(query: Query) -> list[tuple]:
    rows = query("SELECT * FROM {green_tripdata}")
    return sorted(rows, key=repr)


def test_repeated_rows_are_kept(load: Load, write: Write, query: Query) -> None:
    twice = trip(APRIL, "05 10:00:00")
    merged = load(write(APRIL, [twice, twice, trip(APRIL, "06 10:00:00")]))
    assert (merged.record.rows, merged.rows_in_table) == (3, 3)
    assert query("SELECT COUNT(*), COUNT(DISTINCT unique_row_id) FROM {green_tripdata}") == [(3, 2)]


def test_rows_carry_the_name_of_their_file(load: Load, write: Write, query: Query) -> None:
    load(write(APRIL, [trip(APRIL)]))
    assert query("SELECT filename FROM {green_tripdata}") == [("green_tripdata_2020-04.csv",)]


def test_the_file_that_was_loaded_first_keeps_a_row(load: Load, write: Write, query: Query) -> None:
    shared = trip(MARCH, "2008-12-31 23:02:00")
    load(write(MARCH, [shared, trip(MARCH)]))
    merged = load(write(APRIL, [shared, trip(APRIL), shared]))
    assert merged.record.kept_by == {MARCH.filename: 2}
    assert merged.record.rows_in_table == merged.rows_in_table == 1
    assert rows_by_file(query) == {MARCH.filename: 2, APRIL.filename: 1}


def test_a_row_that_the_first_file_repeats_is_kept_from_the_second_once(load: Load, write: Write, query: Query) -> None:
    shared = trip(MARCH, "2020-04-05 10:00:00")
    load(write(MARCH, [shared, shared]))
    merged = load(write(APRIL, [shared, trip(APRIL)]))
    assert merged.record.kept_by == {MARCH.filename: 1}
    assert rows_by_file(query) == {MARCH.filename: 2, APRIL.filename: 1}


def test_a_corrected_file_replaces_its_older_version(load: Load, write: Write, query: Query) -> None:
    older = load(write(APRIL, [trip(APRIL, "01 01:00:00"), trip(APRIL, "02 01:00:00")]))
    merged = load(write(APRIL, [trip(APRIL, "02 01:00:00"), trip(APRIL, "03 01:00:00", fare_amount="9.5")]))
    assert merged.replaced == older.record
    assert merged.rows_replaced == 2
    pickups = query(
        "SELECT CAST(lpep_pickup_datetime AS STRING), CAST(fare_amount AS FLOAT64) FROM {green_tripdata} ORDER BY 1"
    )
    assert pickups == [("2020-04-02 01:00:00+00", 8.0), ("2020-04-03 01:00:00+00", 9.5)]


def test_a_corrected_file_takes_the_older_version_s_strays_with_it(load: Load, write: Write, query: Query) -> None:
    load(
        write(
            APRIL,
            [
                trip(APRIL),
                trip(APRIL, "2041-08-17 16:24:38"),
                trip(APRIL, lpep_dropoff_datetime="", lpep_pickup_datetime=""),
            ],
        )
    )
    load(write(APRIL, [trip(APRIL, "02 02:00:00")]))
    assert query("SELECT CAST(DATE(lpep_pickup_datetime) AS STRING) FROM {green_tripdata}") == [("2020-04-02",)]


def test_other_months_and_the_other_colour_are_left_as_they_were(load: Load, write: Write, query: Query) -> None:
    load(write(MARCH, [trip(MARCH), trip(MARCH, "2020-04-07 08:00:00")]))
    before = everything(query)
    load(write(APRIL, [trip(APRIL), trip(APRIL, "2020-03-01 00:00:00")]))
    load(write(YELLOW_APRIL, [trip(YELLOW_APRIL)]))
    load(write(APRIL, [trip(APRIL, "09 09:00:00")]))
    assert [row for row in everything(query) if row[1] == MARCH.filename] == before
    assert query("SELECT filename FROM {yellow_tripdata}") == [(YELLOW_APRIL.filename,)]


def test_a_second_run_changes_nothing(load: Load, write: Write, query: Query, bigquery_front) -> None:
    file = write(APRIL, [trip(APRIL), trip(APRIL, "2020-03-01 00:00:00")])
    first = load(file)
    before = everything(query), query("SELECT * FROM {taxi_loads} ORDER BY filename")
    bigquery_front.requests.clear()
    second = load(file)
    assert not second.changed
    assert second.record == first.record
    assert (everything(query), query("SELECT * FROM {taxi_loads} ORDER BY filename")) == before
    assert not [sent for sent in bigquery_front.statements if "CREATE" in sent or "INSERT" in sent or "DELETE" in sent]


def test_rows_that_somebody_deleted_come_back(load: Load, write: Write, query: Query) -> None:
    file = write(APRIL, [trip(APRIL), trip(APRIL, "02 02:00:00")])
    load(file)
    query("DELETE FROM {green_tripdata} WHERE DATE(lpep_pickup_datetime) = '2020-04-02'")
    again = load(file)
    assert again.changed
    assert rows_by_file(query) == {APRIL.filename: 2}


@pytest.mark.parametrize("pickup", ["2020-03-05 12:00:00", "2020-04-05 12:00:00", "2020-05-05 12:00:00", ""])
@pytest.mark.parametrize(("first", "second"), [(MARCH, APRIL), (APRIL, MARCH)])
def test_first_file_wins_wherever_the_pickup_lies(
    load: Load, write: Write, query: Query, first: TripMonth, second: TripMonth, pickup: str
) -> None:
    """Inside the first file's month, inside the second's, a stray in both, or without a pickup."""
    shared = trip(first, pickup or "01 00:00:00")
    if not pickup:
        shared |= {first.colour.pickup.name: "", "lpep_dropoff_datetime": ""}
    load(write(first, [shared, trip(first, "20 20:00:00")]))
    load(write(MAY, [trip(MAY)]))
    merged = load(write(second, [trip(second, "21 21:00:00"), shared]))
    assert merged.record.kept_by == {first.filename: 1}
    assert rows_by_file(query) == {first.filename: 2, MAY.filename: 1, second.filename: 1}


def test_an_equal_pickup_alone_does_not_make_a_row_the_same(load: Load, write: Write) -> None:
    load(write(MARCH, [trip(MARCH, "05 12:00:00")]))
    assert load(write(APRIL, [trip(APRIL, "2020-03-05 12:00:00", DOLocationID="7")])).record.kept_by == {}


def test_a_row_comes_back_when_the_file_that_kept_it_lets_it_go(load: Load, write: Write, query: Query) -> None:
    shared = trip(MARCH, "2020-04-05 12:00:00")
    load(write(MARCH, [shared]))
    april = write(APRIL, [trip(APRIL), shared])
    assert load(april).rows_in_table == 1
    assert load(write(MARCH, [trip(MARCH)])).let_go == (APRIL.filename,)
    again = load(april)
    assert again.changed
    assert again.let_go == ()
    assert again.rows_in_table == 2
    assert rows_by_file(query) == {MARCH.filename: 1, APRIL.filename: 2}


def test_an_empty_month_is_a_month(load: Load, write: Write, query: Query) -> None:
    merged = load(write(APRIL, []))
    assert (merged.record.rows, merged.changed) == (0, True)
    assert query("SELECT COUNT(*) FROM {green_tripdata}") == [(0,)]
    assert not load(write(APRIL, [])).changed


def test_columns_in_another_order_and_unknown_ones_are_loaded_by_name(load: Load, write: Write, query: Query) -> None:
    names = [column.name for column in reversed(APRIL.colour.columns)]
    load(write(APRIL, [trip(APRIL)], header=["airport fee", *names]))
    load(write(MARCH, [trip(MARCH)]))
    fields = "VendorID, PULocationID, CAST(fare_amount AS FLOAT64), store_and_fwd_flag, trip_type"
    assert query(f"SELECT {fields} FROM {{green_tripdata}}") == [("2", "42", 8.0, "N", None)] * 2


def test_the_row_id_is_the_md5_of_five_columns_text(load: Load, write: Write, query: Query) -> None:
    load(write(APRIL, [trip(APRIL, "05 10:00:00"), trip(APRIL, "30 23:55:00", VendorID="", fare_amount="77")]))
    full = b"2" + b"2020-04-05 10:00:00+00" * 2 + b"42" + b"41"
    bare = b"2020-04-30 23:55:00+00" * 2 + b"42" + b"41"
    assert query("SELECT unique_row_id FROM {green_tripdata} ORDER BY lpep_pickup_datetime") == [
        (hashlib.md5(full).digest(),),
        (hashlib.md5(bare).digest(),),
    ]


def test_an_empty_text_is_a_null(load: Load, write: Write, query: Query) -> None:
    load(write(APRIL, [trip(APRIL, VendorID="", store_and_fwd_flag="", passenger_count="")]))
    found = query("SELECT VendorID, store_and_fwd_flag, passenger_count, trip_type, ehail_fee FROM {green_tripdata}")
    assert found == [(None, None, None, None, None)]
