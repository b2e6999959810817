"""Definitions of the resources `gcs` and `bigquery` that import dagster-gcp only in a run that uses them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from taxi_platform.google_cloud.connection import GoogleCloud
from taxi_platform.lazy_import import LazyModule

if TYPE_CHECKING:
    from taxi_platform.google_cloud import resources
else:
    resources = LazyModule("taxi_platform.google_cloud.resources")


def lazy_storage(cloud: GoogleCloud) -> dg.ResourceDefinition:
    """Return the definition of a StorageResource, which is a dagster_gcp.GCSResource."""

    @dg.resource(description="Cloud Storage: dagster-gcp's GCSResource with the platform's credentials and bucket.")
    def gcs(_: dg.InitResourceContext) -> resources.StorageResource:
        return resources.StorageResource(cloud=cloud)

    return gcs


def lazy_warehouse(cloud: GoogleCloud) -> dg.ResourceDefinition:
    """Return the definition of a WarehouseResource, which is a dagster_gcp.BigQueryResource."""

    @dg.resource(description="BigQuery: dagster-gcp's BigQueryResource with the platform's credentials and dataset.")
    def bigquery(_: dg.InitResourceContext) -> resources.WarehouseResource:
        return resources.WarehouseResource(cloud=cloud)

    return bigquery
