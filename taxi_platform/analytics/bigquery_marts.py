"""The marts in BigQuery: the dataset `<GCP_DATASET>_marts`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from taxi_platform.analytics.dbt_process import locked
from taxi_platform.analytics.marts import Marts, Query
from taxi_platform.data_directory import make_folder
from taxi_platform.destinations.base import Resources
from taxi_platform.google_cloud.connection import GoogleCloud
from taxi_platform.google_cloud.credentials import find_credentials
from taxi_platform.google_cloud.libraries import exceptions
from taxi_platform.lazy_import import LazyModule
from taxi_platform.settings import Settings
from taxi_platform.trips.columns import COLOURS
from taxi_platform.trips.partitions import TripMonth

if TYPE_CHECKING:
    from google.auth.transport import requests as transport
else:
    transport = LazyModule("google.auth.transport.requests")


class BigQueryMarts(Marts):
    """Marts that dbt-bigquery builds: the one of TAXI_DBT, because it needs an environment of its own."""

    def schema(self, resources: Resources) -> str:
        """Return the dataset of the marts."""
        return f"{resources['google_cloud'].dataset_name}_marts"

    @contextmanager
    def building(self, resources: Resources) -> Iterator[None]:
        """Hold a lock of this data directory.

        Builds on other machines are not excluded. A transaction replaces a file's rows together with their record in
        `built_files`; of two that conflict BigQuery aborts one, which is retried.
        """
        make_folder(self.folder)
        with locked(self.folder / "build.lock"):
            yield

    @contextmanager
    def connecting(self, resources: Resources) -> Iterator[Mapping[str, str]]:
        """Yield project, dataset and an access token."""
        cloud: GoogleCloud = resources["google_cloud"]
        with cloud.open_dataset("building marts"):
            yield {
                "DBT_BIGQUERY_METHOD": "oauth-secrets",
                "DBT_ENV_SECRET_BIGQUERY_TOKEN": _token(cloud),
                "DBT_BIGQUERY_API_ENDPOINT": cloud.bigquery_url or "",
                "GCP_PROJECT_ID": cloud.project_id,
                "GCP_DATASET": cloud.dataset_name,
                "GCP_LOCATION": cloud.location_name,
            }

    @contextmanager
    def reading(self, resources: Resources) -> Iterator[Query]:
        """Connect to BigQuery."""
        cloud: GoogleCloud = resources["google_cloud"]
        with cloud.open_dataset("reading marts"):

            def query(statement: str) -> list[tuple[Any, ...]]:
                try:
                    return [tuple(row.values()) for row in cloud.bigquery_client.query_and_wait(statement)]
                except exceptions.NotFound:
                    return []

            yield query

    def days(self, resources: Resources, months: Iterable[TripMonth]) -> Sequence[str]:
        """Return the days on which the months' trips start, as the load log has them."""
        wanted = set(months)
        found = {
            str(day)
            for colour in COLOURS.values()
            if any(month.colour == colour for month in wanted)
            for month, record in self.destination.loaded_months(resources, colour).items()
            if month in wanted
            for day in getattr(record, "days", ())
        }
        return sorted(found)


def _token(cloud: GoogleCloud) -> str:
    """Return an access token, valid for an hour; an emulator accepts any."""
    if cloud.bigquery_url:
        return "emulator"
    credentials = find_credentials(Settings().gcp_creds)
    credentials.refresh(transport.Request())
    return str(credentials.token)
