"""Requests and seconds of a month's load into BigQuery, against the emulators.

The emulators respond in milliseconds, so the seconds are not Google's. The numbers of requests are, and each request
is a round trip there.
"""

import logging
import time

import dagster as dg

from benchmarks.figures import Bench, Figure
from benchmarks.journey import tiny_months
from taxi_platform.destinations.bigquery.destination import BIGQUERY
from taxi_platform.google_cloud.connection import GoogleCloud
from taxi_platform.local.emulators.servers import running
from taxi_platform_tests.support import http_mirror
from taxi_platform_tests.support.platform import platform_over
from taxi_platform_tests.support.unreliable_google import in_front_of

_GROUP = "BigQuery, months of 10,000 rows"
_MONTHS = 4


def bigquery(bench: Bench) -> list[Figure]:
    """Load months one after another, with their checks; count the requests to Google of the first and of the others."""
    work = tiny_months(bench, _MONTHS)
    with (
        http_mirror.serve(work.folder) as served,
        running(bench.folder / "emulators") as emulators,
        in_front_of(emulators.storage_url) as storage,
        in_front_of(emulators.bigquery_url) as warehouse,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        cloud = GoogleCloud(
            project="test-project",
            bucket="bench",
            dataset="bench",
            location="us-central1",
            storage_endpoint=storage.url,
            bigquery_endpoint=warehouse.url,
        )
        platform = platform_over(served.url, bench.folder / "bigquery", instance, google_cloud=cloud)
        assets = platform.upstream_of(BIGQUERY.table.to_user_string())
        logging.disable()
        for number, month in enumerate(work.months):
            before, began = len(storage.requests) + len(warehouse.requests), time.monotonic()
            result = platform.run(month, *assets)
            if not result.success:
                raise RuntimeError(platform.log(result))
            name = "further month" if number else "first month"
            bench.note(_GROUP, f"{name}, requests", len(storage.requests) + len(warehouse.requests) - before)
            bench.note(_GROUP, f"{name}, seconds", time.monotonic() - began)
        logging.disable(logging.NOTSET)
    return [
        Figure(f"requests to Google, {name}", bench.median(_GROUP, f"{name}, requests"), "")
        for name in ("first month", "further month")
    ]
