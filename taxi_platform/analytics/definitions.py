"""The definitions of analytics, merged into those of the code location."""

import dagster as dg

from taxi_platform.analytics.bigquery_marts import BigQueryMarts
from taxi_platform.analytics.lake_marts import LakeMarts
from taxi_platform.analytics.mart_assets import mart_assets
from taxi_platform.analytics.marts import Marts
from taxi_platform.analytics.postgres_marts import PostgresMarts
from taxi_platform.analytics.report.asset import report_asset
from taxi_platform.analytics.sensor import marts_sensor
from taxi_platform.analytics.zones import taxi_zones
from taxi_platform.destinations.registry import DESTINATIONS

MARTS_OF: dict[str, type[Marts]] = {"postgres": PostgresMarts, "bigquery": BigQueryMarts, "lake": LakeMarts}
"""The marts of each destination, by its name."""

MARTS = [MARTS_OF[each.name](each) for each in DESTINATIONS if each.name in MARTS_OF]


def analytics_defs() -> dg.Definitions:
    """Return the assets, checks, sensors and resources of analytics."""
    return dg.Definitions(
        assets=[taxi_zones, *(mart_assets(marts) for marts in MARTS), report_asset(MARTS)],
        sensors=[marts_sensor(MARTS)],
    )
