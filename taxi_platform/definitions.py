"""The graph, put together; nothing else is in here."""

from typing import Any

import dagster as dg

from taxi_platform import checks
from taxi_platform.assets import getting_started, postgres, source
from taxi_platform.io_managers.json_files import JsonFiles
from taxi_platform.io_managers.postgres import PostgresStagingTables, PostgresTripTables
from taxi_platform.io_managers.raw_files import RawFiles
from taxi_platform.jobs import hello_world, load_month, statistics
from taxi_platform.resources.duckdb_file import DuckDBFile
from taxi_platform.resources.mirror import Mirror
from taxi_platform.resources.postgres import Postgres
from taxi_platform.resources.products import ProductsApi
from taxi_platform.resources.statistics import DockerHub, GitHub
from taxi_platform.resources.webhook import Webhook
from taxi_platform.schedules import green_schedule, hello_schedule, statistics_schedule, yellow_schedule
from taxi_platform.sensors import new_months_sensor


def build_defs(**resources: Any) -> dg.Definitions:
    """The definitions, with other resources in place of those of the same key.

    The graph is the same everywhere. IO managers are made on the `mirror` and the `postgres` that are given.
    """
    server = resources.get("postgres") or Postgres()
    mirror = resources.get("mirror") or Mirror()
    return dg.Definitions(
        assets=dg.load_assets_from_modules([source, postgres, getting_started]),
        asset_checks=dg.load_asset_checks_from_modules([checks]),
        jobs=[load_month, hello_world, statistics],
        schedules=[green_schedule, yellow_schedule, hello_schedule, statistics_schedule],
        sensors=[new_months_sensor],
        resources={
            "mirror": mirror,
            "postgres": server,
            "raw_files": RawFiles(mirror=mirror),
            "postgres_staging_tables": PostgresStagingTables(postgres=server),
            "postgres_trip_tables": PostgresTripTables(postgres=server),
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
