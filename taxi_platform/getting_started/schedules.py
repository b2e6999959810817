"""Schedules of the tutorial, off until switched on in the web interface. Times are New York's."""

import dagster as dg

from taxi_platform.getting_started.jobs import hello_world, statistics_job

NEW_YORK = "America/New_York"

hello_schedule = dg.ScheduleDefinition(
    name="hello_schedule",
    job=hello_world,
    cron_schedule="0 10 * * *",
    execution_timezone=NEW_YORK,
    run_config={"name": "Sarah"},
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Greets Sarah every day at ten.",
)

statistics_schedule = dg.ScheduleDefinition(
    name="statistics_schedule",
    job=statistics_job,
    cron_schedule="0 * * * *",
    execution_timezone=NEW_YORK,
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Asks for the image's pulls and the repository's stars every hour.",
)
