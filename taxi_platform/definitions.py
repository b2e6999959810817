"""The graph, put together; nothing else is in here."""

from typing import TypedDict, Unpack

import dagster as dg

from taxi_platform.automation import freshness
from taxi_platform.automation.jobs import freshness_job, load_month
from taxi_platform.automation.purge import purge_files
from taxi_platform.automation.schedules import freshness_schedule, green_schedule, yellow_schedule
from taxi_platform.automation.sensors import failed_run_sensor, new_months_sensor
from taxi_platform.destinations.bigquery import assets as gcp
from taxi_platform.destinations.bigquery import checks as gcp_checks
from taxi_platform.destinations.bigquery.io_managers import ExternalTables, MergedTables, MonthlyTables
from taxi_platform.destinations.bigquery.object_io_manager import LakeObjects
from taxi_platform.destinations.postgres import assets as postgres
from taxi_platform.destinations.postgres import checks as postgres_checks
from taxi_platform.destinations.postgres.io_managers import PostgresStagingTables, PostgresTripTables
from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.getting_started import products, statistics
from taxi_platform.getting_started.duckdb_file import DuckDBFile
from taxi_platform.getting_started.jobs import hello_world, statistics_job
from taxi_platform.getting_started.json_files import JsonFiles
from taxi_platform.getting_started.products_api import ProductsApi
from taxi_platform.getting_started.schedules import hello_schedule, statistics_schedule
from taxi_platform.getting_started.statistics import DockerHub, GitHub
from taxi_platform.google_cloud.resources import GoogleBigQuery, GoogleStorage
from taxi_platform.source import assets as source
from taxi_platform.source.file_store import RawFiles
from taxi_platform.source.mirror import Mirror
from taxi_platform.webhook import Webhook


class Resources(TypedDict, total=False):
    """The resources and IO managers that assets ask for, by key."""

    mirror: Mirror
    postgres: Postgres
    raw_files: RawFiles
    postgres_staging_tables: PostgresStagingTables
    postgres_trip_tables: PostgresTripTables
    gcs: GoogleStorage
    bigquery: GoogleBigQuery
    lake_objects: LakeObjects
    bigquery_external_tables: ExternalTables
    bigquery_monthly_tables: MonthlyTables
    bigquery_merged_tables: MergedTables
    products_api: ProductsApi
    json_files: JsonFiles
    products_duckdb: DuckDBFile
    docker_hub: DockerHub
    github: GitHub
    webhook: Webhook


def build_defs(**resources: Unpack[Resources]) -> dg.Definitions:
    """The definitions, with other resources in place of those of the same key.

    The graph is the same everywhere. IO managers are made on the resources that are given.
    """
    server = resources.get("postgres") or Postgres()
    mirror = resources.get("mirror") or Mirror()
    gcs = resources.get("gcs") or GoogleStorage()
    bigquery = resources.get("bigquery") or GoogleBigQuery()
    return dg.Definitions(
        assets=dg.load_assets_from_modules([source, postgres, gcp, products, statistics]),
        asset_checks=dg.load_asset_checks_from_modules([postgres_checks, gcp_checks, freshness]),
        jobs=[load_month, freshness_job, purge_files, hello_world, statistics_job],
        schedules=[green_schedule, yellow_schedule, freshness_schedule, hello_schedule, statistics_schedule],
        sensors=[new_months_sensor, failed_run_sensor],
        resources={
            "mirror": mirror,
            "postgres": server,
            "raw_files": RawFiles(mirror=mirror),
            "postgres_staging_tables": PostgresStagingTables(postgres=server),
            "postgres_trip_tables": PostgresTripTables(postgres=server),
            "gcs": gcs,
            "bigquery": bigquery,
            "lake_objects": LakeObjects(gcs=gcs),
            "bigquery_external_tables": ExternalTables(gcs=gcs, bigquery=bigquery),
            "bigquery_monthly_tables": MonthlyTables(gcs=gcs, bigquery=bigquery),
            "bigquery_merged_tables": MergedTables(bigquery=bigquery),
            "products_api": ProductsApi(),
            "json_files": JsonFiles(),
            "products_duckdb": DuckDBFile(),
            "docker_hub": DockerHub(),
            "github": GitHub(),
            "webhook": Webhook(),
            **resources,
        },
        # A run has a process of its own already; one more for each step costs more than a small month does.
        executor=dg.in_process_executor,
    )


defs = build_defs()
