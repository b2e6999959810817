"""Jobs: what is run by name, from the web interface, the command line or a schedule.

Not here: when a job runs (`schedules`), and the assets that a job selects.
"""

import dagster as dg

from taxi_platform.trips.columns import COLOURS

_FRESHNESS = dg.AssetSelection.checks(
    *(
        dg.AssetCheckKey(dg.AssetKey(table), f"newest_{colour}_month_loaded")
        for table in ("postgres_tripdata", "bigquery_tripdata")
        for colour in COLOURS
    )
)

load_month = dg.define_asset_job(
    "load_month",
    selection=dg.AssetSelection.groups("source", "postgres", "gcp") - _FRESHNESS,
    description="Fetches and loads a colour's month; schedules and sensor choose the legs that lack it.",
)

freshness_job = dg.define_asset_job(
    "freshness",
    selection=_FRESHNESS,
    description="Checks for each colour and leg whether the newest published month is loaded, and names the missing.",
)
