"""Partition keys, month ranges and names of a month."""

from datetime import date, datetime

import pytest

from taxi_platform.errors import BadPartition
from taxi_platform.trips.columns import COLOURS, GREEN
from taxi_platform.trips.partitions import TripMonth, month_ranges, months_between, trip_partitions


@pytest.mark.parametrize("colour", COLOURS)
def test_key_names_colour_then_month(colour: str) -> None:
    month = TripMonth.from_key(f"{colour}|2020-12")
    assert (month.colour, month.month, month.key) == (COLOURS[colour], "2020-12", f"{colour}|2020-12")
    assert month.partition_key in trip_partitions.get_partition_keys()


@pytest.mark.parametrize("key", ["purple|2020-03", "green|2018-12", "green|2135-01", "green|2020-3", "green", ""])
def test_unknown_key_is_one_permanent_error(key: str) -> None:
    with pytest.raises(BadPartition, match="There is no partition"):
        TripMonth.from_key(key)


def test_month_has_names_and_bounds() -> None:
    month = TripMonth(GREEN, "2020-12")
    assert (month.filename, month.gz_name) == ("green_tripdata_2020-12.csv", "green_tripdata_2020-12.csv.gz")
    assert (month.parquet_name, month.suffix) == ("green_tripdata_2020-12.parquet", "2020_12")
    assert (month.start, month.end) == (datetime(2020, 12, 1), datetime(2021, 1, 1))  # noqa: DTZ001 - local time
    assert [month.has(day) for day in (date(2020, 11, 30), date(2020, 12, 31), date(2021, 1, 1))] == [
        False,
        True,
        False,
    ]


def test_file_name_of_other_form_names_no_month() -> None:
    assert TripMonth.from_file(GREEN, "green_tripdata_2020-04.csv") == TripMonth(GREEN, "2020-04")
    for name in ("green_tripdata_2020-13.csv", "yellow_tripdata_2020-04.csv", "green_tripdata_2020-04.csv.gz"):
        assert TripMonth.from_file(GREEN, name) is None


def test_months_between_include_both_ends() -> None:
    assert [month.month for month in months_between(GREEN, "2019-12", "2020-02")] == ["2019-12", "2020-01", "2020-02"]


@pytest.mark.parametrize(
    ("first", "last", "reason"),
    [
        ("2018-12", "2020-01", r"the month '2018-12'\.\nChoose a month from 2019-01 to"),
        ("2020-02", "2020-01", "2020-02, is after the last, 2020-01"),
    ],
)
def test_months_between_refuses_bad_bounds(first: str, last: str, reason: str) -> None:
    with pytest.raises(BadPartition, match=reason):
        months_between(GREEN, first, last)


def test_month_ranges_shorten_runs_of_three() -> None:
    assert month_ranges(["2021-01", "2020-12", "2020-03", "2020-04", "2020-05"]) == "2020-03..2020-05, 2020-12, 2021-01"
    assert month_ranges(["2019-11", "2019-12", "2020-01"]) == "2019-11..2020-01"
    assert month_ranges([]) == ""
