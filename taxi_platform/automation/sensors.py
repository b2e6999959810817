"""The sensors: one requests runs for new months, one reports failed runs."""

import json
from datetime import UTC, datetime

import dagster as dg

from taxi_platform.automation.alerts import message, step_failures
from taxi_platform.automation.jobs import load_month
from taxi_platform.automation.new_months import (
    RESOURCE_KEYS,
    new_months,
    requests_for,
    resources_of,
    scheduled_destinations,
)
from taxi_platform.errors import TransientError
from taxi_platform.trips.columns import COLOURS
from taxi_platform.webhook import Webhook

_DAY_SECONDS = 24 * 60 * 60


@dg.sensor(
    job=load_month,
    minimum_interval_seconds=_DAY_SECONDS,
    default_status=dg.DefaultSensorStatus.STOPPED,
    required_resource_keys=RESOURCE_KEYS,
    description="Load, once a day, the months that were published since the day before. The cursor holds the newest "
    "published month of each colour; at first, loaded months are left out.",
)
def new_months_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Request one run per new month. Failed runs are not requested again; the failure alert reports them."""
    resources = resources_of(context.resources)
    seen: dict[str, str] = json.loads(context.cursor or "{}")
    runs: list[dg.RunRequest] = []
    reasons: list[str] = []
    for colour in COLOURS.values():
        try:
            found = new_months(
                colour, datetime.now(UTC), resources, scheduled_destinations(resources), after=seen.get(colour.name)
            )
        except TransientError as error:
            reasons.append(str(error))
            continue
        requests = requests_for(colour, found, context.instance, once=True)
        runs += requests.runs
        reasons.append(requests.reason)
        if found.published.months:
            seen[colour.name] = found.published.months[-1].month
    cursor = json.dumps(seen)
    if runs:
        return dg.SensorResult(run_requests=runs, cursor=cursor)
    return dg.SensorResult(skip_reason=" ".join(filter(None, reasons)), cursor=cursor)


@dg.run_failure_sensor(
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Send one message per failed run to TAXI_ALERT_WEBHOOK; without that setting do nothing.",
)
def failed_run_sensor(context: dg.RunFailureSensorContext, webhook: Webhook) -> None:
    """Send one message per failed run. A webhook that fails is logged as a warning and not retried."""
    webhook.send(
        message(
            context.dagster_run, step_failures(context.get_step_failure_events()), context.failure_event.message or ""
        )
    )
