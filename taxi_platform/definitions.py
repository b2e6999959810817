"""The graph, put together; nothing else is in here."""

from typing import Any

import dagster as dg

from taxi_platform import checks
from taxi_platform.assets import postgres, source
from taxi_platform.io_managers.postgres import PostgresStagingTables, PostgresTripTables
from taxi_platform.io_managers.raw_files import RawFiles
from taxi_platform.resources.mirror import Mirror
from taxi_platform.resources.postgres import Postgres


def build_defs(**resources: Any) -> dg.Definitions:
    """The definitions, with other resources in place of those of the same key.

    The graph is the same everywhere. IO managers are made on the `mirror` and the `postgres` that are given.
    """
    server = resources.get("postgres") or Postgres()
    mirror = resources.get("mirror") or Mirror()
    return dg.Definitions(
        assets=dg.load_assets_from_modules([source, postgres]),
        asset_checks=dg.load_asset_checks_from_modules([checks]),
        resources={
            "mirror": mirror,
            "postgres": server,
            "raw_files": RawFiles(mirror=mirror),
            "postgres_staging_tables": PostgresStagingTables(postgres=server),
            "postgres_trip_tables": PostgresTripTables(postgres=server),
            **resources,
        },
        # A run has a process of its own already; one more for each step costs more than a small month does.
        executor=dg.in_process_executor,
    )


defs = build_defs()
