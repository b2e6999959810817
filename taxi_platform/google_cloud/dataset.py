"""A BigQuery dataset: runs statements, and reads, creates, changes and drops tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from taxi_platform.errors import BadSetting
from taxi_platform.google_cloud.errors import WRITE_TIMEOUT, is_transient, read_options, retry_for, write_options
from taxi_platform.google_cloud.identifiers import Sql, TableName
from taxi_platform.google_cloud.libraries import bigquery, exceptions
from taxi_platform.trips.partitions import TripMonth

if TYPE_CHECKING:
    from taxi_platform.google_cloud.connection import GoogleCloud

JOB_SECONDS = 1800
"""Timeout of a job, enforced by BigQuery."""


class Dates(tuple[date, ...]):
    """Dates as a query parameter, whose type must be known even if there are none."""


Value = str | int | bool | Dates | Sequence[str]
Row = dict[str, Any]


@dataclass(frozen=True)
class Work:
    """Jobs and their cost, as BigQuery reports it."""

    jobs: tuple[str, ...] = ()
    bytes_processed: int = 0
    slot_milliseconds: int = 0

    def __add__(self, other: Work) -> Work:
        return Work(
            self.jobs + other.jobs,
            self.bytes_processed + other.bytes_processed,
            self.slot_milliseconds + other.slot_milliseconds,
        )

    @property
    def metadata(self) -> dict[str, dg.MetadataValue]:
        """The jobs and their cost as metadata of a materialization."""
        return {
            "job_ids": dg.MetadataValue.json(list(self.jobs)),
            "bytes_processed": dg.MetadataValue.int(self.bytes_processed),
            "slot_milliseconds": dg.MetadataValue.int(self.slot_milliseconds),
        }


@dataclass
class Dataset:
    """A dataset and the client to use it."""

    client: bigquery.Client
    project: str
    name: str
    location: str
    retry_seconds: float
    """Seconds for which transient errors are retried."""
    work: Work = field(default_factory=Work)
    """Cost of the jobs so far."""

    def table_name(self, table: str) -> TableName:
        """Return the full name of a table of the dataset."""
        return TableName(self.project, self.name, table)

    def run(self, statement: Sql, labels: Mapping[str, str], **values: Value) -> list[Row]:
        """Run a statement with its values as query parameters and return its rows.

        A job that fails with a transient error is run again, so every statement must be idempotent.
        """
        attempts = Retrying(
            retry=retry_if_exception(
                lambda error: isinstance(error, exceptions.GoogleAPICallError) and is_transient(error)
            ),
            wait=wait_random_exponential(multiplier=0.5, max=20),
            stop=stop_after_delay(self.retry_seconds),
            reraise=True,
        )
        return attempts(self._run_once, statement, labels, values)

    def _run_once(self, statement: Sql, labels: Mapping[str, str], values: Mapping[str, Value]) -> list[Row]:
        config = bigquery.QueryJobConfig(
            query_parameters=[_parameter(name, value) for name, value in values.items()],
            labels=dict(labels),
            use_legacy_sql=False,
            use_query_cache=False,
            job_timeout_ms=JOB_SECONDS * 1000,
        )
        # One request for statements of up to ten seconds; starting a job and waiting for it would be three.
        rows = self.client.query_and_wait(
            statement,
            job_config=config,
            api_timeout=WRITE_TIMEOUT,
            wait_timeout=JOB_SECONDS,
            retry=retry_for(self.retry_seconds),
            job_retry=None,  # pyright: ignore[reportArgumentType]
        )
        found = [dict(row) for row in rows]
        self.work += Work((rows.job_id or "",), rows.total_bytes_processed or 0, rows.slot_millis or 0)
        return found

    def get_table(self, name: TableName) -> bigquery.Table | None:
        """Return the table as it is now, None if it does not exist."""
        try:
            return self.client.get_table(str(name), **read_options(self.retry_seconds))
        except exceptions.NotFound:
            return None

    def create_table(self, table: bigquery.Table) -> None:
        """Create a table, unless one of that name exists."""
        self.client.create_table(table, exists_ok=True, **write_options(self.retry_seconds))

    def update_table(self, table: bigquery.Table, fields: Sequence[str]) -> bigquery.Table:
        """Write these properties of a table. Raise PreconditionFailed if it was changed since it was read."""
        return self.client.update_table(table, fields, **write_options(self.retry_seconds))

    def drop_table(self, name: TableName) -> None:
        """Drop a table, if it exists."""
        self.client.delete_table(str(name), not_found_ok=True, **write_options(self.retry_seconds))

    def first_rows(self, name: TableName, columns: Sequence[bigquery.SchemaField], n: int) -> list[Row]:
        """Return the first rows of a table, none if it does not exist. It is read without a query, at no cost."""
        try:
            options = read_options(self.retry_seconds)
            found = self.client.list_rows(str(name), selected_fields=columns, max_results=n, **options)
            return [dict(row) for row in found]
        except exceptions.NotFound:
            return []


def ensure_dataset(cloud: GoogleCloud) -> tuple[bigquery.Dataset, bool]:
    """Return the dataset and whether it was created just now, in the location of the settings.

    Raise MissingRight if the account has no permission to run jobs, BadSetting if the dataset has another location.
    """
    with cloud.open_dataset("preparing the dataset") as dataset:
        client, seconds = dataset.client, dataset.retry_seconds
        reference = bigquery.DatasetReference(dataset.project, dataset.name)
        created = False
        try:
            found = client.get_dataset(reference, **read_options(seconds))
        except exceptions.NotFound:
            created = True
            new = bigquery.Dataset(reference)
            new.location = dataset.location
            new.description = "New York's taxi trips."
            client.create_dataset(new, exists_ok=True, **read_options(seconds))
            found = client.get_dataset(reference, **read_options(seconds))
        if (found.location or dataset.location).lower() != dataset.location.lower():
            raise BadSetting(
                f"The location of the dataset {found.dataset_id} is {found.location}, and GCP_LOCATION is "
                f"{dataset.location}.",
                f"Set GCP_LOCATION to {found.location}, or GCP_DATASET to another name.",
            )
        # A dry run is free, and without permission to run jobs it fails before anything is uploaded.
        dry = bigquery.QueryJobConfig(dry_run=True, use_query_cache=False)
        client.query("SELECT 1", job_config=dry, job_retry=None, **read_options(seconds))
    return found, created


def job_labels(month: TripMonth, asset: str) -> dict[str, str]:
    """Return the labels of a job, shown in the console's list of jobs and in the billing export."""
    return {"colour": month.colour.name, "month": month.month, "asset": asset}


def _parameter(name: str, value: Value) -> bigquery.ScalarQueryParameter | bigquery.ArrayQueryParameter:
    if isinstance(value, str):
        return bigquery.ScalarQueryParameter(name, "STRING", value)
    if isinstance(value, bool):
        return bigquery.ScalarQueryParameter(name, "BOOL", value)
    if isinstance(value, int):
        return bigquery.ScalarQueryParameter(name, "INT64", value)
    return bigquery.ArrayQueryParameter(name, "DATE" if isinstance(value, Dates) else "STRING", list(value))
