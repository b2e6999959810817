"""The tutorial's schedules, off until you switch them on in the web interface."""

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
    description="Greet Sarah every day at ten, New York's time.",
)

statistics_schedule = dg.ScheduleDefinition(
    name="statistics_schedule",
    job=statistics_job,
    cron_schedule="0 * * * *",
    execution_timezone=NEW_YORK,
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Request the image's pulls and the repository's stars every hour.",
)
