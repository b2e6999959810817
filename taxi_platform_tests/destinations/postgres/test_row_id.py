"""The row id, whose expression is longer than its formula because a generated column allows less."""

from collections.abc import Callable

import pytest

from taxi_platform.source.raw_file import RawFile
from taxi_platform.trips.load_record import MergeResult
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.support.trip_files import trip

FORMULA = """
select
    unique_row_id,
    md5(
        coalesce(vendorid, '') || coalesce(lpep_pickup_datetime::text, '') || coalesce(lpep_dropoff_datetime::text, '')
        || coalesce(pulocationid, '') || coalesce(dolocationid, '') || coalesce(fare_amount::text, '')
        || coalesce(trip_distance::text, '')
    )
from green_tripdata
"""
LEAP = TripMonth.from_key("green|2020-02")
DECEMBER = TripMonth.from_key("green|2020-12")
TIMES = {
    LEAP: [
        *("2020-02-01 00:00:00", "2020-02-29 23:59:59", "2020-01-31 23:59:59", "2020-03-01 00:00:00"),
        *("2020-03-02 12:30:00", "2020-01-01 00:00:01", "2008-12-31 23:05:26", "2041-08-17 16:24:38", ""),
    ],
    DECEMBER: ["2020-12-31 23:59:59", "2020-11-30 00:00:00", "2021-01-01 00:00:00", "2021-01-02 00:00:00"],
}


@pytest.mark.parametrize("month", TIMES, ids=str)
def test_row_id_equals_formula_for_any_time(
    load: Callable[[RawFile], MergeResult],
    write: Callable[..., RawFile],
    query: Callable[..., list[tuple]],
    month: TripMonth,
) -> None:
    pickup, dropoff = (column.name for column in (month.colour.pickup, month.colour.dropoff))
    rows = [trip(month) | {pickup: at, dropoff: then} for at in TIMES[month] for then in TIMES[month]]
    load(write(month, rows))
    ids = query(FORMULA)
    assert len(ids) == len(rows)
    assert [made for made, _ in ids] == [formula for _, formula in ids]


def test_backslash_is_loaded_as_it_is(
    load: Callable[[RawFile], MergeResult], write: Callable[..., RawFile], query: Callable[..., list[tuple]]
) -> None:
    values = ["\\", "\\N", "\\.", "a\\tb", "\\\\"]
    load(write(LEAP, [trip(LEAP, store_and_fwd_flag=value) for value in values]))
    assert sorted(query("select store_and_fwd_flag from green_tripdata")) == sorted((value,) for value in values)
