"""Backfill worker: a process that loads months one after another, each as a Dagster run of its own.

`worker_process` starts it and is the other end of its pipe.
"""

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from importlib import import_module
from multiprocessing.connection import Connection
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


class Result(TypedDict):
    """The result of a task."""

    error: str | None
    """None if the month is loaded."""
    ended: bool
    """Whether the worker ends, because it could not run the job at all."""


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


def main(definitions: str, tasks: Connection, inherited: Sequence[Connection]) -> None:
    """Load the months of the tasks in the pipe until its other end is closed.

    `inherited` are the pipes of workers that were forked before this one: each must be closed here, because a worker
    ends when nobody has the other end of its pipe.
    """
    # A terminal's Ctrl-C reaches only the runner, which interrupts the workers.
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
    for pipe in inherited:
        pipe.close()
    try:
        job = import_module(definitions).defs.resolve_job_def(JOB)
        with ExitStack() as stack:
            instance: dg.DagsterInstance | None = None
            while True:
                task = tasks.recv()
                instance = instance or stack.enter_context(dg.DagsterInstance.get())
                tasks.send(Result(error=load(job, instance, task), ended=False))
    except (EOFError, BrokenPipeError):
        return  # the runner closed the pipe, or was killed
    except Exception as error:
        tasks.send(Result(error=first_line(f"{type(error).__name__}: {error}"), ended=True))
        sys.exit(1)
