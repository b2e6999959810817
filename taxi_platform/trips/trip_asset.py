"""What the assets that hold trips have in common: partitions, owners, retries."""

from collections.abc import Callable
from typing import Any

import dagster as dg

from taxi_platform.trips.partitions import trip_partitions

OWNERS = ["team:taxi-platform"]


def retries(seconds: float, *, times: int = 3) -> dg.RetryPolicy:
    """Return a policy with exponential backoff that starts at `seconds`. Permanent errors are not retried."""
    return dg.RetryPolicy(max_retries=times, delay=seconds, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)


def trip_asset(**options: Any) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Return `dg.asset` with these options for an asset that is partitioned by colour and month."""
    return dg.asset(owners=OWNERS, code_version="1", partitions_def=trip_partitions, **options)
