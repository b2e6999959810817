"""Test of backup and restore as docs/deploy.md describes them."""

import os
import subprocess
from pathlib import Path

from taxi_platform.destinations.postgres.catalog import attached
from taxi_platform.destinations.postgres.merge import merge
from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.destinations.postgres.staging import stage
from taxi_platform.local.embedded_postgres import EmbeddedPostgres
from taxi_platform.local.server_account import wheel_programs
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.conftest import new_database
from taxi_platform_tests.deployment.conftest import as_user, run_script
from taxi_platform_tests.support.compose import REPO, read_compose
from taxi_platform_tests.support.trip_files import csv_text, raw_file, trip


def run(program: str, *arguments: str) -> None:
    done = subprocess.run(
        [str(wheel_programs() / program), *arguments], env={**os.environ}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_restored_dump_has_rows_records_and_privileges(databases: EmbeddedPostgres, tmp_path: Path) -> None:
    month, dump = TripMonth.from_key("green|2020-03"), str(tmp_path / "trips.dump")
    file = raw_file(tmp_path, month, csv_text(month, [trip(month, "01 10:00:00"), trip(month, "02 10:00:00")]))
    settings = read_compose()["services"]["trips-db"]["environment"]
    server = databases.url("postgres")
    with new_database(server) as before, new_database(server) as after:
        for url in (before, after):
            run_script(url, REPO / "deploy/postgres/trips.sql", settings)
        platform = Postgres(url=as_user(before, "taxi_loader", "loader"))
        stage(platform, file)
        merge(platform, month)
        with platform.connect("test") as connection:
            record = attached(connection, month.colour)[month.filename].record

        run("pg_dump", "--dbname", before, "--format", "custom", "--file", dump)
        run("pg_restore", "--dbname", after, "--clean", "--if-exists", dump)

        restored = Postgres(url=as_user(after, "taxi_loader", "loader"))
        with Postgres(url=as_user(after, "taxi_reader", "reader")).connect("test") as connection:
            assert connection.execute("select count(*) from green_tripdata").fetchone() == (2,)
        with restored.connect("test") as connection:
            assert attached(connection, month.colour)[month.filename].record == record
        # The month counts as loaded, and can be replaced.
        assert stage(restored, file).is_loaded
        newer = raw_file(tmp_path, month, csv_text(month, [trip(month, "03 10:00:00")]))
        stage(restored, newer)
        assert merge(restored, month).changed
