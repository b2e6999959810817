"""Rows that were reported as loaded survive a kill of the server."""

import os
import signal
from pathlib import Path

import psutil
import psycopg

from taxi_platform.destinations.postgres.merge import merge
from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.destinations.postgres.staging import stage
from taxi_platform.local.embedded_postgres import EmbeddedPostgres
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.support.trip_files import csv_text, raw_file, trip

APRIL = TripMonth.from_key("green|2020-04")


def kill(server: EmbeddedPostgres) -> None:
    """Kill all its processes at once, so that what was only in their memory is lost."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        backend = psutil.Process(connection.info.backend_pid)
        postmaster = backend.parent()
        assert postmaster is not None
        processes = [postmaster, *postmaster.children(recursive=True)]
        for process in processes:
            os.kill(process.pid, signal.SIGSTOP)
        for process in processes:
            os.kill(process.pid, signal.SIGKILL)


def test_staged_and_loaded_months_survive_kill_9(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "home" / "postgres")
    try:
        server.start()
        rows = [trip(APRIL, f"{1 + n % 30:02} {n // 60 % 24:02}:{n % 60:02}:00") for n in range(5000)]
        file = raw_file(tmp_path, APRIL, csv_text(APRIL, rows))
        postgres = Postgres(url=server.ensure_database("trips"))
        staged = stage(postgres, file)
        kill(server)
        server.start()
        assert stage(Postgres(url=server.url("trips")), file) == staged
        merged = merge(Postgres(url=server.url("trips")), APRIL)
        assert merged.changed
        kill(server)
        server.start()
        with psycopg.connect(server.url("trips")) as connection:
            found = connection.execute("select count(*), count(unique_row_id) from green_tripdata").fetchone()
        assert found == (5000, 5000)
        again = merge(Postgres(url=server.url("trips")), APRIL)
        assert (again.record, again.changed) == (merged.record, False)
    finally:
        server.remove()
