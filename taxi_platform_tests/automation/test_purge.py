"""The job `purge_files`, run by Dagster over a mirror and a database."""

from pathlib import Path

import pytest

from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.support.http_mirror import HttpMirror
from taxi_platform_tests.support.platform import Platform, failure_of
from taxi_platform_tests.support.trip_files import csv_text, publish, trip

APRIL = TripMonth.from_key("green|2020-04")
ASSETS = ("raw_csv", "postgres_staging", "postgres_tripdata")


@pytest.fixture(autouse=True)
def april(mirror: HttpMirror) -> Path:
    return publish(mirror.folder, APRIL, csv_text(APRIL, [trip(APRIL), trip(APRIL, "02 00:00:00")]))


def test_file_is_kept_until_its_month_is_loaded(platform: Platform) -> None:
    assert platform.run(APRIL, "raw_csv").success
    path = platform.files.path(APRIL)
    _, error = failure_of(platform.run(APRIL, job="purge_files"))
    assert "green|2020-04 is not loaded from it in postgres" in error
    assert path.exists()

    assert platform.run(APRIL, *ASSETS).success
    assert platform.run(APRIL, job="purge_files").success
    assert [each.name for each in path.parent.iterdir() if not each.name.endswith(".lock")] == []


def test_purge_without_file_succeeds(platform: Platform) -> None:
    assert platform.run(APRIL, job="purge_files").success


def test_newer_version_is_kept_until_it_is_loaded(platform: Platform, mirror: HttpMirror) -> None:
    assert platform.run(APRIL, *ASSETS).success
    publish(mirror.folder, APRIL, csv_text(APRIL, [trip(APRIL)]))
    assert platform.run(APRIL, "raw_csv").success

    assert not platform.run(APRIL, job="purge_files").success
    assert platform.files.find(APRIL)
