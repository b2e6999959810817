"""Backfill worker: loads one month in its own process.

`python -m taxi_platform.automation.backfill.worker TASK` takes the task as JSON and prints one line of JSON with the
error, null where the month is loaded.
"""

import json
import signal
import sys
from importlib import import_module
from typing import Any

import dagster as dg

from taxi_platform.automation.alerts import step_failures
from taxi_platform.redaction import first_line

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def load(task: dict[str, Any]) -> str | None:
    """Runs the job for the month and the assets; the first line of what went wrong, a failed check included."""
    defs: dg.Definitions = import_module(task["definitions"]).defs
    with dg.DagsterInstance.get() as instance:
        result = defs.resolve_job_def("load_month").execute_in_process(
            run_config=_QUIET,
            instance=instance,
            partition_key=task["month"],
            asset_selection=[dg.AssetKey(asset) for asset in task["assets"]],
            run_id=task["run_id"],
            tags=task["tags"],
            raise_on_error=False,
        )
    if result.success:
        failed = [check for check in result.get_asset_check_evaluations() if not check.passed]
        errors = [f"the check {check.check_name} failed: {check.description}" for check in failed if _is_error(check)]
        return "; ".join(errors) or None
    errors = [f"{name}: {first_line(error)}" for name, error in step_failures(result.all_events)]
    return "; ".join(errors) or "the run did not succeed"


def _is_error(check: dg.AssetCheckEvaluation) -> bool:
    return check.severity == dg.AssetCheckSeverity.ERROR


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    print(json.dumps({"error": load(json.loads(sys.argv[1]))}))
