"""The connection to Google Cloud: project, bucket, dataset, credentials and endpoints, and the clients made of them.

Initializing `GoogleCloud` imports none of Google's libraries, so that schedules and sensors can determine at each tick
whether Google Cloud is configured. In a run it is part of dagster-gcp's resources; see `resources`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import dagster as dg
from pydantic import Field

from taxi_platform.errors import BadSetting
from taxi_platform.google_cloud.credentials import find_credentials
from taxi_platform.google_cloud.dataset import Dataset
from taxi_platform.google_cloud.errors import translated_errors
from taxi_platform.google_cloud.identifiers import valid_bucket, valid_dataset, valid_location, valid_project
from taxi_platform.google_cloud.libraries import bigquery, client_options, credentials, storage
from taxi_platform.settings import Settings

STORAGE_ROLES = (
    "roles/storage.admin on the project or, if the bucket exists, roles/storage.objectAdmin and "
    "roles/storage.legacyBucketReader on the bucket"
)
BIGQUERY_ROLES = (
    "roles/bigquery.user on the project, which includes creating datasets and running jobs, "
    "roles/bigquery.dataEditor on the dataset if another account created it, and roles/storage.objectViewer on the "
    "bucket to read its objects"
)


class GoogleCloud(dg.ConfigurableResource):
    """Project, bucket and dataset in Google Cloud, and the clients to use them."""

    project: str | None = Field(default=None, description="Project id; GCP_PROJECT_ID by default.")
    location: str | None = Field(default=None, description="Region of bucket and dataset; GCP_LOCATION by default.")
    bucket: str | None = Field(default=None, description="Name of the bucket; GCP_BUCKET_NAME by default.")
    dataset: str | None = Field(default=None, description="Name of the dataset; GCP_DATASET by default.")
    storage_endpoint: str | None = Field(
        default=None, description="Address of a storage emulator; STORAGE_EMULATOR_HOST by default."
    )
    bigquery_endpoint: str | None = Field(
        default=None, description="Address of a BigQuery emulator; BIGQUERY_EMULATOR_HOST by default."
    )
    retry_seconds: float = Field(default=60.0, description="Seconds for which transient errors are retried.")
    merge_timeout: float = Field(
        default=900.0, description="Seconds for which a merge is retried while other months are merged."
    )

    @cached_property
    def _settings(self) -> Settings:
        return Settings()

    @property
    def missing_settings(self) -> list[str]:
        """Names of the settings without which Google Cloud cannot be used."""
        found = {
            "GCP_PROJECT_ID": self.project or self._settings.gcp_project,
            "GCP_BUCKET_NAME": self.bucket or self._settings.gcp_bucket,
        }
        return [name for name, value in found.items() if not value]

    @property
    def project_id(self) -> str:
        """The project's id. Raise BadSetting if it is not set."""
        name = self.project or self._settings.gcp_project
        if name is None:
            raise _not_set("GCP_PROJECT_ID", "the project's id, as the console shows it")
        return valid_project(name)

    @property
    def bucket_name(self) -> str:
        """The bucket's name. Raise BadSetting if it is not set."""
        name = self.bucket or self._settings.gcp_bucket
        if name is None:
            raise _not_set("GCP_BUCKET_NAME", "the bucket's name, which must be unique in all of Google Cloud")
        return valid_bucket(name)

    @property
    def dataset_name(self) -> str:
        """The dataset's name."""
        return valid_dataset(self.dataset or self._settings.gcp_dataset)

    @property
    def location_name(self) -> str:
        """Region of bucket and dataset."""
        return valid_location(self.location or self._settings.gcp_location)

    @property
    def storage_url(self) -> str | None:
        """Address of the storage emulator, None for Google itself."""
        return _url(self.storage_endpoint or self._settings.storage_emulator)

    @property
    def bigquery_url(self) -> str | None:
        """Address of the BigQuery emulator, None for Google itself."""
        return _url(self.bigquery_endpoint or self._settings.bigquery_emulator)

    @cached_property
    def _credentials(self) -> credentials.Credentials:
        """Credentials for all clients, so that one access token serves them."""
        return find_credentials(self._settings.gcp_creds)

    @cached_property
    def storage_client(self) -> storage.Client:
        """The client of Cloud Storage, one for as long as the resource exists."""
        return storage.Client(project=self.project_id, **_to(self.storage_url, lambda: self._credentials))

    @cached_property
    def bigquery_client(self) -> bigquery.Client:
        """The client of BigQuery, one for as long as the resource exists."""
        return bigquery.Client(
            project=self.project_id,
            location=self.location_name,
            **_to(self.bigquery_url, lambda: self._credentials),
        )

    @contextmanager
    def open_bucket(self, operation: str) -> Iterator[storage.Bucket]:
        """Yield the bucket without checking that it exists. Errors name `operation`, which completes "while ..."."""
        name = self.bucket_name
        endpoint = self.storage_url or "storage.googleapis.com"
        with translated_errors(operation, endpoint=endpoint, roles=STORAGE_ROLES):
            yield self.storage_client.bucket(name)

    @contextmanager
    def open_dataset(self, operation: str) -> Iterator[Dataset]:
        """Yield the dataset without checking that it exists. Errors name `operation`, which completes "while ..."."""
        name = self.dataset_name
        endpoint = self.bigquery_url or "bigquery.googleapis.com"
        with translated_errors(operation, endpoint=endpoint, roles=BIGQUERY_ROLES):
            yield Dataset(self.bigquery_client, self.project_id, name, self.location_name, self.retry_seconds)


def _to(url: str | None, found: Callable[[], credentials.Credentials]) -> dict[str, Any]:
    """Return a client's arguments: those of an emulator, which takes no credentials, or of Google itself."""
    if url is None:
        return {"credentials": found()}
    return {
        "credentials": credentials.AnonymousCredentials(),
        "client_options": client_options.ClientOptions(api_endpoint=url),
    }


def _not_set(name: str, meaning: str) -> BadSetting:
    return BadSetting(f"{name} is not set.", f"Set it, in the environment or in .env, to {meaning}.")


def _url(host: str | None) -> str | None:
    """Return the address with its scheme; Google's variables may leave it out."""
    return host if host is None or "://" in host else f"http://{host}"
