"""The freshness checks: whether the newest published month is loaded, for each colour and destination.

They ask the sources over the network, so they have a job and a schedule of their own and are not part of `load_month`.
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
from taxi_platform.trips.columns import COLOURS, Colour
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
                raise _unknown(colour, found.published.unknown_from.month)
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


def _unknown(colour: Colour, month: str) -> SourceUnavailable:
    return SourceUnavailable(f"The source did not say whether {colour.name} {month} is published.", "")
