"""Fixtures for the lake: a folder of the test's own, read with DuckDB."""

from collections.abc import Callable, Iterable
from pathlib import Path

import duckdb
import pytest

from taxi_platform.destinations.lake.merge import load as load_month
from taxi_platform.destinations.lake.resource import Lake
from taxi_platform.destinations.lake.snapshot import create_views, lake_files, snapshot
from taxi_platform.source.raw_file import RawFile
from taxi_platform.trips.load_record import MergeResult
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.destinations.lake.hand import delete_rows
from taxi_platform_tests.support.trip_files import Row, csv_text, raw_file


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(path=str(tmp_path / "lake"), merge_timeout=30)


@pytest.fixture
def query(lake: Lake) -> Callable[..., list[tuple]]:
    """Run a query; a `delete` is written back to the files, whose metadata stay."""

    def run(text: str) -> list[tuple]:
        if text.startswith("delete from"):
            delete_rows(lake, text.partition(" where ")[2])
            return []
        with snapshot(lake, lake_files(lake)) as files, duckdb.connect() as connection:
            create_views(connection, files)
            return connection.execute(text).fetchall()

    return run


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., RawFile]:
    """Write a month's published file, in place of an older one."""

    def run(month: TripMonth, rows: Iterable[Row], header: Iterable[str] | None = None) -> RawFile:
        return raw_file(tmp_path, month, csv_text(month, rows, header))

    return run


@pytest.fixture
def load(lake: Lake) -> Callable[[RawFile], MergeResult]:
    """Load a file as the asset does."""

    def run(file: RawFile) -> MergeResult:
        return load_month(lake, file)

    return run
