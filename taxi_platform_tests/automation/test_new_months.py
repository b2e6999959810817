"""Which runs the monthly schedules and the sensor ask for: of real servers, at given times."""

import json
import socket
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from taxi_platform.definitions import build_defs
from taxi_platform.destinations.postgres.merge import merge
from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.destinations.postgres.staging import stage
from taxi_platform.destinations.registry import resource_keys
from taxi_platform.google_cloud.resources import GoogleBigQuery, GoogleStorage
from taxi_platform.local.emulators.servers import Emulators
from taxi_platform.source.mirror import Mirror
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.support.faulty_server import Fault, FaultyServer
from taxi_platform_tests.support.http_mirror import HttpMirror
from taxi_platform_tests.support.trip_files import csv_text, raw_file, trip

GCP_LEG = ["gcs_bucket", "bigquery_dataset", "gcs_csv", "bigquery_external", "bigquery_monthly", "bigquery_tripdata"]
POSTGRES_LEG = ["raw_csv", "postgres_staging", "postgres_tripdata"]


class Platform:
    """The definitions over a mirror, TLC's own server and a database, with an instance of their own."""

    def __init__(
        self,
        mirror: HttpMirror,
        tlc: FaultyServer,
        url: str,
        instance: dg.DagsterInstance,
        folder: Path,
        parquet_url: str | None = None,
        google: Emulators | None = None,
    ) -> None:
        self.mirror = mirror
        self.tlc = tlc
        self.instance = instance
        self.postgres = Postgres(url=url)
        self.defs = build_defs(
            mirror=Mirror(base_url=mirror.url, parquet_url=parquet_url or tlc.url),
            postgres=self.postgres,
            gcs=GoogleStorage(project="taxi", bucket="taxi-lake", endpoint=google.storage_url)
            if google
            else GoogleStorage(),
            bigquery=GoogleBigQuery(project="taxi", dataset="arrivals", endpoint=google.bigquery_url)
            if google
            else GoogleBigQuery(),
        )
        self.sensor = self.defs.resolve_sensor_def("new_months_sensor")
        self._folder = folder
        resources = self.defs.resources or {}
        self._resources = {name: resources[name] for name in ("mirror", *resource_keys())}

    def publish(self, *keys: str) -> None:
        """Only that a file is there is asked."""
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
        at = datetime.fromisoformat(f"{day} 09:00").replace(tzinfo=ZoneInfo("America/New_York"))
        # A context has an instance of its own. One that is not closed would be collected in another test, and leave
        # Dagster with the storage of an instance that is gone.
        with dg.build_schedule_context(
            self.instance, at, resources=self._resources, repository_def=self.defs.get_repository_def()
        ) as context:
            return self.defs.resolve_schedule_def(f"{colour}_schedule").evaluate_tick(context)

    def asked(self, colour: str, day: str) -> list[str]:
        return [request.run_key or "" for request in self.tick(colour, day).run_requests or []]

    def look(self, cursor: str | None = None) -> Any:
        with dg.build_sensor_context(
            self.instance, cursor, repository_def=self.defs.get_repository_def(), resources=self._resources
        ) as context:
            return self.sensor.evaluate_tick(context)

    def run(self, key: str, status: dg.DagsterRunStatus, assets: list[str] | None = None, run_key: bool = True) -> None:
        """A run of a month in the instance. (One that is queued can only be made through the daemon's queue.)"""
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
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        yield instance


@pytest.fixture
def platform(mirror, tlc, postgres_url, instance, tmp_path) -> Platform:
    return Platform(mirror, tlc, postgres_url, instance, tmp_path)


@pytest.mark.parametrize(("name", "cron"), [("green_schedule", "0 9 1 * *"), ("yellow_schedule", "0 10 1 * *")])
def test_each_colour_has_its_schedule_in_new_york_s_time_off_until_switched_on(platform, name, cron):
    schedule = platform.defs.resolve_schedule_def(name)

    assert (schedule.cron_schedule, schedule.execution_timezone) == (cron, "America/New_York")
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    assert platform.sensor.default_status is dg.DefaultSensorStatus.STOPPED
    assert platform.sensor.minimum_interval_seconds == 24 * 60 * 60


def test_with_nothing_loaded_only_the_newest_published_month_is_asked_for(platform):
    platform.publish("green|2020-03", "green|2020-05", "yellow|2020-06")
    [request] = platform.tick("green", "2021-07-01").run_requests

    assert (request.run_key, request.partition_key) == ("green|2020-05", "green|2020-05")
    assert [key.to_user_string() for key in request.asset_selection] == POSTGRES_LEG


def test_a_month_is_asked_for_in_the_destinations_that_lack_it(
    mirror, tlc, postgres_url, instance, tmp_path, emulators
):
    """With Google Cloud set up, both legs are looked at, each by its own record."""
    platform = Platform(mirror, tlc, postgres_url, instance, tmp_path, google=emulators)
    platform.publish("green|2020-04", "green|2020-05")
    platform.load("green|2020-04")
    [request] = platform.tick("green", "2021-07-01").run_requests
    assert request.run_key == "green|2020-05"
    assert {key.to_user_string() for key in request.asset_selection} == {*POSTGRES_LEG, *GCP_LEG}

    platform.load("green|2020-05")
    [request] = platform.tick("green", "2021-07-01").run_requests
    assert {key.to_user_string() for key in request.asset_selection} == {"raw_csv", *GCP_LEG}


def test_the_months_newer_than_the_newest_loaded_one_are_asked_for_and_older_gaps_are_not(platform):
    platform.publish("green|2020-03", "green|2020-04", "green|2020-06", "green|2021-07", "green|2021-09")
    platform.load("green|2020-01")
    platform.load("green|2020-04")

    assert platform.asked("green", "2021-12-01") == ["green|2020-06", "green|2021-07", "green|2021-09"]
    assert platform.asked("yellow", "2021-12-01") == []


def test_only_months_that_have_ended_by_then_are_asked_for(platform):
    platform.publish("green|2020-03", "green|2020-04", "green|2020-05")

    assert platform.asked("green", "2020-05-01") == ["green|2020-04"]
    assert platform.asked("green", "2020-06-01") == ["green|2020-05"]


def test_nothing_new_is_a_skip_that_says_so(platform):
    platform.publish("green|2020-04")
    platform.load("green|2020-04")

    assert platform.tick("green", "2021-07-01").skip_message == (
        "No green month is published that is newer than what is loaded."
    )


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED])
@pytest.mark.parametrize("assets", [POSTGRES_LEG, None])
def test_a_month_that_is_queued_or_running_is_not_asked_for_again(platform, status, assets):
    platform.publish("green|2020-05", "green|2020-06")
    platform.load("green|2020-04")
    platform.run("green|2020-05", status, assets, run_key=False)

    assert platform.asked("green", "2021-07-01") == ["green|2020-06"]
    platform.run("green|2020-06", status, assets, run_key=False)
    assert (
        platform.tick("green", "2021-07-01").skip_message == "A run was already requested for green 2020-05, 2020-06."
    )


def test_a_run_that_loads_no_table_or_has_ended_does_not_count(platform):
    platform.publish("green|2020-05")
    platform.run("green|2020-05", dg.DagsterRunStatus.STARTED, ["raw_csv"])
    platform.run("green|2020-05", dg.DagsterRunStatus.FAILURE, POSTGRES_LEG)
    platform.run("yellow|2020-05", dg.DagsterRunStatus.STARTED, POSTGRES_LEG)

    assert platform.asked("green", "2021-07-01") == ["green|2020-05"]


@pytest.mark.parametrize("status", [400, 401, 410])
def test_a_source_that_refuses_is_a_skip_and_not_a_source_without_months(platform, tlc, status):
    platform.publish("green|2021-08")
    platform.load("green|2021-07")
    tlc.faults = [Fault(status=status)] * 100

    assert "did not say whether green|2021-08 is published" in platform.tick("green", "2023-07-01").skip_message


def test_a_source_with_an_error_is_a_skip_and_no_more_is_asked_of_it(platform, tlc):
    platform.publish("green|2020-05")
    tlc.faults = [Fault(status=503)] * 100
    skipped = platform.tick("green", "2023-07-01").skip_message

    assert skipped.startswith("The source did not say whether green|2023-01 is published")
    assert len(tlc.requests) <= 8


def test_a_source_that_hangs_is_a_skip_after_a_bounded_time(mirror, tlc, postgres_url, instance, tmp_path, monkeypatch):
    monkeypatch.setattr("taxi_platform.source.mirror._PROBE_TIMEOUT", (0.3, 0.3))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        platform = Platform(
            mirror, tlc, postgres_url, instance, tmp_path, f"http://127.0.0.1:{listening.getsockname()[1]}"
        )
        platform.load("green|2021-07")

        assert "did not say whether green|2021-08 is published" in platform.tick("green", "2023-07-01").skip_message


def test_what_is_known_is_asked_for_when_a_later_month_is_not(platform, tlc):
    platform.publish("green|2020-05", "green|2021-09")
    platform.load("green|2020-04")
    tlc.faults = [Fault(status=500)] * 100

    assert platform.asked("green", "2023-07-01") == ["green|2020-05"]


def test_a_database_that_does_not_answer_is_a_skip(mirror, tlc, instance, tmp_path):
    platform = Platform(mirror, tlc, "postgresql://taxi@127.0.0.1:9/ny_taxi", instance, tmp_path)
    platform.publish("green|2020-05")

    assert "Postgres does not answer" in (platform.tick("green", "2021-07-01").skip_message or "")
    assert "Postgres does not answer" in (platform.look().skip_message or "")


def keys(data) -> list[str]:
    return [request.run_key for request in data.run_requests or []]


def test_the_sensor_asks_for_each_month_that_appears_once(platform, tlc):
    platform.publish("green|2021-06", "yellow|2021-05", "green|2021-09")
    platform.load("green|2021-05")
    first = platform.look()
    assert keys(first) == ["yellow|2021-05", "green|2021-06", "green|2021-09"]
    assert json.loads(first.cursor) == {"green": "2021-09", "yellow": "2021-05"}

    platform.publish("green|2021-10")
    second = platform.look(first.cursor)
    assert keys(second) == ["green|2021-10"]

    tlc.requests.clear()
    third = platform.look(second.cursor)
    assert (keys(third), third.cursor) == ([], second.cursor)
    assert "/green_tripdata_2021-10.parquet" not in [path for path, _ in tlc.requests]


def test_sensor_and_schedule_ask_with_one_run_key_and_never_both(platform):
    platform.publish("green|2020-05")
    [asked] = platform.look().run_requests
    [scheduled] = platform.tick("green", "2021-07-01").run_requests
    assert (asked.run_key, asked.asset_selection) == (scheduled.run_key, scheduled.asset_selection)

    platform.run("green|2020-05", dg.DagsterRunStatus.NOT_STARTED, POSTGRES_LEG)
    assert platform.asked("green", "2021-07-01") == []
    assert keys(platform.look()) == []


def test_the_sensor_does_not_ask_again_for_a_month_whose_run_failed(platform):
    platform.publish("green|2020-05")
    platform.run("green|2020-05", dg.DagsterRunStatus.FAILURE, POSTGRES_LEG)
    data = platform.look()

    assert keys(data) == []
    assert "A run was already requested for green 2020-05." in (data.skip_message or "")


def test_the_sensor_forgets_nothing_while_the_source_is_down(platform, tlc):
    platform.publish("green|2021-09")
    platform.load("green|2021-08")
    tlc.faults = [Fault(status=503)] * 100
    data = platform.look('{"yellow": "2021-08"}')

    assert keys(data) == []
    assert json.loads(data.cursor or "") == {"yellow": "2021-08"}
    assert "did not say whether green|2021-09 is published" in (data.skip_message or "")
    tlc.faults = []
    assert keys(platform.look(data.cursor)) == ["green|2021-09"]
