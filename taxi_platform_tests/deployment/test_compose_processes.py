"""Tests of the processes of docker-compose.yml: health checks, a month and a backfill through restarts."""

from pathlib import Path

import psycopg
from psycopg import sql

from taxi_platform.destinations.postgres.catalog import attached
from taxi_platform.destinations.postgres.tables import parent_table
from taxi_platform.local.ports import free_port
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.deployment.conftest import MONTHS, ROWS, Deployment
from taxi_platform_tests.support.compose import Here, Service, read_compose, wait_until_healthy
from taxi_platform_tests.support.waiting import until

ASSETS = ("raw_csv", "postgres_staging", "postgres_tripdata")
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}


def rows_loaded(url: str, month: TripMonth) -> int:
    """Return how many rows of the month's file are loaded, or skipped as duplicates according to its load record."""
    with psycopg.connect(url) as connection:
        partition = attached(connection, month.colour).get(month.filename)
        if partition is None or partition.record is None:
            return 0
        query = sql.SQL("select count(*) from {} where filename = %s").format(parent_table(month.colour))
        counted = connection.execute(query, [month.filename]).fetchone()
    assert counted is not None
    return counted[0] + partition.record.rows_skipped


def test_backfill_survives_a_restart_of_every_process(
    deployment: Deployment,
) -> None:
    # One test: a second one with everything running would take another minute.
    web, month, months = deployment.web, MONTHS[0], MONTHS[1:]
    run = web.launch(month, *ASSETS)
    backfill = web.backfill(months, *ASSETS)

    until(lambda: web.run_status(run) in ENDED, "the run has ended", pause=1)
    assert web.run_status(run) == "SUCCESS", deployment.services["code-location"].said()
    assert rows_loaded(deployment.trips_url, month) == ROWS

    until(lambda: any(run["status"] == "STARTED" for run in web.runs(backfill)), "a run has started")
    for name in ("code-location", "webserver", "daemon"):
        assert web.backfill_status(backfill) == "REQUESTED", f"it has ended before the restart of {name}"
        deployment.restart(name)
    ends = ("COMPLETED", "FAIL", "CANCEL")
    until(lambda: web.backfill_status(backfill).startswith(ends), "the backfill ends", pause=1)

    runs = web.runs(backfill)
    assert web.backfill_status(backfill) == "COMPLETED_SUCCESS", runs
    assert {month: rows_loaded(deployment.trips_url, month) for month in months} == dict.fromkeys(months, ROWS)
    # The history is complete: no run is left as started, and those that the restart stopped were re-executed.
    assert {run["status"] for run in runs} <= ENDED
    stopped = {run["id"] for run in runs if run["status"] == "FAILURE"}
    assert stopped
    assert stopped <= {run["parentRunId"] for run in runs}


def test_emulators_of_the_profile_become_healthy(tmp_path: Path) -> None:
    definition = read_compose()["services"]["google-emulators"]
    here = Here(
        home=tmp_path / "home",
        ports={"9023": free_port(), "9050": free_port()},
        environment={},
        folders={"/var/lib/taxi": tmp_path / "taxi"},
    )
    emulators = Service("google-emulators", definition, here)
    emulators.start()
    try:
        wait_until_healthy(emulators)
    finally:
        emulators.stop()
