"""Which months have arrived: published, newer than what is loaded. And the runs that schedules and sensor ask for.

A month that is older than the newest loaded one and not loaded itself is a gap, and gaps are for backfills.

Not here: when anybody asks (`schedules`, `sensors`), what is published (`resources.mirror`) and what is loaded
(`legs`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import dagster as dg

from taxi_platform.automation.jobs import load_month
from taxi_platform.destinations.base import ALL_TABLES, SOURCE, Leg
from taxi_platform.source.mirror import Mirror, ranges
from taxi_platform.trips.columns import Colour
from taxi_platform.trips.partitions import TripMonth, month_partitions

PARTITION_TAG = "dagster/partition"
RUN_KEY_TAG = "dagster/run_key"
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_AT_ONCE = 6
"""Months that are asked for together when the newest published one is sought; TLC is about two months late."""


@dataclass(frozen=True)
class Published:
    """The months of a colour that are published, in order, from `since` on."""

    months: tuple[TripMonth, ...]
    silent_from: TripMonth | None = None
    """The first month of which the source does not say; later ones are not in `months`."""


@dataclass(frozen=True)
class Arrivals:
    """The months that have arrived, each with the legs that lack it."""

    missing: Mapping[TripMonth, tuple[Leg, ...]]
    published: Published


def arrivals(colour: Colour, at: datetime, mirror: Mirror, legs: Iterable[Leg], after: str | None = None) -> Arrivals:
    """The published months that are newer than the newest loaded one, by leg; of a leg without any, only the newest.

    `at`: months that had ended then. `after`: a month, `YYYY-MM`; only later ones are asked for. Raises what a
    destination raises that does not answer.
    """
    newest = {leg: max((month.month for month in leg.loaded(colour)), default=None) for leg in legs}
    since = [month for month in newest.values() if month is not None]
    keys = month_partitions.get_partition_keys(current_time=at)
    months = [TripMonth(colour, key) for key in keys if key > (after or "")]
    found = _published(mirror, [month for month in months if since and month.month > min(since)])
    if None in newest.values() and not found.months and not found.silent_from:
        found = _newest_published(mirror, months)
    missing: dict[TripMonth, tuple[Leg, ...]] = {}
    for month in found.months:
        is_newest = month == found.months[-1] and found.silent_from is None
        legs = tuple(leg for leg, last in newest.items() if (is_newest if last is None else month.month > last))
        if legs:
            missing[month] = legs
    return Arrivals(missing, found)


def _published(mirror: Mirror, months: list[TripMonth]) -> Published:
    """Which of these months, in order, are published."""
    looked = mirror.look_for(months)
    silent = next((month for month in months if looked[month] is None), None)
    heard = months if silent is None else months[: months.index(silent)]
    return Published(tuple(month for month in heard if looked[month]), silent)


def _newest_published(mirror: Mirror, months: list[TripMonth]) -> Published:
    """The newest published month alone, sought from the newest backwards."""
    for end in range(len(months), 0, -_AT_ONCE):
        some = _published(mirror, months[max(0, end - _AT_ONCE) : end])
        if some.silent_from is not None:
            return Published((), some.silent_from)
        if some.months:
            return Published(some.months[-1:])
    return Published(())


@dataclass(frozen=True)
class Requests:
    """The runs to ask for; `reason` says why there are none, or not more."""

    runs: list[dg.RunRequest]
    reason: str


def requests_for(colour: Colour, found: Arrivals, instance: dg.DagsterInstance, *, once: bool = False) -> Requests:
    """A run for each month that has arrived and that no queued or running run loads already.

    `once`: nor has any run been asked for it before, whatever came of that.
    """
    busy = _being_loaded(instance, found.missing)
    asked = _asked_for(instance, found.missing) if once else set()
    runs: list[dg.RunRequest] = []
    for month, legs in found.missing.items():
        needed = [leg for leg in legs if leg.table not in busy.get(month.key, set())]
        if needed and month.key not in asked:
            runs.append(_run_request(month, needed))
    return Requests(runs, _reason(colour, found, {request.run_key or "" for request in runs}))


def _run_request(month: TripMonth, legs: Iterable[Leg]) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=month.key,
        partition_key=month.partition_key,
        asset_selection=[SOURCE, *(asset for leg in legs for asset in leg.assets)],
    )


def _being_loaded(instance: dg.DagsterInstance, months: Iterable[TripMonth]) -> dict[str, set[dg.AssetKey]]:
    """The trip tables that queued and running runs load, by partition key."""
    busy: dict[str, set[dg.AssetKey]] = {}
    for run in _runs(instance, PARTITION_TAG, months, UNFINISHED):
        # The whole job, as somebody launched it by hand, names no assets.
        whole = ALL_TABLES if run.job_name == load_month.name else ()
        busy.setdefault(run.tags[PARTITION_TAG], set()).update(run.asset_selection or whole)
    return busy


def _asked_for(instance: dg.DagsterInstance, months: Iterable[TripMonth]) -> set[str]:
    return {run.tags[RUN_KEY_TAG] for run in _runs(instance, RUN_KEY_TAG, months, None)}


def _runs(
    instance: dg.DagsterInstance, tag: str, months: Iterable[TripMonth], statuses: list[dg.DagsterRunStatus] | None
) -> Iterable[dg.DagsterRun]:
    keys = [month.key for month in months]
    return instance.get_runs(dg.RunsFilter(statuses=statuses, tags={tag: keys})) if keys else []


def _reason(colour: Colour, found: Arrivals, requested: set[str]) -> str:
    said = []
    waiting = ranges(month.month for month in found.missing if month.key not in requested)
    if waiting:
        said.append(f"{colour.name} {waiting}: a run was asked for already.")
    if found.published.silent_from:
        said.append(f"The source does not say whether {found.published.silent_from} is published; it is asked again.")
    if not found.missing and not found.published.silent_from:
        said.append(f"No {colour.name} month is published that is newer than what is loaded.")
    return " ".join(said)
