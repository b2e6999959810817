"""What both legs check, apart from how a destination counts."""

import warnings
from collections.abc import Callable

import dagster as dg

from taxi_platform.source.known_row_counts import published_rows
from taxi_platform.source.mirror import Mirror
from taxi_platform.trips.partitions import TripMonth, trip_partitions


def trip_check(asset: dg.AssetsDefinition) -> Callable[[Callable[..., dg.AssetCheckResult]], dg.AssetChecksDefinition]:
    """Declares a check of each partition of an asset that has trips."""

    def declare(check: Callable[..., dg.AssetCheckResult]) -> dg.AssetChecksDefinition:
        with warnings.catch_warnings():
            # Dagster 1.13 calls partitioned checks a preview; the version is pinned.
            warnings.simplefilter("ignore", dg.PreviewWarning)
            return dg.asset_check(asset=asset, partitions_def=trip_partitions)(check)

    return declare


def accounted_for(*, in_file: int, in_table: int, kept_elsewhere: int) -> dg.AssetCheckResult:
    """Rows in the file = rows in the table + rows kept by other files."""
    passed = in_file == in_table + kept_elsewhere
    return dg.AssetCheckResult(
        passed=passed,
        description=None if passed else "The table was changed since. A run of the month loads the file again.",
        metadata={"rows_in_file": in_file, "rows_in_table": in_table, "rows_kept_by_other_files": kept_elsewhere},
    )


def as_published(month: TripMonth, in_file: int, mirror: Mirror) -> dg.AssetCheckResult:
    """The file has as many rows as the public mirror's, where these are known and it is the source."""
    published = published_rows(month) if mirror.is_public else None
    return dg.AssetCheckResult(
        passed=published in (None, in_file),
        description=None if published else "Not known for this source and month.",
        metadata={"rows_in_file": in_file, "rows_published": published or "not known"},
    )


def inside_month(month: TripMonth, strays: int) -> dg.AssetCheckResult:
    """A few pickups lie outside the file's month; they are loaded as they are, and counted here as a warning."""
    return dg.AssetCheckResult(
        passed=strays == 0,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{strays:,} pickups lie outside {month.month}.",
        metadata={"pickups_outside_month": strays},
    )
