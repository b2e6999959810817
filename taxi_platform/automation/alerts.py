"""The message about a failed run: job or partition, each failed asset with its error's first line, and a link.

`sensors` decides when a message is sent, `webhook` sends it.
"""

from collections.abc import Iterable

import dagster as dg

from taxi_platform.redaction import first_line
from taxi_platform.settings import Settings
from taxi_platform.trips.partitions import PARTITION_TAG


def message(run: dg.DagsterRun, failures: list[tuple[str, str]], run_error: str) -> str:
    """Return the message; `failures` holds the name and error of each failed step; without any, it has `run_error`."""
    title = f"Failed: {run.tags.get(PARTITION_TAG) or run.job_name}"
    lines = [f"{name}: {first_line(error)}" for name, error in failures] or [first_line(run_error)]
    return "\n".join([title, *lines, f"{Settings().web_url.rstrip('/')}/runs/{run.run_id}"])


def step_failures(events: Iterable[dg.DagsterEvent]) -> list[tuple[str, str]]:
    """Return the name of each failed step, which is its asset's, and its error, in the platform's own words if any."""
    found = []
    for event in events:
        if event.event_type is not dg.DagsterEventType.STEP_FAILURE:
            continue
        data = event.step_failure_data
        own = data.user_failure_data.description if data.user_failure_data else None
        # Dagster wraps the exception that the step raised.
        cause = data.error.cause or data.error if data.error else None
        found.append((event.step_key or "", own or (cause.message if cause else "")))
    return found
