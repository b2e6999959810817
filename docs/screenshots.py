"""Make the README's pictures.

    python -m docs.screenshots backfill http://127.0.0.1:3000

loads four green months of 2020 as a backfill with the mouse, while `make dev` runs there, and photographs the page.

    python -m docs.screenshots report https://github.com/DataTalksClub/nyc-tlc-data/releases/download

loads the green months of 2020 that this mirror has (a URL, or a folder) into a database of its own, builds their marts
and keeps the report's picture.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import dagster as dg

from taxi_platform.analytics.definitions import MARTS
from taxi_platform.analytics.report.asset import make_report
from taxi_platform.definitions import build_defs
from taxi_platform.demo.marts import build_marts
from taxi_platform.destinations.base import SOURCE
from taxi_platform.destinations.postgres.destination import POSTGRES
from taxi_platform.local.embedded_postgres import EmbeddedPostgres
from taxi_platform.trips.columns import GREEN
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.support.browser import POSTGRES_ASSETS, browser, find_programs

IMAGES = Path(__file__).parent / "images"


def backfill(url: str) -> None:
    """Photograph a backfill in the web interface."""
    programs = find_programs()
    if programs is None:
        raise SystemExit("chromium and chromedriver are not on the PATH; on Debian: chromium, chromium-driver")
    with browser(programs, url) as window:
        window.show_graph(POSTGRES_ASSETS)
        window.launch_backfill("green", "[2020-03...2020-06]")
        window.find("//*[contains(., '100% completed')]")
        window.dismiss_message()
        window.photograph(IMAGES / "backfill.png")


def report(mirror: str) -> None:
    """Make the report of the green months of 2020, and copy its picture."""
    with (
        tempfile.TemporaryDirectory(prefix="taxi-platform-report-") as name,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        server = EmbeddedPostgres(Path(name) / "postgres")
        server.start()
        try:
            os.environ |= {
                "TAXI_HOME": name,
                "TAXI_SOURCE_URL": mirror if "://" in mirror else Path(mirror).absolute().as_uri(),
                "TAXI_POSTGRES_URL": server.ensure_database(),
            }
            job = build_defs().resolve_job_def("load_month")
            for number in range(1, 13):
                month = TripMonth(GREEN, f"2020-{number:02}")
                loaded = job.execute_in_process(
                    partition_key=month.key,
                    asset_selection=[SOURCE, *POSTGRES.keys_of_table],
                    instance=instance,
                    raise_on_error=False,
                )
                print(f"{month}: {'loaded' if loaded.success else 'not loaded'}", file=sys.stderr)
            build_marts(POSTGRES, instance)
            (marts,) = (each for each in MARTS if each.destination is POSTGRES)
            made = make_report(marts, POSTGRES.resources({}))
            shutil.copyfile(made.picture, IMAGES / "report.png")
            print(f"{made.trips:,} trips of {made.months} months: {IMAGES / 'report.png'}")
        finally:
            server.remove()


if __name__ == "__main__":
    {"backfill": backfill, "report": report}[sys.argv[1]](sys.argv[2])
