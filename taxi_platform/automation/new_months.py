"""Published months that are newer than what is loaded, and the runs that schedules and sensor request for them.

A month older than the newest loaded one that is not loaded itself is a gap; gaps are left to backfills.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import dagster as dg

from taxi_platform.automation.jobs import load_month
from taxi_platform.destinations.base import SOURCE, Destination, Resources
from taxi_platform.destinations.registry import DESTINATIONS, resource_keys
from taxi_platform.source.mirror import Mirror
from taxi_platform.trips.columns import Colour
from taxi_platform.trips.partitions import PARTITION_TAG, TripMonth, month_partitions, month_ranges

RUN_KEY_TAG = "dagster/run_key"
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
RESOURCE_KEYS = {"mirror", *resource_keys()}
"""Keys of the resources that `new_months` uses."""
_PROBED_AT_ONCE = 6
"""Months that are probed together to find the newest published one; TLC is about two months late."""


def resources_of(scoped: object) -> Resources:
    """Return the resources of a Dagster context's `resources` that `new_months` uses, by key."""
    return {key: getattr(scoped, key) for key in RESOURCE_KEYS}


def scheduled_destinations(resources: Resources) -> list[Destination]:
    """Return the destinations that schedules, sensor and freshness include."""
    return [destination for destination in DESTINATIONS if destination.is_scheduled(resources)]


@dataclass(frozen=True)
class Published:
    """The published months of a colour, in order."""

    months: tuple[TripMonth, ...]
    unknown_from: TripMonth | None = None
    """First month whose status is unknown because the source did not respond; later ones are not in `months`."""


@dataclass(frozen=True)
class NewMonths:
    """Published months that are newer than the newest loaded one."""

    missing: Mapping[TripMonth, tuple[Destination, ...]]
    """Each new month, with the destinations that do not have it."""
    published: Published


def new_months(
    colour: Colour,
    at: datetime,
    resources: Resources,
    destinations: Iterable[Destination],
    after: str | None = None,
) -> NewMonths:
    """Return the colour's new months: of a destination without any loaded month only the newest published one.

    Only months that had ended at the time `at` count, and with `after` (`YYYY-MM`) only later ones are probed. Raise
    a TransientError if a destination does not respond.
    """
    mirror: Mirror = resources["mirror"]
    newest = {
        destination: max((month.month for month in destination.loaded_months(resources, colour)), default=None)
        for destination in destinations
    }
    since = [month for month in newest.values() if month is not None]
    keys = month_partitions.get_partition_keys(current_time=at)
    months = [TripMonth(colour, key) for key in keys if key > (after or "")]
    found = _published(mirror, [month for month in months if since and month.month > min(since)])
    if None in newest.values() and not found.months and not found.unknown_from:
        found = _newest_published(mirror, months)
    missing: dict[TripMonth, tuple[Destination, ...]] = {}
    for month in found.months:
        is_newest = month == found.months[-1] and found.unknown_from is None
        lacking = tuple(each for each, last in newest.items() if (is_newest if last is None else month.month > last))
        if lacking:
            missing[month] = lacking
    return NewMonths(missing, found)


def _published(mirror: Mirror, months: list[TripMonth]) -> Published:
    """Return which of these months, given in order, are published."""
    status = mirror.are_published(months)
    unknown = next((month for month in months if status[month] is None), None)
    known = months if unknown is None else months[: months.index(unknown)]
    return Published(tuple(month for month in known if status[month]), unknown)


def _newest_published(mirror: Mirror, months: list[TripMonth]) -> Published:
    """Return the newest published month alone, probing backwards from the newest."""
    for end in range(len(months), 0, -_PROBED_AT_ONCE):
        some = _published(mirror, months[max(0, end - _PROBED_AT_ONCE) : end])
        if some.unknown_from is not None:
            return Published((), some.unknown_from)
        if some.months:
            return Published(some.months[-1:])
    return Published(())


@dataclass(frozen=True)
class Requests:
    """Run requests, with the reason why there are none or not more."""

    runs: list[dg.RunRequest]
    reason: str


def requests_for(colour: Colour, found: NewMonths, instance: dg.DagsterInstance, *, once: bool = False) -> Requests:
    """Return a run request for each new month that no queued or running run loads.

    With `once`, months for which any run was requested before are left out, whatever the outcome of that run.
    """
    busy = _being_loaded(instance, found.missing)
    requested = _requested(instance, found.missing) if once else set()
    runs: list[dg.RunRequest] = []
    for month, destinations in found.missing.items():
        needed = [each for each in destinations if each.table not in busy.get(month.key, set())]
        if needed and month.key not in requested:
            runs.append(_run_request(month, needed))
    return Requests(runs, _reason(colour, found, {request.run_key or "" for request in runs}))


def _run_request(month: TripMonth, destinations: Iterable[Destination]) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=month.key,
        partition_key=month.partition_key,
        asset_selection=[SOURCE, *(key for destination in destinations for key in destination.asset_keys)],
    )


def _being_loaded(instance: dg.DagsterInstance, months: Iterable[TripMonth]) -> dict[str, set[dg.AssetKey]]:
    """Return the trip tables that queued and running runs load, by partition key."""
    busy: dict[str, set[dg.AssetKey]] = {}
    for run in _runs(instance, PARTITION_TAG, months, UNFINISHED):
        # A run of the whole job, launched by hand, names no assets.
        all_tables = [each.table for each in DESTINATIONS] if run.job_name == load_month.name else ()
        busy.setdefault(run.tags[PARTITION_TAG], set()).update(run.asset_selection or all_tables)
    return busy


def _requested(instance: dg.DagsterInstance, months: Iterable[TripMonth]) -> set[str]:
    return {run.tags[RUN_KEY_TAG] for run in _runs(instance, RUN_KEY_TAG, months, None)}


def _runs(
    instance: dg.DagsterInstance, tag: str, months: Iterable[TripMonth], statuses: list[dg.DagsterRunStatus] | None
) -> Sequence[Any]:
    keys = [month.key for month in months]
    return instance.get_runs(dg.RunsFilter(statuses=statuses, tags={tag: keys})) if keys else []


def _reason(colour: Colour, found: NewMonths, requested: set[str]) -> str:
    parts = []
    waiting = month_ranges(month.month for month in found.missing if month.key not in requested)
    if waiting:
        parts.append(f"A run was already requested for {colour.name} {waiting}.")
    if found.published.unknown_from:
        parts.append(
            f"The source did not respond, so it is not known whether {found.published.unknown_from} is published."
        )
    if not found.missing and not found.published.unknown_from:
        parts.append(f"No {colour.name} month is published that is newer than what is loaded.")
    return " ".join(parts)
