"""What is said of a failed run: the job, the partition, the asset, the error's first line, a link.

Not here: when it is said (`sensors`), and the chat (`resources.webhook`).
"""

import re
from collections.abc import Iterable

import dagster as dg

from taxi_platform.automation.new_months import PARTITION_TAG
from taxi_platform.settings import Settings

_USER_INFO = re.compile(r"(?<=://)[^\s/@]+@")
_LONGEST_LINE = 500


def message(run: dg.DagsterRun, steps: list[tuple[str, str]], otherwise: str) -> str:
    """The text, one line for each asset that failed.

    `steps`: each failed step's name and its error; `otherwise`: the reason when the run failed in no step.
    """
    partition = run.tags.get(PARTITION_TAG)
    title = f"Failed: {partition or run.job_name}"
    lines = [f"{name}: {first_line(error)}" for name, error in steps] or [first_line(otherwise)]
    return "\n".join([title, *lines, f"{Settings().web_url.rstrip('/')}/runs/{run.run_id}"])


def step_failures(events: Iterable[dg.DagsterEvent]) -> list[tuple[str, str]]:
    """Of a run's events: each failed step's name, which is its asset's, and its error, best in our own words."""
    found = []
    for event in events:
        if event.event_type is not dg.DagsterEventType.STEP_FAILURE:
            continue
        data = event.step_failure_data
        own = data.user_failure_data.description if data.user_failure_data else None
        # The exception that the step raised is the cause of Dagster's own.
        cause = data.error.cause or data.error if data.error else None
        found.append((event.step_key or "", own or (cause.message if cause else "")))
    return found


def first_line(text: str) -> str:
    """An error's first line, fit to be shown to others."""
    line = text.strip().split("\n", 1)[0]
    return without_secrets(line)[:_LONGEST_LINE] or "no reason was given"


def without_secrets(text: str) -> str:
    """The text without what stands for user and password in URLs, and without the settings that are secrets."""
    settings = Settings()
    for secret in (settings.postgres_url, settings.alert_webhook, settings.gcp_creds):
        if secret and secret.get_secret_value():
            text = text.replace(secret.get_secret_value(), "***")
    return _USER_INFO.sub("***@", text)
