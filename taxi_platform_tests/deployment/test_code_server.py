"""What the code server does for runs that ended with an older one. The restart itself is tested with the deployment."""

import dagster as dg

from taxi_platform.deployment.code_server import end_lost_runs, runs_under_way


@dg.job
def some_job() -> None:
    """Does nothing."""


def a_run(instance: dg.DagsterInstance, status: dg.DagsterRunStatus) -> dg.DagsterRun:
    return instance.create_run_for_job(some_job, status=status)


def test_runs_that_were_under_way_are_reported_as_failed_and_cancelled_ones_as_cancelled() -> None:
    with dg.instance_for_test() as instance:
        statuses = ("STARTING", "STARTED", "CANCELING", "NOT_STARTED", "SUCCESS")
        runs = {status: a_run(instance, dg.DagsterRunStatus[status]) for status in statuses}

        ended = end_lost_runs(instance, runs_under_way(instance))

        after = {status: instance.get_run_by_id(run.run_id) for status, run in runs.items()}
    assert {status: run.status.value for status, run in after.items() if run} == {
        "STARTING": "FAILURE",
        "STARTED": "FAILURE",
        "CANCELING": "CANCELED",
        "NOT_STARTED": "NOT_STARTED",
        "SUCCESS": "SUCCESS",
    }
    assert set(ended) == {runs[status].run_id for status in ("STARTING", "STARTED", "CANCELING")}


def test_a_run_that_has_moved_meanwhile_is_left_alone() -> None:
    with dg.instance_for_test() as instance:
        run = a_run(instance, dg.DagsterRunStatus.STARTING)
        lost = runs_under_way(instance)
        # The daemon puts it back into the queue, and the new server takes it.
        instance.report_dagster_event(dg.DagsterEvent("PIPELINE_START", some_job.name), run_id=run.run_id)

        assert end_lost_runs(instance, lost) == []
