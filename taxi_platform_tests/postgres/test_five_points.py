"""The five points that hold after a run of a partition, and what they mean for strays."""

import hashlib
from collections.abc import Callable

import pytest

from taxi_platform.partitions import TripMonth
from taxi_platform.postgres.merge import Merged
from taxi_platform.source import RawFile
from taxi_platform_tests.support.trip_files import trip

Query = Callable[..., list[tuple]]
Load = Callable[[RawFile], Merged]
Write = Callable[..., RawFile]

MARCH = TripMonth.from_key("green|2020-03")
APRIL = TripMonth.from_key("green|2020-04")
MAY = TripMonth.from_key("green|2020-05")


def rows_by_file(query: Query) -> dict[str, int]:
    return dict(query("select filename, count(*) from green_tripdata group by 1"))


def everything(query: Query) -> list[tuple]:
    return query("select *, tableoid, xmin::text from green_tripdata order by filename, unique_row_id, ctid")


def test_repeated_rows_are_kept(load: Load, write: Write, query: Query) -> None:
    twice = trip(APRIL, "05 10:00:00")
    merged = load(write(APRIL, [twice, twice, trip(APRIL, "06 10:00:00")]))
    assert merged.record.rows == 3
    assert query("select count(*), count(distinct unique_row_id) from green_tripdata") == [(3, 2)]


def test_rows_carry_the_name_of_their_file(load: Load, write: Write, query: Query) -> None:
    load(write(APRIL, [trip(APRIL)]))
    assert query("select filename from green_tripdata") == [("green_tripdata_2020-04.csv",)]


def test_the_file_that_was_loaded_first_keeps_a_row(load: Load, write: Write, query: Query) -> None:
    shared = trip(MARCH, "2008-12-31 23:02:00")
    load(write(MARCH, [shared, trip(MARCH)]))
    merged = load(write(APRIL, [shared, trip(APRIL), shared]))
    assert merged.record.kept_by == {MARCH.filename: 2}
    assert merged.record.rows_in_table == 1
    assert rows_by_file(query) == {MARCH.filename: 2, APRIL.filename: 1}


def test_a_corrected_file_replaces_its_older_version(load: Load, write: Write, query: Query) -> None:
    older = load(write(APRIL, [trip(APRIL, "01 01:00:00"), trip(APRIL, "02 01:00:00")]))
    merged = load(write(APRIL, [trip(APRIL, "02 01:00:00"), trip(APRIL, "03 01:00:00", fare_amount="9.5")]))
    assert merged.replaced == older.record
    pickups = query("select lpep_pickup_datetime::text, fare_amount from green_tripdata order by 1")
    assert pickups == [("2020-04-02 01:00:00", 8.0), ("2020-04-03 01:00:00", 9.5)]


def test_other_months_are_left_as_they_were(load: Load, write: Write, query: Query) -> None:
    load(write(MARCH, [trip(MARCH), trip(MARCH, "2020-04-07 08:00:00")]))
    before = everything(query)
    load(write(APRIL, [trip(APRIL), trip(APRIL, "2020-03-01 00:00:00")]))
    load(write(APRIL, [trip(APRIL, "09 09:00:00")]))
    assert [row for row in everything(query) if row[1] == MARCH.filename] == before


def test_a_second_run_changes_nothing(load: Load, write: Write, query: Query) -> None:
    file = write(APRIL, [trip(APRIL), trip(APRIL, "2020-03-01 00:00:00")])
    first = load(file)
    before = everything(query)
    second = load(file)
    assert not second.changed
    assert second.record == first.record
    assert everything(query) == before


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
    assert load(write(APRIL, [trip(APRIL, "2020-03-05 12:00:00", fare_amount="-8")])).record.kept_by == {}


def test_a_file_full_of_strays_is_compared_whole(load: Load, write: Write, query: Query) -> None:
    """As when a month is published under another one's name."""
    rows = [trip(MARCH, f"{1 + n // 1440:02} {n // 60 % 24:02}:{n % 60:02}:00") for n in range(3000)]
    load(write(MARCH, rows))
    merged = load(write(APRIL, [*rows, trip(APRIL)]))
    assert merged.record.kept_by == {MARCH.filename: 3000}
    assert rows_by_file(query) == {MARCH.filename: 3000, APRIL.filename: 1}


def test_a_row_comes_back_when_the_file_that_kept_it_lets_it_go(load: Load, write: Write, query: Query) -> None:
    shared = trip(MARCH, "2020-04-05 12:00:00")
    load(write(MARCH, [shared]))
    april = write(APRIL, [trip(APRIL), shared])
    assert load(april).record.rows_in_table == 1
    assert load(write(MARCH, [trip(MARCH)])).let_go == (APRIL.filename,)
    again = load(april)
    assert again.changed
    assert again.let_go == ()
    assert again.record.rows_in_table == 2
    assert rows_by_file(query) == {MARCH.filename: 1, APRIL.filename: 2}


def test_an_empty_month_is_a_month(load: Load, write: Write, query: Query) -> None:
    merged = load(write(APRIL, []))
    assert (merged.record.rows, merged.changed) == (0, True)
    assert query("select count(*) from green_tripdata") == [(0,)]
    assert not load(write(APRIL, [])).changed


def test_the_row_id_is_the_md5_of_seven_columns_text(load: Load, write: Write, query: Query) -> None:
    load(write(APRIL, [trip(APRIL, "05 10:00:00"), trip(APRIL, "30 23:55:00", VendorID="", trip_distance=".86")]))
    ids = query(
        "select unique_row_id, md5(coalesce(vendorid, '') || coalesce(lpep_pickup_datetime::text, '') || "
        "coalesce(lpep_dropoff_datetime::text, '') || coalesce(pulocationid, '') || coalesce(dolocationid, '') || "
        "coalesce(fare_amount::text, '') || coalesce(trip_distance::text, '')) from green_tripdata order by 1"
    )
    assert [made for made, _ in ids] == [formula for _, formula in ids]
    text = b"2" + b"2020-04-05 10:00:00" * 2 + b"42" + b"41" + b"8" + b"1.68"
    assert hashlib.md5(text).hexdigest() in [made for made, _ in ids]


def test_columns_have_the_types_of_the_contract(load: Load, write: Write, query: Query) -> None:
    load(write(APRIL, [trip(APRIL)]))
    types = query(
        "select attname::text, format_type(atttypid, null) from pg_attribute "
        "where attrelid = 'public.green_tripdata'::regclass and attnum > 0 order by attnum"
    )
    assert types == [
        ("unique_row_id", "text"),
        ("filename", "text"),
        ("vendorid", "text"),
        ("lpep_pickup_datetime", "timestamp without time zone"),
        ("lpep_dropoff_datetime", "timestamp without time zone"),
        ("store_and_fwd_flag", "text"),
        ("ratecodeid", "text"),
        ("pulocationid", "text"),
        ("dolocationid", "text"),
        ("passenger_count", "integer"),
        ("trip_distance", "double precision"),
        ("fare_amount", "double precision"),
        ("extra", "double precision"),
        ("mta_tax", "double precision"),
        ("tip_amount", "double precision"),
        ("tolls_amount", "double precision"),
        ("ehail_fee", "double precision"),
        ("improvement_surcharge", "double precision"),
        ("total_amount", "double precision"),
        ("payment_type", "integer"),
        ("trip_type", "integer"),
        ("congestion_surcharge", "double precision"),
    ]


def test_no_attached_column_is_generated(load: Load, write: Write, query: Query) -> None:
    load(write(APRIL, [trip(APRIL)]))
    load(write(APRIL, [trip(APRIL, "02 00:00:00")]))
    assert query("select count(*) from pg_attribute where attgenerated <> '' and not attisdropped") == [(0,)]
