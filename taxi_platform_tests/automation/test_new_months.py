"""Runs that the monthly schedules and the sensor request, given what is published and what is loaded."""

import json
import socket
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from taxi_platform.automation.new_months import RESOURCE_KEYS
from taxi_platform.destinations.postgres.merge import merge
from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.destinations.postgres.staging import stage
from taxi_platform.google_cloud.connection import GoogleCloud
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.support.faulty_server import Fault, FaultyServer
from taxi_platform_tests.support.http_mirror import HttpMirror
from taxi_platform_tests.support.platform import platform_over
from taxi_platform_tests.support.trip_files import csv_text, raw_file, trip

BIGQUERY_ASSETS = [
    "gcs_bucket",
    "bigquery_dataset",
    "gcs_csv",
    "bigquery_external",
    "bigquery_monthly",
    "bigquery_tripdata",
]
POSTGRES_ASSETS = ["raw_csv", "postgres_staging", "postgres_tripdata"]


class Schedules:
    """Schedules and sensor over a mirror, TLC's own server, a database and an instance."""

    def __init__(
        self,
        mirror: HttpMirror,
        tlc: FaultyServer,
        url: str,
        instance: dg.DagsterInstance,
        folder: Path,
        parquet_url: str | None = None,
        **google: Any,
    ) -> None:
        self.mirror = mirror
        self.tlc = tlc
        self.instance = instance
        self.postgres = Postgres(url=url)
        self.defs = platform_over(
            mirror.url, folder, instance, parquet_url=parquet_url or tlc.url, postgres=self.postgres, **google
        ).defs
        self.sensor = self.defs.resolve_sensor_def("new_months_sensor")
        self._folder = folder
        resources = self.defs.resources or {}
        self._resources = {name: resources[name] for name in RESOURCE_KEYS}

    def publish(self, *keys: str) -> None:
        """Publish files of which only the presence matters."""
        for month in map(TripMonth.from_key, keys):
            if month.month > "2021-07":
                self.tlc.publish(month.parquet_name, b"PAR1")
            else:
                path = self.mirror.folder / month.colour.name / month.gz_name
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(b"gzip")

    def load(self, key: str) -> None:
        month = TripMonth.from_key(key)
        stage(self.postgres, raw_file(self._folder, month, csv_text(month, [trip(month)])))
        merge(self.postgres, month)

    def tick(self, colour: str, day: str) -> Any:
        """Evaluate a colour's schedule at 9:00 of that day."""
        at = datetime.fromisoformat(f"{day} 09:00").replace(tzinfo=ZoneInfo("America/New_York"))
        # A context that is not closed is collected during another test, which then finds its storage closed.
        with dg.build_schedule_context(
            self.instance, at, resources=self._resources, repository_def=self.defs.get_repository_def()
        ) as context:
            return self.defs.resolve_schedule_def(f"{colour}_schedule").evaluate_tick(context)

    def requested(self, colour: str, day: str) -> list[str]:
        return [request.run_key or "" for request in self.tick(colour, day).run_requests or []]

    def evaluate_sensor(self, cursor: str | None = None) -> Any:
        with dg.build_sensor_context(
            self.instance, cursor, repository_def=self.defs.get_repository_def(), resources=self._resources
        ) as context:
            return self.sensor.evaluate_tick(context)

    def add_run(
        self, key: str, status: dg.DagsterRunStatus, assets: list[str] | None = None, run_key: bool = True
    ) -> None:
        """Add a run of a month to the instance. A queued one could only be made through the daemon's queue."""
        tags = {"dagster/partition": key, **({"dagster/run_key": key} if run_key else {})}
        selection = frozenset(map(dg.AssetKey, assets)) if assets else None
        job = self.defs.resolve_job_def("load_month")
        self.instance.create_run_for_job(job, status=status, tags=tags, asset_selection=selection)


@pytest.fixture
def tlc() -> Iterator[FaultyServer]:
    with FaultyServer().running() as server:
        server.missing_status = 403
        yield server


@pytest.fixture
def schedules(mirror, tlc, postgres_url, instance, tmp_path) -> Schedules:
    return Schedules(mirror, tlc, postgres_url, instance, tmp_path)


@pytest.mark.parametrize(("name", "cron"), [("green_schedule", "0 9 1 * *"), ("yellow_schedule", "0 10 1 * *")])
def test_schedules_run_in_new_york_time_and_start_stopped(schedules, name, cron):
    schedule = schedules.defs.resolve_schedule_def(name)

    assert (schedule.cron_schedule, schedule.execution_timezone) == (cron, "America/New_York")
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    assert schedules.sensor.default_status is dg.DefaultSensorStatus.STOPPED
    assert schedules.sensor.minimum_interval_seconds == 24 * 60 * 60


def test_only_newest_month_is_requested_if_nothing_is_loaded(schedules):
    schedules.publish("green|2020-03", "green|2020-05", "yellow|2020-06")
    [request] = schedules.tick("green", "2021-07-01").run_requests

    assert (request.run_key, request.partition_key) == ("green|2020-05", "green|2020-05")
    assert [key.to_user_string() for key in request.asset_selection] == POSTGRES_ASSETS


def test_month_is_requested_for_destinations_that_lack_it(mirror, tlc, postgres_url, instance, tmp_path, emulators):
    cloud = GoogleCloud(
        project="taxi",
        bucket="taxi-lake",
        dataset="arrivals",
        storage_endpoint=emulators.storage_url,
        bigquery_endpoint=emulators.bigquery_url,
    )
    schedules = Schedules(mirror, tlc, postgres_url, instance, tmp_path, google_cloud=cloud)
    schedules.publish("green|2020-04", "green|2020-05")
    schedules.load("green|2020-04")
    [request] = schedules.tick("green", "2021-07-01").run_requests
    assert request.run_key == "green|2020-05"
    assert {key.to_user_string() for key in request.asset_selection} == {*POSTGRES_ASSETS, *BIGQUERY_ASSETS}

    schedules.load("green|2020-05")
    [request] = schedules.tick("green", "2021-07-01").run_requests
    assert {key.to_user_string() for key in request.asset_selection} == {"raw_csv", *BIGQUERY_ASSETS}


def test_newer_months_are_requested_and_older_gaps_are_not(schedules):
    schedules.publish("green|2020-03", "green|2020-04", "green|2020-06", "green|2021-07", "green|2021-09")
    schedules.load("green|2020-01")
    schedules.load("green|2020-04")

    assert schedules.requested("green", "2021-12-01") == ["green|2020-06", "green|2021-07", "green|2021-09"]
    assert schedules.requested("yellow", "2021-12-01") == []


def test_only_months_that_have_ended_are_requested(schedules):
    schedules.publish("green|2020-03", "green|2020-04", "green|2020-05")

    assert schedules.requested("green", "2020-05-01") == ["green|2020-04"]
    assert schedules.requested("green", "2020-06-01") == ["green|2020-05"]


def test_schedule_skips_if_nothing_is_new(schedules):
    schedules.publish("green|2020-04")
    schedules.load("green|2020-04")

    assert schedules.tick("green", "2021-07-01").skip_message == (
        "No green month is published that is newer than what is loaded."
    )


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED])
@pytest.mark.parametrize("assets", [POSTGRES_ASSETS, None])
def test_month_with_unfinished_run_is_not_requested(schedules, status, assets):
    schedules.publish("green|2020-05", "green|2020-06")
    schedules.load("green|2020-04")
    schedules.add_run("green|2020-05", status, assets, run_key=False)

    assert schedules.requested("green", "2021-07-01") == ["green|2020-06"]
    schedules.add_run("green|2020-06", status, assets, run_key=False)
    assert (
        schedules.tick("green", "2021-07-01").skip_message == "A run was already requested for green 2020-05, 2020-06."
    )


def test_runs_that_ended_or_load_no_table_do_not_count(schedules):
    schedules.publish("green|2020-05")
    schedules.add_run("green|2020-05", dg.DagsterRunStatus.STARTED, ["raw_csv"])
    schedules.add_run("green|2020-05", dg.DagsterRunStatus.FAILURE, POSTGRES_ASSETS)
    schedules.add_run("yellow|2020-05", dg.DagsterRunStatus.STARTED, POSTGRES_ASSETS)

    assert schedules.requested("green", "2021-07-01") == ["green|2020-05"]


@pytest.mark.parametrize("status", [400, 401, 410])
def test_schedule_skips_if_the_source_refuses(schedules, tlc, status):
    schedules.publish("green|2021-08")
    schedules.load("green|2021-07")
    tlc.faults = [Fault(status=status)] * 100

    assert "not known whether green|2021-08 is published" in schedules.tick("green", "2023-07-01").skip_message


def test_schedule_stops_probing_a_source_with_errors(schedules, tlc):
    schedules.publish("green|2020-05")
    tlc.faults = [Fault(status=503)] * 100
    skipped = schedules.tick("green", "2023-07-01").skip_message

    assert skipped.startswith("The source did not respond, so it is not known whether green|2023-01 is published")
    assert len(tlc.requests) <= 8


def test_schedule_skips_if_the_source_hangs(mirror, tlc, postgres_url, instance, tmp_path, monkeypatch):
    monkeypatch.setattr("taxi_platform.source.mirror._LOOKUP_TIMEOUT", (0.3, 0.3))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        schedules = Schedules(
            mirror, tlc, postgres_url, instance, tmp_path, f"http://127.0.0.1:{listening.getsockname()[1]}"
        )
        schedules.load("green|2021-07")

        assert "not known whether green|2021-08 is published" in schedules.tick("green", "2023-07-01").skip_message


def test_known_months_are_requested_if_later_ones_are_unknown(schedules, tlc):
    schedules.publish("green|2020-05", "green|2021-09")
    schedules.load("green|2020-04")
    tlc.faults = [Fault(status=500)] * 100

    assert schedules.requested("green", "2023-07-01") == ["green|2020-05"]


def test_schedule_and_sensor_skip_if_the_database_is_down(mirror, tlc, instance, tmp_path):
    schedules = Schedules(mirror, tlc, "postgresql://taxi@127.0.0.1:9/ny_taxi", instance, tmp_path)
    schedules.publish("green|2020-05")

    assert "Postgres does not respond" in (schedules.tick("green", "2021-07-01").skip_message or "")
    assert "Postgres does not respond" in (schedules.evaluate_sensor().skip_message or "")


def keys(data) -> list[str]:
    return [request.run_key for request in data.run_requests or []]


def test_sensor_requests_each_new_month_once(schedules, tlc):
    schedules.publish("green|2021-06", "yellow|2021-05", "green|2021-09")
    schedules.load("green|2021-05")
    first = schedules.evaluate_sensor()
    assert keys(first) == ["yellow|2021-05", "green|2021-06", "green|2021-09"]
    assert json.loads(first.cursor) == {"green": "2021-09", "yellow": "2021-05"}

    schedules.publish("green|2021-10")
    second = schedules.evaluate_sensor(first.cursor)
    assert keys(second) == ["green|2021-10"]

    tlc.requests.clear()
    third = schedules.evaluate_sensor(second.cursor)
    assert (keys(third), third.cursor) == ([], second.cursor)
    assert "/green_tripdata_2021-10.parquet" not in [path for path, _ in tlc.requests]


def test_sensor_and_schedule_share_run_keys(schedules):
    schedules.publish("green|2020-05")
    [asked] = schedules.evaluate_sensor().run_requests
    [scheduled] = schedules.tick("green", "2021-07-01").run_requests
    assert (asked.run_key, asked.asset_selection) == (scheduled.run_key, scheduled.asset_selection)

    schedules.add_run("green|2020-05", dg.DagsterRunStatus.NOT_STARTED, POSTGRES_ASSETS)
    assert schedules.requested("green", "2021-07-01") == []
    assert keys(schedules.evaluate_sensor()) == []


def test_sensor_does_not_repeat_failed_runs(schedules):
    schedules.publish("green|2020-05")
    schedules.add_run("green|2020-05", dg.DagsterRunStatus.FAILURE, POSTGRES_ASSETS)
    data = schedules.evaluate_sensor()

    assert keys(data) == []
    assert "A run was already requested for green 2020-05." in (data.skip_message or "")


def test_sensor_keeps_its_cursor_while_the_source_is_down(schedules, tlc):
    schedules.publish("green|2021-09")
    schedules.load("green|2021-08")
    tlc.faults = [Fault(status=503)] * 100
    data = schedules.evaluate_sensor('{"yellow": "2021-08"}')

    assert keys(data) == []
    assert json.loads(data.cursor or "") == {"yellow": "2021-08"}
    assert "it is not known whether green|2021-09 is published" in (data.skip_message or "")
    tlc.faults = []
    assert keys(schedules.evaluate_sensor(data.cursor)) == ["green|2021-09"]
