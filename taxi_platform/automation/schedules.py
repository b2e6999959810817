"""Schedules: when a job runs by itself. All are off until switched on in the web interface.

Not here: what the jobs do. Times are New York's, as the trips' are.
"""

import dagster as dg

from taxi_platform.automation.jobs import freshness_job, load_month
from taxi_platform.automation.new_months import arrivals, requests_for
from taxi_platform.destinations.base import legs
from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.errors import TransientError
from taxi_platform.google_cloud.resources import GoogleBigQuery, GoogleStorage
from taxi_platform.source.mirror import Mirror
from taxi_platform.trips.columns import COLOURS, Colour

NEW_YORK = "America/New_York"


def _monthly(colour: Colour, cron_schedule: str) -> dg.ScheduleDefinition:
    """A schedule that loads a colour's months as they come."""

    @dg.schedule(
        name=f"{colour.name}_schedule",
        job=load_month,
        cron_schedule=cron_schedule,
        execution_timezone=NEW_YORK,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=f"Once a month: loads the {colour.name} months that are published and newer than what is loaded; "
        "with nothing loaded, the newest. Older gaps are for backfills.",
    )
    def monthly(
        context: dg.ScheduleEvaluationContext,
        mirror: Mirror,
        postgres: Postgres,
        gcs: GoogleStorage,
        bigquery: GoogleBigQuery,
    ) -> list[dg.RunRequest] | dg.SkipReason:
        try:
            found = arrivals(colour, context.scheduled_execution_time, mirror, legs(postgres, gcs, bigquery))
        except TransientError as error:
            return dg.SkipReason(str(error))
        asked = requests_for(colour, found, context.instance)
        return asked.runs or dg.SkipReason(asked.reason)

    return monthly


green_schedule = _monthly(COLOURS["green"], "0 9 1 * *")
yellow_schedule = _monthly(COLOURS["yellow"], "0 10 1 * *")

freshness_schedule = dg.ScheduleDefinition(
    name="freshness_schedule",
    job=freshness_job,
    cron_schedule="0 12 * * *",
    execution_timezone=NEW_YORK,
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Checks every day at noon whether the newest published months are loaded.",
)
