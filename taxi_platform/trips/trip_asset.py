"""What the assets that hold trips have in common: partitions, owners, retries."""

from collections.abc import Callable, Sequence
from typing import Any

import dagster as dg

from taxi_platform.trips.partitions import trip_partitions

OWNERS = ["team:taxi-platform"]


def retries(seconds: float, *, times: int = 3) -> dg.RetryPolicy:
    """Return a policy with exponential backoff that starts at `seconds`. Permanent errors are not retried."""
    return dg.RetryPolicy(max_retries=times, delay=seconds, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)


def trip_asset(
    *,
    group_name: str,
    kinds: set[str],
    io_manager_key: str,
    metadata: dict[str, Any],
    retry_policy: dg.RetryPolicy,
    deps: Sequence[dg.AssetsDefinition] = (),
    code_version: str = "1",
    required_resource_keys: set[str] | None = None,
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Return `dg.asset` for an asset that is partitioned by colour and month."""
    return dg.asset(
        group_name=group_name,
        kinds=kinds,
        owners=OWNERS,
        code_version=code_version,
        partitions_def=trip_partitions,
        retry_policy=retry_policy,
        io_manager_key=io_manager_key,
        deps=deps,
        metadata=metadata,
        required_resource_keys=required_resource_keys,
    )
