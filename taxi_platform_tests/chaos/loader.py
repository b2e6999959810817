"""A process that loads months as runs of Dagster: one JSON task a line on standard input, one JSON answer a line.

A task is `{"partition": ..., "assets": [...], "checks_only": bool, "file_limit": bytes or null}`. With a limit, the
process cannot write a file larger than that, as on a full disk.
"""

import json
import resource
import sys
from typing import Any

import dagster as dg

from taxi_platform.definitions import build_defs

CHECK = "every_row_accounted_for"
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def execute(defs: dg.Definitions, task: dict[str, Any]) -> dict[str, Any]:
    """Execute a task; return whether the run succeeded, its error, and whether the check passed."""
    assets = [dg.AssetKey(name) for name in task["assets"]]
    job = defs.resolve_implicit_global_asset_job_def()
    if task["checks_only"]:
        selected = {dg.AssetCheckKey(assets[-1], CHECK)}
        job = job.get_subset(asset_selection=set(), asset_check_selection=selected)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (task["file_limit"] or hard, hard))
    try:
        with dg.DagsterInstance.ephemeral() as instance:
            result = job.execute_in_process(
                partition_key=task["partition"],
                asset_selection=None if task["checks_only"] else assets,
                instance=instance,
                run_config=_QUIET,
                raise_on_error=False,
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    checks = {each.check_name: each.passed for each in result.get_asset_check_evaluations()}
    errors = [event.step_failure_data.error_display_string for event in result.all_events if event.is_step_failure]
    return {"success": result.success, "check": checks.get(CHECK), "error": "\n".join(errors)}


def main() -> None:
    """Answer tasks until standard input ends."""
    defs = build_defs()
    for line in sys.stdin:
        print(json.dumps(execute(defs, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
