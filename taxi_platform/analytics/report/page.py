"""The report's page and picture, drawn from its figures."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from taxi_platform.analytics.report.charts import CHARTS, specifications
from taxi_platform.analytics.report.figures import WEEKDAYS, Figures
from taxi_platform.lazy_import import LazyModule

alt: Any = LazyModule("altair")
pd: Any = LazyModule("pandas")
vl_convert: Any = LazyModule("vl_convert")

_FOLDER = Path(__file__).parent
_RAMPS = {
    "light": ["#dce9f5", "#a8cce8", "#65a6d6", "#2c7abc", "#0b4789"],
    "dark": ["#2b4b72", "#2f659e", "#3a8cd2", "#74b8f0", "#c9e6ff"],
}
_TOP_ZONES = 15


def html_page(figures: Figures, shapes: dict[str, Any]) -> str:
    """Return the page: one file, with the libraries that draw its charts and nothing to fetch."""
    content = {
        "destination": figures.destination,
        "made_at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "weekdays": WEEKDAYS,
        "ramps": _RAMPS,
        "shapes": shapes,
        "charts": specifications(),
        **{name: _table(getattr(figures, name)) for name in ("zone_names", "zones", "hours", "days", "months")},
    }
    parts = {
        "LIBRARIES": vl_convert.javascript_bundle(),
        # An unescaped </script> would end the element.
        "FIGURES": json.dumps(content, separators=(",", ":")).replace("<", "\\u003c"),
        "SCRIPT": (_FOLDER / "page.js").read_text(encoding="utf-8"),
    }
    page = (_FOLDER / "page.html").read_text(encoding="utf-8")
    for name, text in parts.items():
        page = page.replace(f"/*{name}*/", text, 1)
    return page


def picture(figures: Figures, shapes: dict[str, Any]) -> bytes:
    """Return a PNG of the charts of all months, by revenue, about 1,050 pixels wide."""
    drawn = {name: _drawn(name, rows) for name, rows in _rows(figures, shapes).items()}
    # Zones without trips do not count for the limits of the colours.
    drawn["map"].encoding.color["condition"]["scale"]["domain"] = list(figures.zones.groupby("zone")["revenue"].sum())
    drawn["days"].encoding.color["legend"]["values"] = sorted(set(figures.days["colour"]))
    first = drawn["map"].properties(width=440, height=440) | drawn["top"].properties(width=300, height=440)
    second = drawn["days"].properties(width=430, height=180) | drawn["hours"].properties(width=430, height=180)
    chart = (first & second).resolve_scale(color="independent").configure_view(stroke=None)
    chart = chart.configure_range(ramp=_RAMPS["light"], heatmap=_RAMPS["light"]).configure_bar(fill=_RAMPS["light"][3])
    vega = vl_convert.vegalite_to_vega(chart.configure_geoshape(stroke="white").to_dict())
    _use_symbols(vega)
    return vl_convert.vega_to_png(vega, scale=1)


def _use_symbols(part: Any) -> None:
    """Give the map's legend symbols in place of a gradient, as page.js does."""
    for legend in part.get("legends", []):
        if legend.get("symbolType") == "square":
            legend["type"] = "symbol"
    for mark in part.get("marks", []):
        _use_symbols(mark)


def _drawn(name: str, rows: Any) -> Any:
    titles = {
        "map": "Revenue by pickup zone",
        "top": "Zones with most revenue",
        "days": "Revenue by day",
        "hours": "Revenue by hour and weekday",
    }
    return CHARTS[name](rows, "revenue").properties(title=titles[name])


def _rows(figures: Figures, shapes: dict[str, Any]) -> dict[str, Any]:
    zones = figures.zones.groupby("zone", as_index=False)[["trips", "revenue"]].sum()
    named = zones.merge(figures.zone_names, on="zone")
    by_zone = zones.set_index("zone")[["trips", "revenue"]].to_dict("index")
    features = [
        {**each, "properties": {**each["properties"], **by_zone.get(each["id"], {"trips": 0, "revenue": 0})}}
        for each in shapes["features"]
    ]
    days = figures.days.sort_values(["colour", "day"])
    # A line ends where days are missing, as in page.js.
    ends = pd.to_datetime(days["day"]).diff() != pd.Timedelta(days=1)
    days = days.assign(part=days["colour"] + ends.cumsum().astype(str))
    return {
        "map": alt.Data(values=features),
        "top": named[named["borough"] != "Unknown"].nlargest(_TOP_ZONES, "revenue"),
        "days": days,
        "hours": figures.hours.groupby(["weekday", "hour"], as_index=False)[["trips", "revenue"]].sum(),
    }


def _table(frame: Any) -> dict[str, Any]:
    """Return a data frame in the form that the page reads: smaller than a list of objects."""
    return {"columns": list(frame.columns), "rows": json.loads(frame.to_json(orient="values"))}
