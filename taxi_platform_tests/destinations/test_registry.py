"""One entry in the registry makes a destination: assets, checks, schedules, freshness, CLI choice and backfill."""

import json
import os
import subprocess
import sys
from pathlib import Path

from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.conftest import REPO
from taxi_platform_tests.support.http_mirror import HttpMirror
from taxi_platform_tests.support.trip_files import csv_text, publish, trip


def test_registered_destination_is_used_everywhere(tmp_path: Path, mirror: HttpMirror, postgres_url: str) -> None:
    for key in ("green|2020-03", "green|2020-04"):
        month = TripMonth.from_key(key)
        publish(mirror.folder, month, csv_text(month, [trip(month), trip(month, "02 00:00:00")]))
    (tmp_path / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPO),
        "DAGSTER_HOME": str(tmp_path),
        "TAXI_HOME": str(tmp_path / "data"),
        "TAXI_POSTGRES_URL": postgres_url,
        "TAXI_SOURCE_URL": mirror.url,
        "TAXI_PARQUET_URL": f"{mirror.url}/tlc",
    }
    done = subprocess.run(
        [sys.executable, "-c", "from taxi_platform_tests.destinations.made_up import print_report; print_report()"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])

    assert {"shelf", "source"} <= set(report["groups"])
    assert {"every_row_accounted_for", "rows_as_published", "newest_green_month_loaded"} <= set(report["checks"])
    assert [{"raw_csv", "shelf_tripdata"} <= set(assets) for assets in report["schedule requests"]] == [True]
    assert report["choices"] == ["postgres", "bigquery", "lake", "shelf"]
    assert report["backfill"] == [["green|2020-03", 2, None], ["green|2020-04", 2, None]]
    assert report["freshness"] == {"newest_yellow_month_loaded": True, "newest_green_month_loaded": True}
