"""The jobs that load a month and check freshness. `purge` and `reconcile` define theirs beside their ops."""

import dagster as dg

from taxi_platform.destinations.base import SOURCE
from taxi_platform.destinations.registry import DESTINATIONS
from taxi_platform.trips.columns import COLOURS

_FRESHNESS = dg.AssetSelection.checks(
    *(
        dg.AssetCheckKey(destination.table, f"newest_{colour}_month_loaded")
        for destination in DESTINATIONS
        for colour in COLOURS
    )
)
_MONTH = dg.AssetSelection.assets(SOURCE, *(key for destination in DESTINATIONS for key in destination.asset_keys))

load_month = dg.define_asset_job(
    "load_month",
    selection=_MONTH - _FRESHNESS,
    description="Download one colour's month and load it into every destination. Schedules and sensor select only the "
    "destinations that do not have it.",
)

freshness_job = dg.define_asset_job(
    "freshness",
    selection=_FRESHNESS,
    description="Check for each colour and destination whether the newest published month is loaded, and name the "
    "months that are missing.",
)
