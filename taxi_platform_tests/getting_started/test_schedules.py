"""When the schedules of the examples ask for a run, and for which."""

from datetime import UTC, datetime

import dagster as dg
import pytest

from taxi_platform.getting_started.schedules import hello_schedule, statistics_schedule


@pytest.mark.parametrize("schedule", [hello_schedule, statistics_schedule])
def test_a_schedule_is_off_until_switched_on(schedule: dg.ScheduleDefinition) -> None:
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED


def test_hello_comes_daily_at_ten_in_new_york_and_the_statistics_hourly() -> None:
    assert (hello_schedule.cron_schedule, hello_schedule.execution_timezone) == ("0 10 * * *", "America/New_York")
    assert statistics_schedule.cron_schedule == "0 * * * *"


def test_the_scheduled_hello_greets_somebody_else() -> None:
    context = dg.build_schedule_context(scheduled_execution_time=datetime(2021, 7, 1, 14, tzinfo=UTC))
    run_requests = hello_schedule.evaluate_tick(context).run_requests
    assert run_requests
    assert [request.run_config for request in run_requests] == [{"name": "Sarah"}]
