"""The asset `report`, and the function that the command line shares with it."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from pydantic import Field

from taxi_platform.analytics.mart_assets import mart_key
from taxi_platform.analytics.marts import Marts
from taxi_platform.analytics.report.figures import read_figures
from taxi_platform.analytics.report.page import html_page, picture
from taxi_platform.analytics.zones import zone_shapes
from taxi_platform.data_directory import make_folder, write_whole
from taxi_platform.destinations.base import Resources
from taxi_platform.errors import BadSetting
from taxi_platform.settings import Settings
from taxi_platform.trips.trip_asset import OWNERS

_READ = ("dim_zones", "zone_revenue_by_file", "hourly_trips_by_file")


@dataclass(frozen=True)
class Report:
    """A finished report."""

    page: Path
    picture: Path
    trips: int
    months: int


class ReportConfig(dg.Config):
    """The source of the report."""

    destination: str = Field(
        default="", description="Name of the destination whose marts are shown; empty for the first one."
    )


def make_report(marts: Marts, resources: Resources) -> Report:
    """Write the page and the picture into `report` in the data directory."""
    figures = read_figures(marts, resources)
    shapes = json.loads(zone_shapes().read_text(encoding="utf-8"))
    folder = Settings().data_directory / "report"
    make_folder(folder)
    report = Report(
        folder / "index.html",
        folder / "report.png",
        int(figures.months["trips"].sum()),
        int((figures.months["trips"] > 0).sum()),
    )
    write_whole(report.page, html_page(figures, shapes))
    # Readable for other accounts, for example a web server's.
    report.page.chmod(0o644)
    report.picture.write_bytes(picture(figures, shapes))
    return report


def chosen_marts(all_marts: Sequence[Marts], name: str) -> Marts:
    """Return the marts of the destination of that name, the first ones for an empty name."""
    found = {marts.name: marts for marts in all_marts}
    if name and name not in found:
        raise BadSetting(f"There are no marts of a destination {name}.", f"Choose one of {', '.join(found)}.")
    return found[name] if name else all_marts[0]


def report_asset(all_marts: Sequence[Marts]) -> dg.AssetsDefinition:
    """Return the asset `report` on the marts of the first destination, or the one that its configuration names."""
    keys = {key for marts in all_marts for key in marts.destination.resource_keys}
    changed = dg.AutomationCondition.any_deps_updated().since(
        dg.AutomationCondition.newly_requested() | dg.AutomationCondition.newly_updated()
    )

    @dg.asset(
        group_name="analytics",
        kinds={"altair", "pandas"},
        owners=OWNERS,
        code_version="1",
        deps=["taxi_zones", *(mart_key(all_marts[0], name) for name in _READ)],
        required_resource_keys=keys,
        automation_condition=changed
        & ~dg.AutomationCondition.any_deps_in_progress()
        & ~dg.AutomationCondition.in_progress(),
        metadata={"dagster/uri": "report/index.html in the data directory"},
    )
    def report(context: dg.AssetExecutionContext, config: ReportConfig) -> dg.MaterializeResult:
        """One HTML page with a map of the zones, top zones, days, hours and loaded months, and a picture of it.

        The page needs no server and no network. It shows the marts of the destination that the configuration names.
        """
        resources: Mapping = {key: getattr(context.resources, key) for key in keys}
        made = make_report(chosen_marts(all_marts, config.destination), resources)
        encoded = base64.b64encode(made.picture.read_bytes()).decode()
        return dg.MaterializeResult(
            metadata={
                "page": dg.MetadataValue.url(made.page.as_uri()),
                "path": dg.MetadataValue.path(made.page),
                "picture": dg.MetadataValue.md(f"![New York taxi trips](data:image/png;base64,{encoded})"),
                "trips": made.trips,
                "months": made.months,
            }
        )

    return report
