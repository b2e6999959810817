"""The tutorial's definitions, which the platform merges with its own.

To remove the tutorial, delete this folder and what `taxi_platform/definitions.py` and `taxi_platform/demo/` import
from it.
"""

from typing import TypedDict

import dagster as dg

from taxi_platform.getting_started import products, statistics
from taxi_platform.getting_started.duckdb_file import DuckDBFile
from taxi_platform.getting_started.jobs import hello_world, statistics_job
from taxi_platform.getting_started.json_files import JsonFiles
from taxi_platform.getting_started.products_api import ProductsApi
from taxi_platform.getting_started.schedules import hello_schedule, statistics_schedule
from taxi_platform.getting_started.statistics import DockerHub, GitHub

GROUP = "getting_started"


class TutorialResources(TypedDict, total=False):
    """The tutorial's resources and IO manager, by key. It also uses the platform's `webhook`."""

    products_api: ProductsApi
    json_files: JsonFiles
    products_duckdb: DuckDBFile
    docker_hub: DockerHub
    github: GitHub


def tutorial_defs(given: TutorialResources) -> dg.Definitions:
    """Return the tutorial's definitions, with the given resources in place of those of the same key."""
    defaults: TutorialResources = {
        "products_api": ProductsApi(),
        "json_files": JsonFiles(),
        "products_duckdb": DuckDBFile(),
        "docker_hub": DockerHub(),
        "github": GitHub(),
    }
    return dg.Definitions(
        assets=dg.load_assets_from_modules([products, statistics], group_name=GROUP),
        jobs=[hello_world, statistics_job],
        schedules=[hello_schedule, statistics_schedule],
        resources={key: given.get(key, default) for key, default in defaults.items()},
    )
