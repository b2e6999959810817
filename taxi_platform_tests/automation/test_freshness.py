"""The freshness checks, run by Dagster over a mirror and a database."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.support.http_mirror import HttpMirror
from taxi_platform_tests.support.platform import Platform, checks_of, platform_over
from taxi_platform_tests.support.trip_files import csv_text, publish, trip

MARCH = TripMonth.from_key("green|2020-03")
APRIL = TripMonth.from_key("green|2020-04")
ASSETS = ("raw_csv", "postgres_staging", "postgres_tripdata")


@pytest.fixture(autouse=True)
def months(mirror: HttpMirror) -> None:
    for month in (MARCH, APRIL):
        publish(mirror.folder, month, csv_text(month, [trip(month)]))


def freshness(platform: Platform) -> dict[str, tuple[bool, Any]]:
    """Return whether each check passed, and the missing months, by name."""
    return {
        evaluation.check_name: (evaluation.passed, evaluation.metadata["missing"].value)
        for evaluation in platform.run(None, job="freshness").get_asset_check_evaluations()
    }


def test_missing_months_are_named(platform: Platform, mirror: HttpMirror) -> None:
    assert freshness(platform) == {
        "newest_yellow_month_loaded": (True, "none"),
        "newest_green_month_loaded": (False, "2020-04"),
    }
    assert platform.run(MARCH, *ASSETS).success
    late = TripMonth.from_key("green|2021-08")
    (mirror.folder / "tlc").mkdir()
    (mirror.folder / "tlc" / late.parquet_name).write_bytes(b"PAR1")
    assert freshness(platform)["newest_green_month_loaded"] == (False, "2020-04, 2021-08")

    (mirror.folder / "tlc" / late.parquet_name).unlink()
    assert platform.run(APRIL, *ASSETS).success
    assert freshness(platform)["newest_green_month_loaded"] == (True, "none")


def test_run_fails_while_the_source_is_down(postgres_url: str, instance: dg.DagsterInstance, tmp_path: Path) -> None:
    down = platform_over("http://127.0.0.1:9", tmp_path, instance, postgres=Postgres(url=postgres_url))
    result = down.run(None, job="freshness")

    assert not result.success
    assert result.get_asset_check_evaluations() == []


@pytest.mark.parametrize("job", ["__ASSET_JOB", "load_month"])
def test_loading_a_month_does_not_check_freshness(platform: Platform, mirror: HttpMirror, job: str) -> None:
    result = platform.run(APRIL, *ASSETS, job=job)

    assert result.success
    assert "every_row_accounted_for" in checks_of(result)
    assert not any(name.startswith("newest_") for name in checks_of(result))
    assert {request.path for request in mirror.requests} == {f"/green/{APRIL.gz_name}"}
