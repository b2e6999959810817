"""dagster-gcp's resources with the platform's credentials, endpoints and timeouts.

Importing dagster_gcp takes 1.7 s, so `lazy_storage` and `lazy_warehouse` in `lazy_resources` import this module only
when a run uses the resource.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Self

import dagster as dg
from dagster_gcp import BigQueryResource, GCSResource
from google.cloud import bigquery, storage

from taxi_platform.google_cloud.connection import GoogleCloud
from taxi_platform.google_cloud.dataset import Dataset


class StorageResource(GCSResource):
    """Cloud Storage and the platform's bucket. `cloud` decides about project, credentials and endpoint."""

    cloud: dg.ResourceDependency[GoogleCloud]

    def get_client(self) -> storage.Client:
        """Return the client, one for as long as the resource exists."""
        return self.cloud.storage_client

    def open_bucket(self, operation: str) -> AbstractContextManager[storage.Bucket]:
        """Return the platform's bucket as a context; see `GoogleCloud.open_bucket`."""
        return self.cloud.open_bucket(operation)

    def get_object_to_set_on_execution_context(self) -> Self:
        """Return the resource itself for `context.resources`: a client would be created at the start of each step."""
        return self


class WarehouseResource(BigQueryResource):
    """BigQuery and the platform's dataset. `cloud` decides about project, location, credentials and endpoint."""

    cloud: dg.ResourceDependency[GoogleCloud]

    @contextmanager
    def get_client(self) -> Iterator[bigquery.Client]:
        """Yield the client, one for as long as the resource exists."""
        yield self.cloud.bigquery_client

    def open_dataset(self, operation: str) -> AbstractContextManager[Dataset]:
        """Return the platform's dataset as a context; see `GoogleCloud.open_dataset`."""
        return self.cloud.open_dataset(operation)

    def get_object_to_set_on_execution_context(self) -> Self:
        """Return the resource itself for `context.resources`: a client would be created at the start of each step."""
        return self
