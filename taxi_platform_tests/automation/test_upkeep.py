"""Alerts, freshness and purge, run by Dagster against real servers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from taxi_platform.automation.sensors import failed_run_sensor
from taxi_platform.definitions import build_defs
from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.redaction import without_secrets
from taxi_platform.source.file_store import RawFiles
from taxi_platform.source.mirror import Mirror
from taxi_platform.trips.partitions import TripMonth
from taxi_platform.webhook import Webhook
from taxi_platform_tests.support.api_server import Answer, api_server
from taxi_platform_tests.support.http_mirror import HttpMirror
from taxi_platform_tests.support.trip_files import csv_text, publish, trip

MARCH = TripMonth.from_key("green|2020-03")
APRIL = TripMonth.from_key("green|2020-04")
LEG = [dg.AssetKey(name) for name in ("raw_csv", "postgres_staging", "postgres_tripdata")]


class Platform:
    """The definitions over a mirror and a database, with an instance and a folder of their own."""

    def __init__(self, mirror: HttpMirror, url: str, instance: dg.DagsterInstance, folder: Path) -> None:
        source = Mirror(base_url=mirror.url, parquet_url=f"{mirror.url}/tlc", attempts=1)
        self.files = RawFiles(mirror=source, folder=str(folder / "raw"))
        self.defs = build_defs(mirror=source, postgres=Postgres(url=url), raw_files=self.files)
        self.instance = instance

    def run(self, job: str, month: TripMonth | None = None, assets: list[dg.AssetKey] | None = None) -> Any:
        return self.defs.resolve_job_def(job).execute_in_process(
            partition_key=month and month.key, asset_selection=assets, instance=self.instance, raise_on_error=False
        )


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        yield instance


@pytest.fixture
def platform(mirror, postgres_url, instance, tmp_path, monkeypatch) -> Platform:
    for name in ("GCP_PROJECT_ID", "GCP_BUCKET_NAME"):
        monkeypatch.delenv(name, raising=False)
    for month in (MARCH, APRIL):
        publish(mirror.folder, month, csv_text(month, [trip(month), trip(month, "02 00:00:00")]))
    return Platform(mirror, postgres_url, instance, tmp_path)


def error_of(result: Any) -> str:
    [failure] = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    return failure.step_failure_data.user_failure_data.description


def test_a_file_is_purged_when_its_month_is_loaded_and_not_before(platform):
    assert platform.run("load_month", APRIL, LEG[:1]).success
    path = platform.files.path(APRIL)
    refused = platform.run("purge_files", APRIL)
    assert not refused.success
    assert "green|2020-04 is not loaded from it in postgres" in error_of(refused)
    assert path.exists()

    assert platform.run("load_month", APRIL, LEG).success
    assert platform.run("purge_files", APRIL).success
    assert [each.name for each in path.parent.iterdir() if not each.name.endswith(".lock")] == []
    assert platform.run("purge_files", APRIL).success


def test_a_newer_version_that_is_not_loaded_yet_is_not_purged(platform, mirror):
    assert platform.run("load_month", APRIL, LEG).success
    publish(mirror.folder, APRIL, csv_text(APRIL, [trip(APRIL)]))
    assert platform.run("load_month", APRIL, LEG[:1]).success

    assert not platform.run("purge_files", APRIL).success
    assert platform.files.find(APRIL)


def freshness(result: Any) -> dict[str, Any]:
    return {
        evaluation.check_name: (evaluation.passed, evaluation.metadata["missing"].value)
        for evaluation in result.get_asset_check_evaluations()
    }


def test_freshness_names_the_months_that_are_missing(platform, mirror):
    assert freshness(platform.run("freshness")) == {
        "newest_yellow_month_loaded": (True, "none"),
        "newest_green_month_loaded": (False, "2020-04"),
    }
    assert platform.run("load_month", MARCH, LEG).success
    late = TripMonth.from_key("green|2021-08")
    (mirror.folder / "tlc").mkdir()
    (mirror.folder / "tlc" / late.parquet_name).write_bytes(b"PAR1")
    assert freshness(platform.run("freshness"))["newest_green_month_loaded"] == (False, "2020-04, 2021-08")

    (mirror.folder / "tlc" / late.parquet_name).unlink()
    assert platform.run("load_month", APRIL, LEG).success
    assert freshness(platform.run("freshness"))["newest_green_month_loaded"] == (True, "none")


def test_freshness_of_a_source_that_is_down_is_not_guessed(postgres_url, instance, tmp_path, mirror):
    down = HttpMirror(mirror.folder, url="http://127.0.0.1:9")
    result = Platform(down, postgres_url, instance, tmp_path).run("freshness")

    assert not result.success
    assert result.get_asset_check_evaluations() == []


def test_a_run_that_loads_a_month_by_hand_asks_nothing_about_freshness(platform, mirror):
    result = platform.defs.resolve_implicit_global_asset_job_def().execute_in_process(
        partition_key=APRIL.key, asset_selection=LEG, instance=platform.instance
    )

    assert result.success
    assert {each.check_name for each in result.get_asset_check_evaluations()} == {
        "every_row_accounted_for",
        "rows_as_published",
        "pickups_inside_month",
    }
    assert {request.path for request in mirror.requests} == {f"/green/{APRIL.gz_name}"}


def failures(platform: Platform, result: Any) -> dg.RunFailureSensorContext:
    [event] = [event for event in result.all_events if event.event_type_value == "PIPELINE_FAILURE"]
    run = platform.instance.get_run_by_id(result.run_id)
    assert run is not None
    return dg.build_run_status_sensor_context(
        sensor_name="failed_run_sensor", dagster_event=event, dagster_instance=platform.instance, dagster_run=run
    ).for_run_failure()


def test_a_failed_run_is_one_message_with_partition_asset_reason_and_link(platform, mirror, monkeypatch):
    monkeypatch.setenv("TAXI_WEB_URL", "https://dagster.example/")
    publish(mirror.folder, APRIL, csv_text(APRIL, [trip(APRIL, lpep_dropoff_datetime="04/01/2020 0:30")]))
    result = platform.run("load_month", APRIL, LEG)
    with api_server(lambda asked: Answer({})) as chat:
        failed_run_sensor(failures(platform, result), webhook=Webhook(url=f"{chat.url}/hook"))

    [asked] = chat.asked
    lines = json.loads(asked.body)["text"].split("\n")
    assert lines[0] == "Failed: green|2020-04"
    assert lines[1].startswith("raw_csv: green_tripdata_2020-04.csv.gz, line 2, column lpep_dropoff_datetime: '04/01")
    assert lines[2:] == [f"https://dagster.example/runs/{result.run_id}"]


def test_a_webhook_that_is_down_harms_nothing(platform):
    result = platform.run("load_month", TripMonth.from_key("green|2020-05"), LEG)
    failed_run_sensor(failures(platform, result), webhook=Webhook(url="http://127.0.0.1:9/hook", timeout=1))


def test_no_secret_is_in_a_message(monkeypatch):
    monkeypatch.setenv("TAXI_POSTGRES_URL", "postgresql://taxi:pass@word@host/ny_taxi")
    monkeypatch.setenv("TAXI_ALERT_WEBHOOK", "https://hooks.slack.com/services/T0/B0/very-secret")
    said = without_secrets(
        "postgresql://taxi:pass@word@host/ny_taxi and https://me:mine@mirror.example/x "
        "and https://hooks.slack.com/services/T0/B0/very-secret"
    )

    assert said == "*** and https://***@mirror.example/x and ***"


def test_alerts_are_on_by_default():
    assert failed_run_sensor.default_status is dg.DefaultSensorStatus.RUNNING
