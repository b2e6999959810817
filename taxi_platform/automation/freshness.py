"""Whether the newest published month is loaded, for each colour and leg.

These checks ask the sources on the network, so they have a job and a schedule of their own: in a run that loads a
month they are passed over.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg

from taxi_platform.automation.new_months import arrivals
from taxi_platform.destinations.base import GCP, POSTGRES, legs
from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.errors import SourceUnavailable
from taxi_platform.google_cloud.resources import GoogleBigQuery, GoogleStorage
from taxi_platform.source.mirror import Mirror, ranges
from taxi_platform.trips.columns import COLOURS, Colour

_SPECS = [
    dg.AssetCheckSpec(
        f"newest_{colour.name}_month_loaded",
        asset=assets[-1],
        description=f"The newest published {colour.name} month is loaded; names the months that are missing.",
    )
    for assets in (POSTGRES, GCP)
    for colour in COLOURS.values()
]


@dg.multi_asset_check(specs=_SPECS, can_subset=True)
def newest_months_loaded(
    context: dg.AssetCheckExecutionContext,
    mirror: Mirror,
    postgres: Postgres,
    gcs: GoogleStorage,
    bigquery: GoogleBigQuery,
) -> Iterator[dg.AssetCheckResult]:
    """Asked of the sources and of the destinations; a leg that is not set up is not checked."""
    if "dagster/partition" in context.run.tags:
        return
    for leg in legs(postgres, gcs, bigquery):
        for colour in COLOURS.values():
            key = dg.AssetCheckKey(leg.table, f"newest_{colour.name}_month_loaded")
            if key in context.selected_asset_check_keys:
                found = arrivals(colour, datetime.now(UTC), mirror, [leg])
                if found.published.silent_from:
                    raise _not_known(colour, found.published.silent_from.month)
                missing = ranges(month.month for month in found.missing)
                yield dg.AssetCheckResult(
                    asset_key=key.asset_key,
                    check_name=key.name,
                    passed=not missing,
                    severity=dg.AssetCheckSeverity.WARN,
                    description=f"Published and not loaded: {missing}." if missing else "The newest month is loaded.",
                    metadata={"missing": missing or "none", "months_missing": len(found.missing)},
                )


def _not_known(colour: Colour, month: str) -> SourceUnavailable:
    return SourceUnavailable(
        f"The source does not say whether {colour.name} {month} is published.", "A rerun may help: it asks again."
    )
