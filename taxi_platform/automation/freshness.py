"""The freshness checks, which compare what is published with what is loaded, for each colour and destination.

They send requests to the sources, so they have a job and a schedule of their own and are not part of `load_month`.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg

from taxi_platform.automation.new_months import (
    RESOURCE_KEYS,
    new_months,
    resources_of,
    scheduled_destinations,
)
from taxi_platform.destinations.registry import DESTINATIONS
from taxi_platform.errors import SourceUnavailable
from taxi_platform.trips.columns import COLOURS
from taxi_platform.trips.load_record import months_to_reload
from taxi_platform.trips.partitions import PARTITION_TAG, month_ranges

_SPECS = [
    dg.AssetCheckSpec(
        f"newest_{colour.name}_month_loaded",
        asset=destination.table,
        description=f"The newest published {colour.name} month is loaded. Names the months that are missing or that "
        "must be reloaded.",
    )
    for destination in DESTINATIONS
    for colour in COLOURS.values()
]


@dg.multi_asset_check(specs=_SPECS, can_subset=True, required_resource_keys=RESOURCE_KEYS)
def newest_months_loaded(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
    """Compare what is published with what is loaded, in each destination that schedules include."""
    if PARTITION_TAG in context.run.tags:
        return
    resources = resources_of(context.resources)
    for destination in scheduled_destinations(resources):
        for colour in COLOURS.values():
            key = dg.AssetCheckKey(destination.table, f"newest_{colour.name}_month_loaded")
            if key not in context.selected_asset_check_keys:
                continue
            found = new_months(colour, datetime.now(UTC), resources, [destination])
            if found.published.unknown_from:
                month = found.published.unknown_from
                raise SourceUnavailable(f"The source did not respond, so it is not known whether {month} is published.")
            missing = month_ranges(month.month for month in found.missing)
            outdated = month_ranges(
                month.month for month in months_to_reload(destination.loaded_months(resources, colour))
            )
            problems = [
                f"Published and not loaded: {missing}." if missing else "",
                f"Loaded and to be reloaded: {outdated}." if outdated else "",
            ]
            yield dg.AssetCheckResult(
                asset_key=key.asset_key,
                check_name=key.name,
                passed=not (missing or outdated),
                severity=dg.AssetCheckSeverity.WARN,
                description=" ".join(filter(None, problems)) or "The newest month is loaded.",
                metadata={
                    "missing": missing or "none",
                    "months_missing": len(found.missing),
                    "to_reload": outdated or "none",
                },
            )
