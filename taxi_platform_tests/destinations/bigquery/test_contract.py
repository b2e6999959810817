"""The guarantees in BigQuery, with what is particular to its tables."""

import hashlib

from taxi_platform_tests.destinations.contract import APRIL, MARCH, Guarantees
from taxi_platform_tests.support.google_fixtures import Load, Query, Write
from taxi_platform_tests.support.trip_files import trip
from taxi_platform_tests.support.unreliable_google import UnreliableGoogle


class TestGuarantees(Guarantees):
    table = "{green_tripdata}"


def test_rerun_sends_no_statement_that_writes(
    load: Load, write: Write, query: Query, bigquery_front: UnreliableGoogle
) -> None:
    file = write(APRIL, [trip(APRIL), trip(APRIL, "2020-03-01 00:00:00")])
    load(file)
    recorded = query("SELECT * FROM {taxi_loads} ORDER BY filename")
    bigquery_front.requests.clear()
    load(file)
    assert query("SELECT * FROM {taxi_loads} ORDER BY filename") == recorded
    assert not [sent for sent in bigquery_front.statements if "CREATE" in sent or "INSERT" in sent or "DELETE" in sent]


def test_columns_are_loaded_by_name(load: Load, write: Write, query: Query) -> None:
    """In another order, and with a column that the registry does not know."""
    names = [column.name for column in reversed(APRIL.colour.required_columns)]
    load(write(APRIL, [trip(APRIL)], header=["driver mood", *names]))
    load(write(MARCH, [trip(MARCH)]))
    fields = "VendorID, PULocationID, CAST(fare_amount AS FLOAT64), store_and_fwd_flag, trip_type"
    assert query(f"SELECT {fields} FROM {{green_tripdata}}") == [("2", "42", 8.0, "N", None)] * 2


def test_row_id_is_md5_of_five_columns_as_text(load: Load, write: Write, query: Query) -> None:
    load(write(APRIL, [trip(APRIL, "05 10:00:00"), trip(APRIL, "30 23:55:00", VendorID="", fare_amount="77")]))
    full = b"2" + b"2020-04-05 10:00:00+00" * 2 + b"42" + b"41"
    bare = b"2020-04-30 23:55:00+00" * 2 + b"42" + b"41"
    assert query("SELECT unique_row_id FROM {green_tripdata} ORDER BY lpep_pickup_datetime") == [
        (hashlib.md5(full).digest(),),
        (hashlib.md5(bare).digest(),),
    ]


def test_empty_text_is_null(load: Load, write: Write, query: Query) -> None:
    load(write(APRIL, [trip(APRIL, VendorID="", store_and_fwd_flag="", passenger_count="")]))
    found = query("SELECT VendorID, store_and_fwd_flag, passenger_count, trip_type, ehail_fee FROM {green_tripdata}")
    assert found == [(None, None, None, None, None)]
