"""The jobs that load a month and check freshness; `purge` has the third one, `getting_started` the tutorial's."""

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
    description="Downloads and loads one colour's month into every destination. Schedules and sensor select only the "
    "destinations that do not have it.",
)

freshness_job = dg.define_asset_job(
    "freshness",
    selection=_FRESHNESS,
    description="Checks for each colour and destination whether the newest published month is loaded, and names the "
    "months that are missing.",
)
