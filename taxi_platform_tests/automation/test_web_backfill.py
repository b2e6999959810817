"""Backfills of real months in the web interface, run by the daemon."""

import gzip
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from taxi_platform.destinations.postgres.ensure import ensure_tables
from taxi_platform.local.embedded_postgres import EmbeddedPostgres
from taxi_platform.trips.columns import GREEN, YELLOW
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.conftest import REPO, new_database
from taxi_platform_tests.support import http_mirror
from taxi_platform_tests.support.browser import POSTGRES_ASSETS, Browser, browser, find_programs
from taxi_platform_tests.support.graphql import Webserver
from taxi_platform_tests.support.waiting import until
from taxi_platform_tests.support.web_interface import web_interface

ASSETS = ("raw_csv", "postgres_staging", "postgres_tripdata")
SESSIONS = "from pg_stat_activity where application_name like 'taxi_platform%' and datname = current_database()"

_RUNS = """
query ($tag: String!, $id: String!) {
  runsOrError(filter: { tags: [{ key: $tag, value: $id }] }) {
    ... on Runs { results { runId status eventConnection { events { ... on MessageEvent { message } } } } }
  }
}
"""


@dataclass(frozen=True)
class WebPlatform:
    """The web interface over the real files, and the database that its runs load."""

    web: Webserver
    url: str

    def runs(self, backfill: str) -> list[dict[str, Any]]:
        return self.web.query(_RUNS, tag="dagster/backfill", id=backfill)["runsOrError"]["results"]

    def rows(self) -> dict[str, int]:
        """Return the rows in the table by file."""
        with psycopg.connect(self.url) as connection:
            if connection.execute("select to_regclass('public.green_tripdata')").fetchone() == (None,):
                return {}
            return dict(connection.execute("select filename, count(*) from green_tripdata group by 1").fetchall())


@pytest.fixture(scope="module")
def platform(
    real_files: Path, embedded: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WebPlatform]:
    folder = tmp_path_factory.mktemp("web")
    server = embedded.start()
    with new_database(server) as url, new_database(server) as history, http_mirror.serve(real_files) as mirror:
        settings = {"TAXI_SOURCE_URL": mirror.url, "TAXI_POSTGRES_URL": url, "TAXI_ALERT_WEBHOOK": ""}
        with web_interface(folder, history, settings) as web:
            yield WebPlatform(web, url)


def worker_of(run: dict[str, Any]) -> int | None:
    """Return the process of a run whose first step has started."""
    messages = [event.get("message") or "" for event in run["eventConnection"]["events"]]
    if not any(message.startswith("Started execution of step") for message in messages):
        return None
    found = [match for message in messages if (match := re.search(r"\(pid: (\d+)\)", message))]
    return int(found[0][1]) if found else None


def test_documented_http_request_starts_a_run(platform):
    text = (REPO / "docs" / "from-kestra.md").read_text("utf-8")
    command = (
        text.split("## Start a run over HTTP")[1].split("```")[1].replace("http://127.0.0.1:3000", platform.web.url)
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    started = json.loads(done.stdout)["data"]["launchRun"]
    assert started["__typename"] == "LaunchRunSuccess", started
    until(lambda: platform.web.run_status(started["run"]["runId"]) in ("SUCCESS", "FAILURE"))
    assert platform.web.run_status(started["run"]["runId"]) == "SUCCESS"
    assert platform.rows()["green_tripdata_2020-04.csv"] == 35_612


def test_backfill_is_complete_after_a_killed_run(platform, real_files):
    files = sorted((real_files / "green").glob("*.csv.gz"), key=lambda path: path.stat().st_size)[:5]
    backfill = platform.web.backfill([TripMonth(GREEN, path.name[15:22]) for path in files], *ASSETS)

    def kill_one() -> int | None:
        running = [run for run in platform.runs(backfill) if run["status"] == "STARTED"]
        workers = [worker for worker in map(worker_of, running) if worker]
        for worker in workers[:1]:
            os.kill(worker, signal.SIGKILL)
        return next(iter(workers), None)

    until(kill_one)
    until(lambda: platform.web.backfill_status(backfill).startswith("COMPLETED"), pause=1)
    runs = platform.runs(backfill)

    assert platform.web.backfill_status(backfill) == "COMPLETED_SUCCESS"
    assert sorted(run["status"] for run in runs) == sorted(["FAILURE", *["SUCCESS"] * len(files)])
    rows = platform.rows()
    for path in files:
        with gzip.open(path) as lines:
            assert rows[path.name.removesuffix(".gz")] == sum(1 for _ in lines) - 1


def test_cancelled_backfill_releases_its_locks(platform, real_files):
    """Runs that wait for a lock end, with their database sessions, and the month can be loaded again."""
    months = [TripMonth(YELLOW, path.name[16:23]) for path in sorted((real_files / "yellow").glob("*.csv.gz"))][:4]
    connect = partial(psycopg.connect, platform.url, autocommit=True)
    with connect() as somebody, connect() as watcher:
        ensure_tables(somebody, YELLOW)
        with somebody.transaction():
            somebody.execute("lock table only yellow_tripdata in share update exclusive mode")
            backfill = platform.web.backfill(months, *ASSETS)
            until(lambda: watcher.execute(f"select 1 {SESSIONS} and wait_event_type = 'Lock'").fetchall())
            platform.web.cancel_backfill(backfill)
            until(lambda: platform.web.backfill_status(backfill) == "CANCELED")
            until(lambda: not watcher.execute(f"select 1 {SESSIONS}").fetchall())

        assert {run["status"] for run in platform.runs(backfill)} == {"CANCELED"}
        assert somebody.execute("select count(*) from yellow_tripdata").fetchall() == [(0,)]
        again = platform.web.launch(months[0], *ASSETS)
        until(lambda: platform.web.run_status(again) not in ("QUEUED", "NOT_STARTED", "STARTING", "STARTED"))
        assert platform.web.run_status(again) == "SUCCESS"
        assert somebody.execute("select count(*) from yellow_tripdata").fetchall() == [(10_000,)]


@pytest.fixture
def window(platform: WebPlatform) -> Iterator[Browser]:
    programs = find_programs()
    if programs is None:
        pytest.skip("no browser on this machine: chromium and chromedriver are not on the PATH")
    with browser(programs, platform.web.url) as window:
        yield window


def test_backfill_is_launched_with_the_mouse(platform, window, tmp_path):
    window.show_graph(POSTGRES_ASSETS)
    window.expand()
    backfill = window.launch_backfill("green", "[2020-04...2020-05]")
    until(lambda: platform.web.backfill_status(backfill).startswith("COMPLETED"), pause=1)
    window.find("//*[contains(., '100% completed')]")

    assert platform.web.backfill_status(backfill) == "COMPLETED_SUCCESS"
    assert len(platform.runs(backfill)) == 2
    rows = platform.rows()
    assert (rows["green_tripdata_2020-04.csv"], rows["green_tripdata_2020-05.csv"]) == (35_612, 57_360)
