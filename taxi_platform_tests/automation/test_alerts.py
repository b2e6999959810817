"""The alert about a failed run, sent by its sensor to a webhook."""

import json

import dagster as dg
import pytest

from taxi_platform.automation.sensors import failed_run_sensor
from taxi_platform.redaction import without_secrets
from taxi_platform.trips.partitions import TripMonth
from taxi_platform.webhook import Webhook
from taxi_platform_tests.support.api_server import ApiResponse, api_server
from taxi_platform_tests.support.http_mirror import HttpMirror
from taxi_platform_tests.support.platform import Platform
from taxi_platform_tests.support.trip_files import csv_text, publish, trip

APRIL = TripMonth.from_key("green|2020-04")
ASSETS = ("raw_csv", "postgres_staging", "postgres_tripdata")


def failure_context(platform: Platform, result: dg.ExecuteInProcessResult) -> dg.RunFailureSensorContext:
    [event] = [event for event in result.all_events if event.event_type is dg.DagsterEventType.PIPELINE_FAILURE]
    run = platform.instance.get_run_by_id(result.run_id)
    assert run is not None
    return dg.build_run_status_sensor_context(
        sensor_name="failed_run_sensor", dagster_event=event, dagster_instance=platform.instance, dagster_run=run
    ).for_run_failure()


def test_alert_names_partition_asset_reason_and_link(
    platform: Platform, mirror: HttpMirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAXI_WEB_URL", "https://dagster.example/")
    publish(mirror.folder, APRIL, csv_text(APRIL, [trip(APRIL, lpep_dropoff_datetime="04/01/2020 0:30")]))
    result = platform.run(APRIL, *ASSETS)
    with api_server(lambda asked: ApiResponse({})) as chat:
        failed_run_sensor(failure_context(platform, result), webhook=Webhook(url=f"{chat.url}/hook"))

    [asked] = chat.requests
    lines = json.loads(asked.body)["text"].split("\n")
    assert lines[0] == "Failed: green|2020-04"
    assert lines[1].startswith("raw_csv: green_tripdata_2020-04.csv.gz, line 2, column lpep_dropoff_datetime: ")
    assert lines[2:] == [f"https://dagster.example/runs/{result.run_id}"]


def test_webhook_that_is_down_raises_nothing(platform: Platform) -> None:
    result = platform.run(APRIL, *ASSETS)
    failed_run_sensor(failure_context(platform, result), webhook=Webhook(url="http://127.0.0.1:9/hook", timeout=1))


def test_secrets_are_removed_from_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAXI_POSTGRES_URL", "postgresql://taxi:pass@word@host/ny_taxi")
    monkeypatch.setenv("TAXI_ALERT_WEBHOOK", "https://hooks.slack.com/services/T0/B0/very-secret")
    text = without_secrets(
        "postgresql://taxi:pass@word@host/ny_taxi and https://me:mine@mirror.example/x "
        "and https://hooks.slack.com/services/T0/B0/very-secret"
    )

    assert text == "*** and https://***@mirror.example/x and ***"


def test_alerts_are_on_by_default() -> None:
    assert failed_run_sensor.default_status is dg.DefaultSensorStatus.RUNNING
