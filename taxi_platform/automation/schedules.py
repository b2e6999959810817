"""The schedules that load new months and check freshness, off until switched on in the web interface."""

import dagster as dg

from taxi_platform.automation.jobs import freshness_job, load_month
from taxi_platform.automation.new_months import (
    RESOURCE_KEYS,
    new_months,
    requests_for,
    resources_of,
    scheduled_destinations,
)
from taxi_platform.errors import TransientError
from taxi_platform.trips.columns import COLOURS, Colour

NEW_YORK = "America/New_York"
_LATEST_HOUR = 10
"""Hour at which the first colour's schedule runs; each further colour runs an hour earlier."""


def _monthly(colour: Colour, hour: int) -> dg.ScheduleDefinition:
    """Return the schedule that loads a colour's new months on the first of each month."""

    @dg.schedule(
        name=f"{colour.name}_schedule",
        job=load_month,
        cron_schedule=f"0 {hour} 1 * *",
        execution_timezone=NEW_YORK,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        required_resource_keys=RESOURCE_KEYS,
        description=f"Load, once a month, the {colour.name} months that are published and newer than what is loaded; "
        "if nothing is loaded, the newest. Older gaps are left to backfills.",
    )
    def monthly(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        resources = resources_of(context.resources)
        try:
            found = new_months(colour, context.scheduled_execution_time, resources, scheduled_destinations(resources))
        except TransientError as error:
            return dg.SkipReason(str(error))
        requests = requests_for(colour, found, context.instance)
        return requests.runs or dg.SkipReason(requests.reason)

    return monthly


monthly_schedules = [_monthly(colour, _LATEST_HOUR - place) for place, colour in enumerate(COLOURS.values())]

freshness_schedule = dg.ScheduleDefinition(
    name="freshness_schedule",
    job=freshness_job,
    cron_schedule="0 12 * * *",
    execution_timezone=NEW_YORK,
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Check every day at noon whether the newest published months are loaded.",
)
