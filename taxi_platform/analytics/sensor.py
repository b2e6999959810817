"""The sensor that requests builds of the files whose loaded version differs from the one in the marts."""

import json
from collections.abc import Iterable, Iterator, Sequence

import dagster as dg

from taxi_platform.analytics.mart_assets import mart_key
from taxi_platform.analytics.marts import Marts, version_of
from taxi_platform.analytics.models import MODELS
from taxi_platform.destinations.base import Resources
from taxi_platform.errors import TransientError
from taxi_platform.trips.columns import COLOURS
from taxi_platform.trips.partitions import TripMonth

ALL = [model.name for model in MODELS]
BY_FILE = [model.name for model in MODELS if model.by_file]
_RANGE_START, _RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def stale_months(marts: Marts, resources: Resources) -> dict[TripMonth, str]:
    """Return the months whose marts differ from what is loaded, each with the two versions as text.

    A month whose file is not loaded any more is one of them as long as a mart has its rows.
    """
    built = marts.built_files(resources)
    stale: dict[TripMonth, str] = {}
    for colour in COLOURS.values():
        loaded = {
            month.filename: version_of(record)["load_record"]
            for month, record in marts.destination.loaded_months(resources, colour).items()
        }
        for filename in sorted({*loaded, *(name for mart in built.values() for name in mart)}):
            month = TripMonth.from_file(colour, filename)
            versions = [built.get(mart, {}).get(filename) for mart in BY_FILE]
            recorded = any(filename in built.get(mart, {}) for mart in BY_FILE)
            if month and (recorded if filename not in loaded else set(versions) != {loaded[filename]}):
                stale[month] = f"{versions} -> {loaded.get(filename)}"
    return stale


def consecutive_months(months: Iterable[TripMonth]) -> Iterator[list[TripMonth]]:
    """Yield the months in runs of one colour without a gap: what one build can take."""
    run: list[TripMonth] = []
    for month in sorted(months, key=lambda each: each.key):
        if run and (run[-1].colour != month.colour or run[-1].end != month.start):
            yield run
            run = []
        run.append(month)
    if run:
        yield run


def range_tags(months: Sequence[TripMonth]) -> dict[str, str]:
    """Return the tags of a run that builds these months, which have no gap, together."""
    return {_RANGE_START: months[0].key, _RANGE_END: months[-1].key}


def marts_sensor(all_marts: Sequence[Marts]) -> dg.SensorDefinition:
    """Return the sensor for the marts of all destinations that schedules include."""
    keys = {key for marts in all_marts for key in marts.destination.resource_keys}

    @dg.sensor(
        name="marts_sensor",
        target=dg.AssetSelection.assets(*(mart_key(marts, name) for marts in all_marts for name in ALL)),
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.STOPPED,
        required_resource_keys=keys,
        description="Builds the marts of files whose load record differs from marts.built_files, old months too. "
        "A build that fails is not requested again for the same version.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        resources = {key: getattr(context.resources, key) for key in keys}
        requested: dict[str, dict[str, str]] = json.loads(context.cursor or "{}")
        runs: list[dg.RunRequest] = []
        reasons: list[str] = []
        for marts in all_marts:
            if not marts.destination.is_scheduled(resources):
                continue
            try:
                stale = stale_months(marts, resources)
            except TransientError as error:
                reasons.append(str(error))
                continue
            before = requested.get(marts.name, {})
            runs += [
                _request(marts, months)
                for months in consecutive_months(
                    month for month, change in stale.items() if before.get(month.key) != change
                )
            ]
            # A month leaves the cursor once it is built, so that the same change is requested again when it recurs.
            requested[marts.name] = {month.key: change for month, change in stale.items()}
        reason = " ".join(reasons) or "All marts are built from what is loaded, or their build was requested."
        return dg.SensorResult(
            run_requests=runs, skip_reason=None if runs else dg.SkipReason(reason), cursor=json.dumps(requested)
        )

    return sensor


def _request(marts: Marts, months: Sequence[TripMonth]) -> dg.RunRequest:
    selection = [mart_key(marts, name) for name in ALL]
    if len(months) == 1:
        return dg.RunRequest(asset_selection=selection, partition_key=months[0].partition_key)
    return dg.RunRequest(asset_selection=selection, tags=range_tags(months))
