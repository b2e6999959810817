"""The column registry: roles, and a further colour by its entry alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from taxi_platform.local.emulators.servers import Emulators
from taxi_platform.trips.columns import COLOURS, Colour
from taxi_platform_tests.conftest import REPO


@pytest.mark.parametrize("colour", COLOURS.values(), ids=lambda colour: colour.name)
def test_roles_are_columns_of_the_colour(colour: Colour) -> None:
    assert {colour.pickup, colour.dropoff, *colour.row_id, *colour.short_row_id} <= set(colour.required_columns)
    assert colour.columns[: len(colour.required_columns)] == colour.required_columns
    names = [column.folded_name for column in colour.columns]
    assert len(names) == len(set(names))


def test_third_colour_works_by_its_entry_alone(tmp_path: Path, postgres_url: str, emulators: Emulators) -> None:
    mirror = tmp_path / "mirror"
    environment = {
        **os.environ,
        **emulators.environment,
        "PYTHONPATH": str(REPO),
        "TAXI_HOME": str(tmp_path / "data"),
        "TAXI_SOURCE_URL": mirror.as_uri(),
        "TAXI_POSTGRES_URL": postgres_url,
        "GCP_PROJECT_ID": "test-project",
        "GCP_BUCKET_NAME": "third-colour",
        "GCP_DATASET": "third_colour",
    }
    program = f"from taxi_platform_tests.support.third_colour import print_report; print_report({str(mirror)!r})"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])

    assert report["errors"] == []
    assert report["files"] == ["purple_tripdata_2020-04.csv.gz", "purple_tripdata_2020-05.csv.gz"]
    assert "purple_schedule" in report["schedules"]
    for destination in ("postgres", "bigquery", "lake"):
        # Two rows of each generated file are in its neighbour's too.
        assert report[destination] == {"purple|2020-04": 200, "purple|2020-05": 198}
        assert {"price", "dogs", "treats"} <= set(report[f"{destination} columns"])
    counted = {name: passed for name, passed in report["checks"].items() if name.endswith("every_row_accounted_for")}
    assert len(counted) == 6
    assert all(counted.values())
