"""Reconciliation of Postgres, BigQuery on its emulator, and the lake, over generated and real files."""

import gzip
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import LiteralString, cast

import dagster as dg
import psycopg
import pytest
from click.testing import CliRunner
from psycopg import sql

from taxi_platform.automation import reconcile as reconciliation
from taxi_platform.cli import main
from taxi_platform.destinations.lake.lake_files import file_path
from taxi_platform.destinations.lake.resource import Lake
from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.google_cloud.connection import GoogleCloud
from taxi_platform.google_cloud.identifiers import Sql
from taxi_platform.local.emulators.servers import Emulators
from taxi_platform.trips.columns import COLOURS
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.destinations.lake.hand import rewrite
from taxi_platform_tests.support.http_mirror import HttpMirror
from taxi_platform_tests.support.platform import Platform, failure_of, platform_over
from taxi_platform_tests.support.sample_files import sample_csv
from taxi_platform_tests.support.trip_files import csv_text, publish, trip

MARCH = TripMonth.from_key("green|2020-03")
APRIL = TripMonth.from_key("green|2020-04")
POSTGRES = ("raw_csv", "postgres_staging", "postgres_tripdata")
LAKE = ("raw_csv", "lake_parquet")
BIGQUERY = (
    *("raw_csv", "gcs_bucket", "bigquery_dataset", "gcs_csv", "bigquery_external", "bigquery_monthly"),
    "bigquery_tripdata",
)

Compare = Callable[[], dict[str, str]]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(path=str(tmp_path / "lake"))


@pytest.fixture
def platform(
    mirror: HttpMirror, postgres_url: str, lake: Lake, tmp_path: Path, instance: dg.DagsterInstance
) -> Platform:
    return platform_over(mirror.url, tmp_path, instance, postgres=Postgres(url=postgres_url), lake=lake)


@pytest.fixture
def compare(platform: Platform) -> Compare:
    """Return the result by month."""

    def run() -> dict[str, str]:
        found = reconciliation.reconcile(platform.defs.resources or {}, COLOURS["green"])
        return {comparison.month.month: comparison.result for comparison in found}

    return run


def load(platform: Platform, month: TripMonth, *destinations: tuple[str, ...]) -> None:
    for assets in destinations:
        assert platform.run(month, *assets).success


def test_rows_are_equal_in_all_destinations_until_changed(
    mirror: HttpMirror,
    postgres_url: str,
    lake: Lake,
    tmp_path: Path,
    instance: dg.DagsterInstance,
    emulators: Emulators,
) -> None:
    own = f"test_{uuid.uuid4().hex[:12]}"
    platform = platform_over(
        mirror.url,
        tmp_path,
        instance,
        postgres=Postgres(url=postgres_url),
        lake=lake,
        google_cloud=GoogleCloud(
            project="test-project",
            bucket=own,
            dataset=own,
            storage_endpoint=emulators.storage_url,
            bigquery_endpoint=emulators.bigquery_url,
        ),
    )
    shared = trip(MARCH, "2020-04-05 12:00:00", fare_amount="-3.5", trip_distance="")
    publish(mirror.folder, MARCH, csv_text(MARCH, [shared, trip(MARCH), trip(MARCH, VendorID="")]))
    publish(mirror.folder, APRIL, sample_csv(APRIL, 500) + csv_text(APRIL, [shared]).split(b"\r\n", 1)[1])
    for month in (MARCH, APRIL):
        load(platform, month, POSTGRES, LAKE, BIGQUERY)
    resources = platform.defs.resources or {}
    found = list(reconciliation.reconcile(resources, COLOURS["green"]))
    assert [comparison.result for comparison in found] == ["equal", "equal"]
    assert [comparison.rows for comparison in found] == [
        {"postgres": 3, "bigquery": 3, "lake": 3},
        {"postgres": 500, "bigquery": 500, "lake": 500},
    ]
    # A change that the check of the month does not see: its content leaves out texts.
    with resources["google_cloud"].open_dataset("testing") as dataset:
        table = dataset.table_name(MARCH.colour.table).sql
        dataset.run(Sql(f"UPDATE {table} SET store_and_fwd_flag = 'Y' WHERE filename = '{MARCH.filename}'"), {})
    found = list(reconciliation.reconcile(resources, COLOURS["green"]))
    assert [comparison.result for comparison in found] == ["DIFFERENT: store_and_fwd_flag", "equal"]


def test_real_month_is_equal_in_postgres_and_lake(
    mirror: HttpMirror, platform: Platform, real_files: Path, compare: Compare
) -> None:
    content = (real_files / "green" / APRIL.gz_name).read_bytes()
    publish(mirror.folder, APRIL, gzip.decompress(content))
    load(platform, APRIL, POSTGRES, LAKE)
    assert compare() == {"2020-04": "equal"}


@pytest.mark.parametrize(
    ("change", "result"),
    [
        ("set fare_amount = fare_amount + 0.01 where ctid = '(0,1)'", "DIFFERENT: fare_amount"),
        ("set pulocationid = '1', tip_amount = null where ctid = '(0,1)'", "DIFFERENT: PULocationID, tip_amount"),
        ("set lpep_dropoff_datetime = null where ctid = '(0,2)'", "DIFFERENT: lpep_dropoff_datetime"),
        ("set passenger_count = 3 - passenger_count", "DIFFERENT: how values are combined in rows"),
    ],
)
def test_row_changed_in_postgres_is_found(
    mirror: HttpMirror, platform: Platform, postgres_url: str, compare: Compare, change: str, result: str
) -> None:
    publish(
        mirror.folder,
        APRIL,
        csv_text(APRIL, [trip(APRIL, tip_amount="2"), trip(APRIL, "02 02:00:00", passenger_count="2")]),
    )
    load(platform, APRIL, POSTGRES, LAKE)
    with psycopg.connect(postgres_url) as connection:
        connection.execute(
            sql.SQL("update trip_months.green_tripdata_2020_04 {}").format(sql.SQL(cast(LiteralString, change)))
        )
    assert compare() == {"2020-04": result}


def test_row_changed_in_lake_fails_job(mirror: HttpMirror, platform: Platform, lake: Lake) -> None:
    publish(mirror.folder, APRIL, csv_text(APRIL, [trip(APRIL), trip(APRIL, "02 02:00:00")]))
    load(platform, APRIL, POSTGRES, LAKE)
    assert platform.run(None, job="reconcile").success
    rewrite(file_path(lake.folder, APRIL), "select * from rows limit 1")
    _, error = failure_of(platform.run(None, job="reconcile"))
    assert "The destinations differ in 1 months: green|2020-04 (rows, " in error


def test_different_versions_and_orders_are_not_compared(
    mirror: HttpMirror, platform: Platform, compare: Compare
) -> None:
    shared = trip(MARCH, "2020-04-05 12:00:00")
    for month in (MARCH, APRIL):
        publish(mirror.folder, month, csv_text(month, [shared, trip(month)]))
    for month in (MARCH, APRIL):
        load(platform, month, POSTGRES)
    for month in (APRIL, MARCH):
        load(platform, month, LAKE)
    order = "loaded in different orders, with different duplicates skipped"
    assert compare() == {"2020-03": order, "2020-04": order}
    publish(mirror.folder, MARCH, csv_text(MARCH, [trip(MARCH)]))
    load(platform, MARCH, LAKE)
    assert compare()["2020-03"] == "loaded from different versions of the file"


def test_month_in_one_destination_is_listed(mirror: HttpMirror, platform: Platform, compare: Compare) -> None:
    publish(mirror.folder, APRIL, csv_text(APRIL, [trip(APRIL)]))
    load(platform, APRIL, LAKE)
    assert compare() == {"2020-04": "in one destination only"}


def test_command_exits_with_status_1_on_difference(
    mirror: HttpMirror, platform: Platform, postgres_url: str, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(mirror.folder, APRIL, csv_text(APRIL, [trip(APRIL), trip(APRIL, "02 02:00:00")]))
    load(platform, APRIL, POSTGRES, LAKE)
    monkeypatch.setenv("TAXI_POSTGRES_URL", postgres_url)
    monkeypatch.setenv("TAXI_LAKE_PATH", str(lake.folder))
    done = CliRunner().invoke(main, ["reconcile"])
    assert done.exit_code == 0
    assert done.stdout.splitlines()[1].split() == ["green", "2020-04", "2", "-", "2", "equal"]
    rewrite(file_path(lake.folder, APRIL), "select * replace ('3' as vendorid) from rows")
    done = CliRunner().invoke(main, ["reconcile", "--colour", "green", "--from", "2020-04"])
    assert done.exit_code == 1
    assert done.stdout.splitlines()[1].endswith("  DIFFERENT: VendorID")
    assert CliRunner().invoke(main, ["reconcile", "--from", "2020-05"]).exit_code == 0
