"""Backfill worker: a process that loads months one after another, each as a Dagster run of its own.

`python -m taxi_platform.automation.backfill.worker DEFINITIONS` reads one task per line from standard input, as JSON,
and answers each with a line of JSON that has the error, null if the month is loaded. It ends when its input ends.
Importing the definitions takes as long as loading two small months, so a worker does it once. `worker_process` is the
other end of the pipes.
"""

import json
import os
import signal
import sys
from contextlib import ExitStack
from importlib import import_module
from typing import TypedDict

import dagster as dg

from taxi_platform.automation.alerts import step_failures
from taxi_platform.redaction import first_line

JOB = "load_month"
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class Task(TypedDict):
    """A month to load, and the run to load it in."""

    month: str
    """Partition key."""
    assets: list[str]
    run_id: str
    tags: dict[str, str]


def load(job: dg.JobDefinition, instance: dg.DagsterInstance, task: Task) -> str | None:
    """Run the job for the month and the assets. Return the first line of each error; a failed check is one."""
    result = job.execute_in_process(
        run_config=_QUIET,
        instance=instance,
        partition_key=task["month"],
        asset_selection=[dg.AssetKey(asset.split("/")) for asset in task["assets"]],
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


def main(definitions: str) -> None:
    """Load the months of the tasks in standard input."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    # Whatever a library prints would be read as an answer.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    job = import_module(definitions).defs.resolve_job_def(JOB)
    import_module("dagster_postgres")  # as long as there is nothing else to do
    with ExitStack() as stack:
        instance: dg.DagsterInstance | None = None
        for line in sys.stdin:
            # Opened with the first task: until then the runner may be creating the history's tables.
            instance = instance or stack.enter_context(dg.DagsterInstance.get())
            print(json.dumps({"error": load(job, instance, json.loads(line))}), file=answers, flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    main(sys.argv[1])
