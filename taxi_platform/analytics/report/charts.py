"""The charts of the report, as Vega-Lite specifications made with altair.

Each chart draws aggregated rows: in the page those of the chosen months, in the picture those of all months.
"""

from collections.abc import Callable
from typing import Any

from taxi_platform.analytics.report.figures import WEEKDAYS
from taxi_platform.lazy_import import LazyModule

alt: Any = LazyModule("altair")

TITLES = {"trips": "Trips", "revenue": "Revenue in US dollars"}
_FORMATS = {"trips": ",d", "revenue": "$,.0f"}
_SHORT = {"trips": "~s", "revenue": "$~s"}
_NO_PREFIX_FOR_ZERO = "datum.value ? datum.label : '0'"
STATUSES = {
    "Complete": "#2f9e44",
    "Days missing": "#e8a317",
    "Newer file loaded": "#1c7ed6",
    "Not built": "#868e96",
    "Not loaded": "#a8b0b966",
}
COLOURS = {"Green": "#2b9348", "Yellow": "#e0a100"}


def zone_map(rows: Any, measure: str) -> Any:
    """Return the map of the pickup zones; `rows` are GeoJSON features with trips and revenue among the properties."""
    value = alt.Color(
        f"properties.{measure}:Q",
        scale=alt.Scale(type="quantile"),
        legend=alt.Legend(
            title=TITLES[measure], format=_SHORT[measure], orient="top-left", symbolType="square", symbolStrokeWidth=0
        ),
    )
    return (
        alt.Chart(rows)
        .mark_geoshape(strokeWidth=0.4)
        .encode(
            color=alt.condition("datum.properties.trips > 0", value, alt.value("#8886")),
            tooltip=[
                alt.Tooltip("properties.zone:N", title="Zone"),
                alt.Tooltip("properties.borough:N", title="Borough"),
                alt.Tooltip("properties.trips:Q", title="Trips", format=_FORMATS["trips"]),
                alt.Tooltip("properties.revenue:Q", title="Revenue", format=_FORMATS["revenue"]),
            ],
        )
        .project(type="identity", reflectY=True)
    )


def top_zones(rows: Any, measure: str) -> Any:
    """Return the bars of the zones with most trips or revenue."""
    return (
        alt.Chart(rows)
        .mark_bar(cornerRadiusEnd=3)
        .encode(
            x=alt.X(f"{measure}:Q", title=TITLES[measure], axis=_amounts(measure)),
            y=alt.Y("name:N", sort="-x", title=None, axis=alt.Axis(labelLimit=170, ticks=False, domain=False)),
            tooltip=[alt.Tooltip("name:N", title="Zone"), alt.Tooltip("borough:N", title="Borough"), *_tooltips()],
        )
    )


def hours(rows: Any, measure: str) -> Any:
    """Return the heat map of hours and weekdays."""
    return (
        alt.Chart(rows)
        .mark_rect()
        .encode(
            x=alt.X("hour:O", title="Hour of pickup", axis=alt.Axis(labelAngle=0, labelOverlap=True, ticks=False)),
            y=alt.Y("weekday:O", sort=list(WEEKDAYS), title=None, axis=alt.Axis(ticks=False)),
            color=alt.Color(
                f"{measure}:Q",
                legend=alt.Legend(title=None, format=_SHORT[measure], orient="top", gradientThickness=8),
            ),
            tooltip=[
                alt.Tooltip("weekday:N", title="Weekday"),
                alt.Tooltip("hour:O", title="Hour"),
                *_tooltips(),
            ],
        )
    )


def days(rows: Any, measure: str) -> Any:
    """Return the lines of trips or revenue by day, one per taxi colour."""
    return (
        alt.Chart(rows)
        .mark_line(strokeWidth=1.8, interpolate="monotone")
        .encode(
            x=alt.X(
                "day:T",
                title=None,
                axis=alt.Axis(format="%b %Y", tickCount={"interval": "month", "step": 1}, labelOverlap=True),
            ),
            y=alt.Y(f"{measure}:Q", title=TITLES[measure], axis=_amounts(measure)),
            color=alt.Color(
                "colour:N",
                scale=alt.Scale(domain=list(COLOURS), range=list(COLOURS.values())),
                legend=alt.Legend(title=None, orient="top"),
            ),
            detail="part:N",
            tooltip=[
                alt.Tooltip("day:T", title="Day", format="%a %-d %b %Y"),
                alt.Tooltip("colour:N", title="Taxi"),
                *_tooltips(),
            ],
        )
    )


def months(rows: Any, measure: str) -> Any:
    """Return the strip of months, coloured by how complete each is."""
    return (
        alt.Chart(rows)
        .mark_rect(stroke="#8883", cornerRadius=2)
        .encode(
            x=alt.X("month:O", title=None, axis=alt.Axis(labelAngle=-45, labelOverlap=True, ticks=False)),
            y=alt.Y("colour:N", title=None, axis=alt.Axis(ticks=False)),
            color=alt.Color(
                "status:N",
                scale=alt.Scale(domain=list(STATUSES), range=list(STATUSES.values())),
                legend=alt.Legend(title=None, orient="top", columns=5),
            ),
            tooltip=[
                alt.Tooltip("colour:N", title="Taxi"),
                alt.Tooltip("month:O", title="Month"),
                alt.Tooltip("status:N", title="Status"),
                alt.Tooltip("days:Q", title="Days with trips"),
                alt.Tooltip("days_of_month:Q", title="Days of the month"),
                *_tooltips(),
            ],
        )
    )


CHARTS: dict[str, Callable[[Any, str], Any]] = {
    "map": zone_map,
    "top": top_zones,
    "hours": hours,
    "days": days,
    "months": months,
}


def _amounts(measure: str) -> Any:
    return alt.Axis(format=_SHORT[measure], tickCount=4, labelExpr=_NO_PREFIX_FOR_ZERO)


def _tooltips() -> list[Any]:
    return [
        alt.Tooltip("trips:Q", title="Trips", format=_FORMATS["trips"]),
        alt.Tooltip("revenue:Q", title="Revenue", format=_FORMATS["revenue"]),
    ]


def specifications() -> dict[str, dict[str, Any]]:
    """Return each chart's specification for trips and for revenue, with the rows left to the page."""
    made: dict[str, dict[str, Any]] = {}
    for name, chart in CHARTS.items():
        made[name] = {measure: _specification(chart, measure) for measure in TITLES}
    return made


def _specification(chart: Callable[[Any, str], Any], measure: str) -> dict[str, Any]:
    spec = chart(alt.NamedData("rows"), measure).to_dict()
    spec.pop("config", None)
    return spec
