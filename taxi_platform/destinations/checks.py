"""Asset checks that every destination's table has. A destination passes the function that counts its rows.

The checks compare the table's current rows with the load record, so they also notice rows that were changed by hand.
Rows that must never become visible are refused earlier, by the merge.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from taxi_platform.source.known_row_counts import published_rows
from taxi_platform.source.mirror import Mirror
from taxi_platform.trips.load_record import LoadedMonth
from taxi_platform.trips.partitions import trip_partitions

ROWS, PUBLISHED, INSIDE = "every_row_accounted_for", "rows_as_published", "pickups_inside_month"
_DESCRIPTIONS = {
    ROWS: "Rows in the file equal rows in the table plus rows skipped as duplicates of other files, and no row was "
    "changed by hand since the month was loaded.",
    PUBLISHED: "The file has as many rows as the public mirror's, where that number is known and the mirror is used.",
    INSIDE: "Warns of pickups outside the file's month. Published files have a few; they are loaded as they are.",
}


@dataclass(frozen=True)
class Counted:
    """A month's rows as a destination counts them in its table."""

    rows: int
    out_of_month: int
    """Rows whose pickup lies outside the file's month or is empty."""
    changed: str | None = None
    """A sentence about what was changed by hand, None if nothing was."""
    warnings: Mapping[str, str | None] = field(default_factory=dict)
    """Results of the destination's own checks by name: what they warn of, or None."""


def month_checks(
    table: dg.AssetsDefinition,
    resource_keys: frozenset[str],
    count: Callable[[Any, LoadedMonth], Counted],
    own: Mapping[str, str] | None = None,
) -> dg.AssetChecksDefinition:
    """Return the checks of a partition of `table`, which run in one step; `count` gets the run's resources.

    `own` has the descriptions of checks that only this destination has, by name.
    """
    descriptions = {**_DESCRIPTIONS, **(own or {})}
    with warnings.catch_warnings():
        # Dagster 1.13 calls partitioned checks a preview.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        specs = [
            dg.AssetCheckSpec(name, asset=table, description=text, partitions_def=trip_partitions)
            for name, text in descriptions.items()
        ]

    @dg.multi_asset_check(
        name=f"{table.key.to_python_identifier()}_checks",
        specs=specs,
        can_subset=True,
        ins={"loaded": dg.AssetIn(table.key)},
        required_resource_keys={"mirror", *resource_keys},
    )
    def checks(context: dg.AssetCheckExecutionContext, loaded: LoadedMonth) -> Iterator[dg.AssetCheckResult]:
        counted = count(context.resources, loaded)
        results = (
            _every_row_accounted_for(loaded, counted),
            _rows_as_published(loaded, context.resources.mirror),
            _pickups_inside_month(loaded, counted),
            *(_warning(counted.warnings[name]) for name in own or {}),
        )
        for key, result in zip((dg.AssetCheckKey(table.key, name) for name in descriptions), results, strict=True):
            if key in context.selected_asset_check_keys:
                yield result._replace(asset_key=key.asset_key, check_name=key.name)

    return checks


def _every_row_accounted_for(loaded: LoadedMonth, counted: Counted) -> dg.AssetCheckResult:
    record = loaded.record
    complete = record.rows == counted.rows + record.rows_skipped
    problem = counted.changed or (None if complete else "Rows were added or deleted since the month was loaded.")
    return dg.AssetCheckResult(
        passed=problem is None,
        description=problem and f"{problem} Re-execute the partition to restore it.",
        metadata={
            "rows_in_file": record.rows,
            "rows_in_table": counted.rows,
            "duplicates_skipped": record.rows_skipped,
        },
    )


def _rows_as_published(loaded: LoadedMonth, mirror: Mirror) -> dg.AssetCheckResult:
    published = published_rows(loaded.month) if mirror.is_public else None
    return dg.AssetCheckResult(
        passed=published in (None, loaded.record.rows),
        description=None if published else "The number is not known for this source and month.",
        metadata={"rows_in_file": loaded.record.rows, "rows_published": published or "not known"},
    )


def _pickups_inside_month(loaded: LoadedMonth, counted: Counted) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=counted.out_of_month == 0,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{counted.out_of_month:,} pickups lie outside {loaded.month.month}.",
        metadata={"pickups_outside_month": counted.out_of_month},
    )


def _warning(problem: str | None) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=problem is None, severity=dg.AssetCheckSeverity.WARN, description=problem)
