"""Tests of the runs that ended with the code server. Its restart is tested in test_compose_processes.py."""

import dagster as dg

from taxi_platform.deployment.code_server import end_lost_runs, runs_in_progress


@dg.job
def some_job() -> None:
    """Do nothing."""


def a_run(instance: dg.DagsterInstance, status: dg.DagsterRunStatus) -> dg.DagsterRun:
    return instance.create_run_for_job(some_job, status=status)


def test_lost_runs_are_reported_as_failed_or_cancelled() -> None:
    with dg.instance_for_test() as instance:
        statuses = ("STARTING", "STARTED", "CANCELING", "NOT_STARTED", "SUCCESS")
        runs = {status: a_run(instance, dg.DagsterRunStatus[status]) for status in statuses}

        ended = end_lost_runs(instance, runs_in_progress(instance))

        after = {status: instance.get_run_by_id(run.run_id) for status, run in runs.items()}
    assert {status: run.status.value for status, run in after.items() if run} == {
        "STARTING": "FAILURE",
        "STARTED": "FAILURE",
        "CANCELING": "CANCELED",
        "NOT_STARTED": "NOT_STARTED",
        "SUCCESS": "SUCCESS",
    }
    assert set(ended) == {runs[status].run_id for status in ("STARTING", "STARTED", "CANCELING")}


def test_run_that_was_updated_meanwhile_is_skipped() -> None:
    with dg.instance_for_test() as instance:
        run = a_run(instance, dg.DagsterRunStatus.STARTING)
        lost = runs_in_progress(instance)
        # The daemon queued it again, and the new server started it.
        instance.report_dagster_event(dg.DagsterEvent("PIPELINE_START", some_job.name), run_id=run.run_id)

        assert end_lost_runs(instance, lost) == []
