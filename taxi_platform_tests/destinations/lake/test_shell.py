"""`taxi-platform lake`: one statement, and a prompt that reads from a pipe."""

import os
import subprocess
import sys
from pathlib import Path

from taxi_platform.destinations.lake.resource import Lake
from taxi_platform_tests.destinations.contract import APRIL, MARCH, Load, Write
from taxi_platform_tests.support.trip_files import trip
from taxi_platform_tests.support.waiting import PATIENCE


def run(lake: Lake, *arguments: str, entered: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from taxi_platform.cli import main; main()", "lake", *arguments],
        env={**os.environ, "TAXI_LAKE_PATH": str(lake.folder), "COLUMNS": "100"},
        input=entered,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def test_query_reads_all_months(lake: Lake, load: Load, write: Write) -> None:
    load(write(MARCH, [trip(MARCH)]))
    load(write(APRIL, [trip(APRIL), trip(APRIL)]))
    done = run(lake, "select filename, count(*) as trips from green_tripdata group by all order by all")
    assert done.returncode == 0, done.stderr
    assert [line.split("│")[1:3] for line in done.stdout.splitlines() if ".csv" in line] == [
        [f" {MARCH.filename} ", "     1 "],
        [f" {APRIL.filename} ", "     2 "],
    ]


def test_empty_lake_has_views_without_rows(lake: Lake) -> None:
    done = run(lake, "select count(*) as trips, count(fare_amount) as fares from yellow_tripdata")
    assert done.returncode == 0, done.stderr
    assert "     0 " in done.stdout


def test_wrong_query_exits_with_status_1(lake: Lake) -> None:
    done = run(lake, "select nothing from green_tripdata")
    assert done.returncode == 1
    assert 'Referenced column "nothing" not found' in done.stderr
    assert "Traceback" not in done.stderr


def test_prompt_continues_after_an_error(lake: Lake, load: Load, write: Write, tmp_path: Path) -> None:
    load(write(APRIL, [trip(APRIL)]))
    done = run(lake, entered="create table mine as\nselect 41 as x;\nselect nonsense;\nselect x + 1 from mine;\n")
    assert done.returncode == 0
    assert "nonsense" in done.stderr
    assert " 42 " in done.stdout
