"""The guarantees in Postgres, on each version, and what is particular to its tables."""

import hashlib

import pytest

from taxi_platform_tests.destinations.contract import APRIL, MARCH, Guarantees, Load, Query, Write
from taxi_platform_tests.support.trip_files import trip


class TestGuarantees(Guarantees):
    table = "green_tripdata"

    def everything(self, query: Query) -> list[tuple]:
        """Rows with their place and their transaction, which differ for rows that were written again."""
        return query(f"select *, tableoid, xmin::text from {self.table} order by filename, unique_row_id, ctid")


def test_file_of_out_of_month_rows_is_compared_whole(load: Load, write: Write, query: Query) -> None:
    """As when a month is published under another one's name."""
    rows = [trip(MARCH, f"{1 + n // 1440:02} {n // 60 % 24:02}:{n % 60:02}:00") for n in range(3000)]
    load(write(MARCH, rows))
    merged = load(write(APRIL, [*rows, trip(APRIL)]))
    assert {name: skipped.rows for name, skipped in merged.record.skipped.items()} == {MARCH.filename: 3000}
    assert dict(query("select filename, count(*) from green_tripdata group by 1")) == {
        MARCH.filename: 3000,
        APRIL.filename: 1,
    }


@pytest.mark.parametrize("pickup_first", [True, False])
@pytest.mark.parametrize("at", ["2020-03-05 12:00:00", "2020-04-05 12:00:00", "2020-05-05 12:00:00"])
def test_lone_dropoff_equals_lone_pickup(load: Load, write: Write, query: Query, at: str, pickup_first: bool) -> None:
    """Their row ids are equal, since a row id does not say which of the two is missing."""
    one = trip(MARCH, at) | {"lpep_dropoff_datetime": ""}
    other = trip(MARCH, at) | {"lpep_pickup_datetime": ""}
    load(write(MARCH, [one if pickup_first else other]))
    merged = load(write(APRIL, [trip(APRIL), other if pickup_first else one]))
    assert {name: skipped.rows for name, skipped in merged.record.skipped.items()} == {MARCH.filename: 1}
    assert query("select count(*), count(distinct unique_row_id) from green_tripdata") == [(2, 2)]


def test_row_id_is_md5_of_seven_columns(load: Load, write: Write, query: Query) -> None:
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
        ("cbd_congestion_fee", "double precision"),
    ]


def test_no_attached_column_is_generated(load: Load, write: Write, query: Query) -> None:
    load(write(APRIL, [trip(APRIL)]))
    load(write(APRIL, [trip(APRIL, "02 00:00:00")]))
    assert query("select count(*) from pg_attribute where attgenerated <> '' and not attisdropped") == [(0,)]
