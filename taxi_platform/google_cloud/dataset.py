"""One BigQuery dataset: runs statements, looks at tables, makes and drops them.

Not here: what the statements say, and how the client gets its credentials (`resources.gcp`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import dagster as dg
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from taxi_platform.destinations.bigquery.tables import Sql, TableName
from taxi_platform.google_cloud.errors import ANSWER_SECONDS, LOOK_SECONDS, is_transient, patience
from taxi_platform.google_cloud.libraries import bigquery, exceptions
from taxi_platform.trips.partitions import TripMonth

JOB_SECONDS = 1800
"""BigQuery itself ends a job that takes longer."""

Value = str | int | bool | Sequence[date]


@dataclass(frozen=True)
class Work:
    """What jobs cost and changed, as BigQuery counted it."""

    jobs: tuple[str, ...] = ()
    bytes_processed: int = 0
    slot_milliseconds: int = 0
    rows_affected: int = 0

    def __add__(self, other: Work) -> Work:
        return Work(
            self.jobs + other.jobs,
            self.bytes_processed + other.bytes_processed,
            self.slot_milliseconds + other.slot_milliseconds,
            self.rows_affected + other.rows_affected,
        )

    @property
    def metadata(self) -> dict[str, dg.MetadataValue]:
        return {
            "job_ids": dg.MetadataValue.json(list(self.jobs)),
            "bytes_processed": dg.MetadataValue.int(self.bytes_processed),
            "slot_milliseconds": dg.MetadataValue.int(self.slot_milliseconds),
            "rows_affected": dg.MetadataValue.int(self.rows_affected),
        }


@dataclass
class Warehouse:
    """The dataset, with the client to reach it. `patience_seconds`: how long transient answers are waited out."""

    client: bigquery.Client
    project: str
    dataset: str
    location: str
    patience_seconds: float
    work: Work = field(default_factory=Work)
    """Of the jobs that were run so far."""

    def name(self, table: str) -> TableName:
        return TableName(self.project, self.dataset, table)

    def run(self, statement: Sql, labels: Mapping[str, str], **values: Value) -> list[dict[str, Any]]:
        """Runs a statement to its end, with its values as query parameters; its rows.

        A job that fails for a reason that passes is run again: every statement here may be repeated.
        """
        attempts = Retrying(
            retry=retry_if_exception(
                lambda error: isinstance(error, exceptions.GoogleAPICallError) and is_transient(error)
            ),
            wait=wait_random_exponential(multiplier=0.5, max=20),
            stop=stop_after_delay(self.patience_seconds),
            reraise=True,
        )
        return attempts(self._run_once, statement, labels, values)

    def _run_once(self, statement: Sql, labels: Mapping[str, str], values: Mapping[str, Value]) -> list[dict[str, Any]]:
        config = bigquery.QueryJobConfig(
            query_parameters=[_parameter(name, value) for name, value in values.items()],
            labels=dict(labels),
            use_legacy_sql=False,
            use_query_cache=False,
            job_timeout_ms=JOB_SECONDS * 1000,
        )
        job = self.client.query(
            statement, job_config=config, retry=patience(self.patience_seconds), job_retry=None, timeout=ANSWER_SECONDS
        )
        found = [dict(row) for row in self._wait(job)]
        self.work += Work(
            (job.job_id or "",),
            job.total_bytes_processed or 0,
            job.slot_millis or 0,
            (job.num_dml_affected_rows or 0) + self._affected_by_children(job),
        )
        return found

    def _wait(self, job: bigquery.QueryJob) -> Iterable[Mapping[str, Any]]:
        """The job's rows, when it has ended."""
        end = time.monotonic() + JOB_SECONDS
        while True:
            try:
                return job.result(retry=patience(self.patience_seconds), job_retry=None, timeout=ANSWER_SECONDS)
            except TimeoutError as error:
                # Also raised while a job goes on; with a cause where BigQuery itself is silent.
                if error.__cause__ is not None or time.monotonic() > end:
                    raise

    def _affected_by_children(self, job: bigquery.QueryJob) -> int:
        """A script's own statistics do not count rows; those of its statements do."""
        if not job.num_child_jobs:
            return 0
        children = self.client.list_jobs(parent_job=job, retry=patience(self.patience_seconds), timeout=LOOK_SECONDS)
        return sum(getattr(child, "num_dml_affected_rows", None) or 0 for child in children)

    def table(self, name: TableName) -> bigquery.Table | None:
        """The table as it stands now, or None."""
        try:
            return self.client.get_table(str(name), retry=patience(self.patience_seconds), timeout=LOOK_SECONDS)
        except exceptions.NotFound:
            return None

    def create(self, table: bigquery.Table) -> None:
        """Makes a table; leaves one of that name alone."""
        self.client.create_table(table, exists_ok=True, retry=patience(self.patience_seconds), timeout=ANSWER_SECONDS)

    def describe(self, table: bigquery.Table, fields: Sequence[str]) -> bigquery.Table:
        """Writes these properties of a table, unless somebody changed it since it was looked at."""
        return self.client.update_table(table, fields, retry=patience(self.patience_seconds), timeout=ANSWER_SECONDS)

    def drop(self, name: TableName) -> None:
        """Drops a table, if it is there."""
        self.client.delete_table(
            str(name), not_found_ok=True, retry=patience(self.patience_seconds), timeout=ANSWER_SECONDS
        )

    def console_url(self, name: TableName) -> str:
        return (
            f"https://console.cloud.google.com/bigquery?project={name.project}&ws=!1m5!1m4!4m3"
            f"!1s{name.project}!2s{name.dataset}!3s{name.table}"
        )


def job_labels(month: TripMonth, asset: str) -> dict[str, str]:
    """What the job is for, as the console's list of jobs and the billing export show it."""
    return {"colour": month.colour.name, "month": month.month, "asset": asset}


def _parameter(name: str, value: Value) -> bigquery.ScalarQueryParameter | bigquery.ArrayQueryParameter:
    if isinstance(value, str):
        return bigquery.ScalarQueryParameter(name, "STRING", value)
    if isinstance(value, bool):
        return bigquery.ScalarQueryParameter(name, "BOOL", value)
    if isinstance(value, int):
        return bigquery.ScalarQueryParameter(name, "INT64", value)
    return bigquery.ArrayQueryParameter(name, "DATE", list(value))
