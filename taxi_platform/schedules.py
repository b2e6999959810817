"""Schedules: when a job runs by itself. All are off until switched on in the web interface.

Not here: what the jobs do. Times are New York's, as the trips' are.
"""

import dagster as dg

from taxi_platform.jobs import hello_world, statistics

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
    job=statistics,
    cron_schedule="0 * * * *",
    execution_timezone=NEW_YORK,
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Asks for the image's pulls and the repository's stars every hour.",
)
