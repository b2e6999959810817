"""docs/homework.md: its figures are those of the published files, and its commands print what it says."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from taxi_platform.definitions import build_defs
from taxi_platform.demo.sample_trips import write_sample
from taxi_platform.destinations.postgres.assets import postgres_staging, postgres_tripdata
from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.source.assets import raw_csv
from taxi_platform.source.file_store import RawFiles
from taxi_platform.source.known_row_counts import published_rows
from taxi_platform.source.mirror import Mirror
from taxi_platform.trips.partitions import TripMonth

REPO = Path(__file__).parents[1]
SECTIONS = (REPO / "docs" / "homework.md").read_text(encoding="utf-8").split("\n## ")[1:]
LOADED = {"yellow|2020-11": 200, "yellow|2020-12": 300, "yellow|2021-03": 250, "green|2020-04": 150}
"""Sample files, by partition: rows in each. November and December share some rows."""


def answer(number: int) -> str:
    """Return the answer, the text in bold below the question."""
    found = re.search(r"\*\*`?(.+?)`?\*\*", SECTIONS[number - 1])
    assert found
    return found[1]


def commands(number: int, program: str) -> list[list[str]]:
    """Return the question's commands that begin with `program`, split as a shell does."""
    lines = re.findall(r"^    (.+)$", SECTIONS[number - 1], re.MULTILINE)
    return [shlex.split(line) for line in lines if line.startswith(f"{program} ")]


@pytest.fixture
def loaded(tmp_path: Path, postgres_url: str) -> str:
    """Return the URL of a database into which the sample files below `.taxi` are loaded."""
    mirror = Mirror(base_url=(tmp_path / "mirror").as_uri())
    files = RawFiles(mirror=mirror, folder=str(tmp_path / ".taxi" / "raw"))
    resources = build_defs(mirror=mirror, postgres=Postgres(url=postgres_url), raw_files=files).resources
    with dg.DagsterInstance.ephemeral() as instance:
        for key, rows in LOADED.items():
            month = TripMonth.from_key(key)
            write_sample(tmp_path / "mirror", month, rows)
            assets = [raw_csv, postgres_staging, postgres_tripdata]
            dg.materialize(assets, partition_key=month.partition_key, resources=resources, instance=instance)
    return postgres_url


def total(colour: str, months: list[str]) -> str:
    """Return the number of rows in a colour's published files, with thousands separators."""
    return f"{sum(published_rows(TripMonth.from_key(f'{colour}|{month}')) or 0 for month in months):,}"


def test_answers_equal_published_row_counts() -> None:
    year = [f"2020-{month:02}" for month in range(1, 13)]
    assert answer(3) == total("yellow", year)
    assert answer(4) == total("green", year)
    assert answer(5) == total("yellow", ["2021-03"])


def test_statements_return_loaded_rows(loaded: str) -> None:
    def run(number: int) -> list[int]:
        with psycopg.connect(loaded, autocommit=True) as connection:
            results = []
            for _, _, statement in commands(number, "taxi-platform sql"):
                row = connection.execute(statement.encode()).fetchone()
                assert row
                results.append(row[0])
            return results

    in_files, in_table = run(3)
    assert in_files == 500
    assert 400 < in_table < 500
    assert run(4) == [150]
    assert run(5) == [250]


def test_commands_print_answers(tmp_path: Path, loaded: str) -> None:
    def run(number: int) -> str:
        ((_, *arguments),) = commands(number, "python")
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout.strip()

    size = len(subprocess.check_output(["gunzip", "-c", *tmp_path.glob("mirror/yellow/*2020-12.csv.gz")]))
    assert run(1) == f"{round(size / 2**20, 1)} MiB"
    assert run(2) == answer(2)
    assert run(6) == answer(6)
