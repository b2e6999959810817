"""The figures of the report, read from the marts of one destination."""

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from taxi_platform.analytics.marts import Marts
from taxi_platform.analytics.sensor import stale_months
from taxi_platform.destinations.base import Resources
from taxi_platform.errors import PermanentError
from taxi_platform.lazy_import import LazyModule
from taxi_platform.trips.columns import COLOURS

pd: Any = LazyModule("pandas")

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

_ZONE_NAMES = "select location_id, zone, borough from {schema}.dim_zones"
_ZONES = """
select service_type, file_month, pickup_location_id, sum(trips), sum(total_amount)
from {schema}.zone_revenue_by_file group by 1, 2, 3
"""
_HOURS = "select service_type, file_month, pickup_hour, trips, total_amount from {schema}.hourly_trips_by_file"


class NoMarts(PermanentError):
    """There is nothing to report."""


@dataclass(frozen=True)
class Figures:
    """Trips and revenue, as data frames; `colour` is `Green` or `Yellow`, `month` the file's, as `YYYY-MM`."""

    destination: str
    zone_names: Any
    """zone, name, borough"""
    zones: Any
    """colour, month, zone, trips, revenue"""
    hours: Any
    """colour, month, weekday, hour, trips, revenue"""
    days: Any
    """colour, month, day, trips, revenue"""
    months: Any
    """colour, month, trips, revenue, days, days_of_month, status"""


def read_figures(marts: Marts, resources: Resources) -> Figures:
    """Return the figures of all files that the marts are built from. Raise NoMarts where there are none."""
    schema = marts.schema(resources)
    with marts.reading(resources) as query:
        names = pd.DataFrame(query(_ZONE_NAMES.format(schema=schema)), columns=["zone", "name", "borough"])
        zones = _frame(query(_ZONES.format(schema=schema)), "zone")
        hours = _frame(query(_HOURS.format(schema=schema)), "at")
    if zones.empty:
        raise NoMarts(
            f"The marts in {marts.name} have no trips.",
            f"Materialize {marts.name}/fct_monthly_zone_revenue for a month.",
        )
    hours["at"] = pd.to_datetime(hours["at"], utc=True).dt.tz_localize(None)
    # A file has a few pickups outside its month, some of them years away.
    hours = hours[hours["at"].dt.strftime("%Y-%m") == hours["month"]]
    hours = hours.assign(
        weekday=hours["at"].dt.weekday.map(dict(enumerate(WEEKDAYS))),
        hour=hours["at"].dt.hour,
        day=hours["at"].dt.strftime("%Y-%m-%d"),
    )
    days = _summed(hours, "day")
    stale = {(month.colour.name.capitalize(), month.month) for month in stale_months(marts, resources)}
    return Figures(
        marts.name,
        names.astype({"zone": int}),
        zones.assign(zone=zones["zone"].fillna(0).astype(int)),
        _summed(hours, "weekday", "hour"),
        days,
        _months(zones, days, stale),
    )


def _frame(rows: Sequence[tuple[Any, ...]], key: str) -> Any:
    frame = pd.DataFrame(rows, columns=["colour", "month", key, "trips", "revenue"])
    return frame.assign(
        month=frame["month"].map(lambda month: f"{month:%Y-%m}"),
        trips=frame["trips"].astype(int),
        revenue=frame["revenue"].astype(float).round(2),
    )


def _summed(frame: Any, *keys: str) -> Any:
    sums = frame.groupby(["colour", "month", *keys], as_index=False)[["trips", "revenue"]].sum()
    return sums.assign(revenue=sums["revenue"].round(2))


def _months(zones: Any, days: Any, stale: set[tuple[str, str]]) -> Any:
    """Return a row for each colour and month from the first to the last one, loaded or not."""
    sums = _summed(zones).set_index(["colour", "month"])
    counted = days.groupby(["colour", "month"])["day"].nunique()
    first, last = (date.fromisoformat(f"{month}-01") for month in (zones["month"].min(), zones["month"].max()))
    rows = []
    for colour in (name.capitalize() for name in COLOURS):
        for month in pd.period_range(first, last, freq="M").strftime("%Y-%m"):
            of_month = calendar.monthrange(*map(int, month.split("-")))[1]
            key = (colour, month)
            if key in sums.index:
                with_trips = int(counted.get(key, 0))
                status = (
                    "Newer file loaded" if key in stale else "Complete" if with_trips == of_month else "Days missing"
                )
                row = [int(sums.loc[key, "trips"]), float(sums.loc[key, "revenue"]), with_trips, of_month, status]
            else:
                row = [0, 0.0, 0, of_month, "Not built" if key in stale else "Not loaded"]
            rows.append([colour, month, *row])
    return pd.DataFrame(rows, columns=["colour", "month", "trips", "revenue", "days", "days_of_month", "status"])
