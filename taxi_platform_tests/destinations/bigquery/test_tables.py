"""Conditions on days, which let BigQuery prune partitions."""

from datetime import date

from taxi_platform.destinations.bigquery.tables import day_ranges, in_month, on_days
from taxi_platform.trips.columns import GREEN
from taxi_platform.trips.partitions import TripMonth


def test_day_ranges_end_at_gaps() -> None:
    days = [date(2020, 3, 1), date(2020, 2, 28), date(2020, 2, 29), date(2020, 3, 1), date(2020, 3, 3)]
    assert day_ranges(days) == [(date(2020, 2, 28), date(2020, 3, 1)), (date(2020, 3, 3), date(2020, 3, 3))]
    assert day_ranges([]) == []


def test_condition_names_each_range_of_days() -> None:
    days = [date(2008, 12, 31), date(2020, 4, 1), date(2020, 4, 2)]
    name = GREEN.pickup.name
    first = f"{name} BETWEEN TIMESTAMP '2008-12-31 00:00:00+00' AND TIMESTAMP '2008-12-31 23:59:59.999999+00'"
    second = f"{name} BETWEEN TIMESTAMP '2020-04-01 00:00:00+00' AND TIMESTAMP '2020-04-02 23:59:59.999999+00'"
    assert on_days(GREEN.pickup, days, undated=False) == f"({first} OR {second})"
    assert on_days(GREEN.pickup, days, undated=True) == f"({first} OR {second} OR {name} IS NULL)"


def test_condition_on_no_day_is_false() -> None:
    assert on_days(GREEN.pickup, [], undated=False) == "FALSE"
    assert on_days(GREEN.pickup, [], undated=True) == f"({GREEN.pickup.name} IS NULL)"


def test_condition_on_a_month_is_one_range() -> None:
    condition = in_month(TripMonth.from_key("green|2020-02"))
    assert condition.count("BETWEEN") == 1
    assert "2020-02-01 00:00:00" in condition
    assert "2020-02-29 23:59:59" in condition
