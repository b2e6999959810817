"""When the tutorial's schedules run, and with which configuration."""

from datetime import UTC, datetime

import dagster as dg
import pytest

from taxi_platform.getting_started.schedules import hello_schedule, statistics_schedule


@pytest.mark.parametrize("schedule", [hello_schedule, statistics_schedule])
def test_schedule_is_off_by_default(schedule: dg.ScheduleDefinition) -> None:
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED


def test_hello_runs_daily_and_statistics_hourly() -> None:
    assert (hello_schedule.cron_schedule, hello_schedule.execution_timezone) == ("0 10 * * *", "America/New_York")
    assert statistics_schedule.cron_schedule == "0 * * * *"


def test_scheduled_hello_greets_sarah() -> None:
    context = dg.build_schedule_context(scheduled_execution_time=datetime(2021, 7, 1, 14, tzinfo=UTC))
    run_requests = hello_schedule.evaluate_tick(context).run_requests
    assert run_requests
    assert [request.run_config for request in run_requests] == [{"name": "Sarah"}]
