"""Sensors: what is done when something has happened, a new file or a failed run.

Not here: which months have arrived (`arrivals`), what is said of a failed run (`alerts`).
"""

import json
from datetime import UTC, datetime

import dagster as dg

from taxi_platform.automation.alerts import message, step_failures
from taxi_platform.automation.jobs import load_month
from taxi_platform.automation.new_months import arrivals, requests_for
from taxi_platform.destinations.base import legs
from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.errors import TransientError
from taxi_platform.google_cloud.resources import GoogleBigQuery, GoogleStorage
from taxi_platform.source.mirror import Mirror
from taxi_platform.trips.columns import COLOURS
from taxi_platform.webhook import Webhook

_DAY = 24 * 60 * 60


@dg.sensor(
    job=load_month,
    minimum_interval_seconds=_DAY,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Once a day: loads the months that were published since. The cursor is the newest month seen, by "
    "colour; at first, what is loaded counts as seen.",
)
def new_months_sensor(
    context: dg.SensorEvaluationContext,
    mirror: Mirror,
    postgres: Postgres,
    gcs: GoogleStorage,
    bigquery: GoogleBigQuery,
) -> dg.SensorResult:
    """Asks once for each month that appears; a run that failed is not asked for again, the alert tells of it."""
    seen: dict[str, str] = json.loads(context.cursor or "{}")
    runs: list[dg.RunRequest] = []
    reasons: list[str] = []
    for colour in COLOURS.values():
        try:
            found = arrivals(
                colour, datetime.now(UTC), mirror, legs(postgres, gcs, bigquery), after=seen.get(colour.name)
            )
        except TransientError as error:
            reasons.append(str(error))
            continue
        asked = requests_for(colour, found, context.instance, once=True)
        runs += asked.runs
        reasons.append(asked.reason)
        if found.published.months:
            seen[colour.name] = found.published.months[-1].month
    cursor = json.dumps(seen)
    if runs:
        return dg.SensorResult(run_requests=runs, cursor=cursor)
    return dg.SensorResult(skip_reason=" ".join(filter(None, reasons)), cursor=cursor)


@dg.run_failure_sensor(
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells TAXI_ALERT_WEBHOOK of each failed run; without that setting it does nothing.",
)
def failed_run_sensor(context: dg.RunFailureSensorContext, webhook: Webhook) -> None:
    """One message for a run. A webhook that is down is a warning in the log, and nothing is sent later."""
    webhook.send(
        message(
            context.dagster_run, step_failures(context.get_step_failure_events()), context.failure_event.message or ""
        )
    )
