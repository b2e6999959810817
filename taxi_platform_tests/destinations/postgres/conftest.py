"""Every test of the Postgres destination runs on the embedded version 18 and, where it is installed, on version 15."""

from collections.abc import Callable, Iterable
from pathlib import Path

import psycopg
import pytest

from taxi_platform.destinations.postgres.merge import merge
from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.destinations.postgres.staging import stage
from taxi_platform.source.raw_file import RawFile
from taxi_platform.trips.load_record import MergeResult
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.support.trip_files import Row, csv_text, raw_file


@pytest.fixture
def postgres(each_postgres_url: str) -> Postgres:
    return Postgres(url=each_postgres_url)


@pytest.fixture
def query(each_postgres_url: str) -> Callable[..., list[tuple]]:
    """Runs a query in a session of its own."""

    def run(text: str, *values: object) -> list[tuple]:
        with psycopg.connect(each_postgres_url, autocommit=True) as connection:
            cursor = connection.execute(text, values or None)  # pyright: ignore[reportArgumentType] - tests write their own SQL
            return cursor.fetchall() if cursor.description else []

    return run


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., RawFile]:
    """Writes a month's file, in place of an older one."""

    def run(month: TripMonth, rows: Iterable[Row], header: Iterable[str] | None = None) -> RawFile:
        return raw_file(tmp_path, month, csv_text(month, rows, header))

    return run


@pytest.fixture
def load(postgres: Postgres) -> Callable[[RawFile], MergeResult]:
    """Stages and merges a file, as the two assets do."""

    def run(file: RawFile) -> MergeResult:
        stage(postgres, file)
        return merge(postgres, file.month)

    return run
