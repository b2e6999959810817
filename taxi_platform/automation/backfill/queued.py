"""A backfill through Dagster's daemon, of `make dev` or of a deployment: a queued run for each month, which it follows.

Two pools of workers beside each other would load twice as many months at a time as the machine has processors.
"""

import time
from collections.abc import Callable, Iterator
from typing import Self
from urllib.parse import urlsplit

import dagster as dg
import requests
from dagster_graphql import DagsterGraphQLClient

from taxi_platform.automation.alerts import step_failures
from taxi_platform.automation.backfill.runner import BACKFILL_TAG, TICK_SECONDS, Backfill, Outcome
from taxi_platform.automation.backfill.worker import JOB
from taxi_platform.errors import BadSetting
from taxi_platform.redaction import first_line
from taxi_platform.settings import Settings
from taxi_platform.trips.partitions import TripMonth

WILL_RETRY_TAG = "dagster/will_retry"
_TIMEOUT_SECONDS = 30


class QueuedBackfill(Backfill):
    """Months that the daemon loads, as many at a time as it is configured for."""

    def __enter__(self) -> Self:
        """Start no workers."""
        return self

    def run(self, instance: dg.DagsterInstance, tick: Callable[[], None] = lambda: None) -> Iterator[Outcome]:
        """Queue the months and yield the outcome of each when it is known; call `tick` about once a second.

        If the caller is interrupted (KeyboardInterrupt), unfinished runs are terminated.
        """
        yield from self.skipped()
        url = Settings().web_url
        client = _client(url)
        began = time.monotonic()
        try:
            for month in self.waiting:
                self.running[month] = self._submit(client, month)
                if instance.get_run_by_id(self.running[month]) is None:
                    raise _unreachable(url)
            while self.running:
                for month, run in self._latest(instance).items():
                    if run.is_finished and run.tags.get(WILL_RETRY_TAG) != "true":
                        del self.running[month]
                        yield self.outcome(month, time.monotonic() - began, _error(instance, run))
                tick()
                time.sleep(TICK_SECONDS)
        except BaseException:
            if self.running:
                client.terminate_runs(list(self.running.values()))
            raise

    def _submit(self, client: DagsterGraphQLClient, month: TripMonth) -> str:
        tags = {
            BACKFILL_TAG: self.tag,
            "dagster/partition": month.key,
            "dagster/partition/colour": month.colour.name,
            "dagster/partition/month": month.month,
        }
        return client.submit_job_execution(JOB, tags=tags, asset_selection=self.assets())

    def _latest(self, instance: dg.DagsterInstance) -> dict[TripMonth, dg.DagsterRun]:
        """Return the newest run of each unfinished month; a run whose process was killed is retried by another."""
        runs = instance.get_runs(dg.RunsFilter(tags={BACKFILL_TAG: self.tag}))
        newest: dict[str, dg.DagsterRun] = {}
        for run in runs:  # newest first
            newest.setdefault(run.tags["dagster/partition"], run)
        found = {month: newest[month.key] for month in self.running if month.key in newest}
        self.running.update({month: run.run_id for month, run in found.items()})
        return found


def _client(url: str) -> DagsterGraphQLClient:
    try:
        requests.get(f"{url.rstrip('/')}/server_info", timeout=_TIMEOUT_SECONDS).raise_for_status()
    except requests.RequestException as error:
        raise _unreachable(url) from error
    parts = urlsplit(url)
    return DagsterGraphQLClient(parts.hostname or "", port_number=parts.port, use_https=parts.scheme == "https")


def _unreachable(url: str) -> BadSetting:
    return BadSetting(
        f"Dagster's daemon is running on this instance, and its web interface is not at {url}.",
        "Set TAXI_WEB_URL to its address, or stop the daemon (`make dev`: with Ctrl-C).",
    )


def _error(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str | None:
    if run.is_success:
        return None
    logs = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    failures = step_failures(entry.get_dagster_event() for entry in logs)
    return (
        "; ".join(f"{name}: {first_line(error)}" for name, error in failures) or f"its run ended as {run.status.value}"
    )
