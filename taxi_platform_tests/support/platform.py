"""The harness of tests that run assets, checks and jobs, and functions that read the results of such runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from taxi_platform.definitions import build_defs
from taxi_platform.source.file_store import RawFiles
from taxi_platform.source.mirror import Mirror
from taxi_platform.trips.partitions import TripMonth

ASSET_JOB = "__ASSET_JOB"
"""Name of the job in which Dagster runs assets that are materialized without a job."""


@dataclass(frozen=True)
class Platform:
    """The definitions over one mirror and given resources, with a folder and a Dagster instance of their own."""

    defs: dg.Definitions
    instance: dg.DagsterInstance
    files: RawFiles
    folder: Path

    def run(
        self,
        month: TripMonth | None,
        *assets: str,
        job: str = ASSET_JOB,
        ops: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> dg.ExecuteInProcessResult:
        """Run a job, or of it only `assets`; `ops` holds the configuration of steps by name."""
        selection = [dg.AssetKey(name.split("/")) for name in assets]
        return self.defs.resolve_job_def(job).execute_in_process(
            partition_key=month and month.key,
            asset_selection=selection or None,
            run_config={"ops": {name: {"config": config} for name, config in (ops or {}).items()}},
            instance=self.instance,
            raise_on_error=False,
            tags=dict(tags or {}),
        )

    def upstream_of(self, *assets: str) -> list[str]:
        """Return the assets and all that they depend on."""
        graph = self.defs.resolve_asset_graph()
        found = dg.AssetSelection.assets(*[dg.AssetKey(name.split("/")) for name in assets]).upstream().resolve(graph)
        return [key.to_user_string() for key in found & graph.materializable_asset_keys]

    def log(self, result: dg.ExecuteInProcessResult) -> str:
        """Return everything that the run logged."""
        return "\n".join(str(entry) for entry in self.instance.all_logs(result.run_id))


def platform_over(
    mirror_url: str, folder: Path, instance: dg.DagsterInstance, *, parquet_url: str | None = None, **given: Any
) -> Platform:
    """Return the platform over a mirror; `given` holds further resources by key. Its requests have short timeouts."""
    mirror = Mirror(base_url=mirror_url, parquet_url=parquet_url or f"{mirror_url}/tlc", attempts=2, first_wait=0.001)
    files = RawFiles(mirror=mirror, folder=str(folder / "raw"))
    return Platform(build_defs(mirror=mirror, raw_files=files, **given), instance, files, folder)


def metadata_of(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    """Return the metadata of the materialization of an asset in a successful run."""
    assert result.success
    key = dg.AssetKey(asset.split("/"))
    [event] = [each for each in result.get_asset_materialization_events() if each.asset_key == key]
    return {name: value.value for name, value in event.materialization.metadata.items()}


def checks_of(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    """Return whether each check that the run evaluated passed, by name."""
    return {check.check_name: check.passed for check in result.get_asset_check_evaluations()}


def failure_of(result: dg.ExecuteInProcessResult) -> tuple[str, str]:
    """Return the step that failed and its error, in the platform's words where it raised it."""
    assert not result.success
    [event] = [each for each in result.all_events if each.is_step_failure]
    data = event.step_failure_data
    described = data.user_failure_data.description if data.user_failure_data else None
    return event.step_key or "", described or (data.error.message if data.error else "")
