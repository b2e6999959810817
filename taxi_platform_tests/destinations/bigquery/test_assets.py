"""The Google Cloud leg as Dagster runs it: from a mirror over HTTP to rows, checks and what the web interface shows."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from taxi_platform.definitions import build_defs
from taxi_platform.destinations.bigquery.tables import Sql
from taxi_platform.google_cloud.resources import GoogleBigQuery, GoogleStorage
from taxi_platform.source.file_store import RawFiles
from taxi_platform.source.mirror import Mirror
from taxi_platform.trips.columns import FILENAME, UNIQUE_ROW_ID
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.support.http_mirror import HttpMirror
from taxi_platform_tests.support.trip_files import csv_text, publish, trip
from taxi_platform_tests.support.unreliable_google import UnreliableGoogle, error

GREEN = TripMonth.from_key("green|2020-04")
YELLOW = TripMonth.from_key("yellow|2020-04")
SETUP = ("gcs_bucket", "bigquery_dataset")
MONTHLY = ("raw_csv", "gcs_csv", "bigquery_external", "bigquery_monthly", "bigquery_tripdata")
TRIPDATA = "bigquery_tripdata"

Shown = dict[str, object]


class Platform:
    """The definitions on one mirror, one bucket and one dataset."""

    def __init__(self, mirror: HttpMirror, gcs: GoogleStorage, bigquery: GoogleBigQuery, folder: Path) -> None:
        self.bigquery = bigquery
        source = Mirror(base_url=mirror.url, attempts=2, first_wait=0.001)
        self.defs = build_defs(
            mirror=source, gcs=gcs, bigquery=bigquery, raw_files=RawFiles(mirror=source, folder=str(folder))
        )

    def run(
        self, instance: dg.DagsterInstance, month: TripMonth, *assets: str, fails: bool = False
    ) -> dg.ExecuteInProcessResult:
        result = self.defs.resolve_implicit_global_asset_job_def().execute_in_process(
            partition_key=month.key,
            asset_selection=[dg.AssetKey(name) for name in assets or (*SETUP, *MONTHLY)],
            instance=instance,
            raise_on_error=not fails,
        )
        assert result.success is not fails
        return result

    def query(self, text: str) -> list[dict[str, object]]:
        with self.bigquery.warehouse("tested") as warehouse:
            return warehouse.run(Sql(text.format(warehouse.name("x").dataset)), {})


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def platform(mirror: HttpMirror, gcs: GoogleStorage, bigquery: GoogleBigQuery, tmp_path: Path) -> Platform:
    return Platform(mirror, gcs, bigquery, tmp_path / "raw")


def shown(result: dg.ExecuteInProcessResult, asset: str) -> Shown:
    [event] = [each for each in result.get_asset_materialization_events() if each.asset_key == dg.AssetKey(asset)]
    return {name: value.value for name, value in event.materialization.metadata.items()}


def failure(result: dg.ExecuteInProcessResult) -> tuple[str, str]:
    """The step that failed, and what it said."""
    [event] = [each for each in result.all_events if each.is_step_failure]
    error = event.step_failure_data.error
    described = event.step_failure_data.user_failure_data
    return event.step_key or "", f"{described.description if described else ''} {error.message if error else ''}"


def test_a_month_goes_from_the_mirror_to_the_merged_table(
    platform: Platform, instance: dg.DagsterInstance, mirror: HttpMirror
) -> None:
    rows = [trip(GREEN), trip(GREEN, "02 02:00:00", VendorID=""), trip(GREEN, "2020-03-31 23:59:59")]
    publish(mirror.folder, GREEN, csv_text(GREEN, rows))
    result = platform.run(instance, GREEN)

    assert platform.query("SELECT COUNT(*) AS n FROM `{}.green_tripdata`") == [{"n": 3}]
    assert {check.check_name: check.passed for check in result.get_asset_check_evaluations()} == {
        "every_row_accounted_for": True,
        "rows_as_published": True,
        "pickups_inside_month": False,
    }
    told = shown(result, TRIPDATA)
    assert (told["rows_in_file"], told["rows_in_table"], told["duplicates_skipped"]) == (3, 3, 0)
    assert told["pickups_outside_month"] == 1
    assert told["changed"] is True
    assert {"job_ids", "bytes_processed", "slot_milliseconds", "rows_affected"} <= told.keys()


def test_the_web_interface_shows_where_everything_is(
    platform: Platform, instance: dg.DagsterInstance, mirror: HttpMirror, own: str
) -> None:
    publish(mirror.folder, GREEN, csv_text(GREEN, [trip(GREEN)]))
    result = platform.run(instance, GREEN)
    lake = shown(result, "gcs_csv")
    assert lake["dagster/uri"] == f"gs://{own}/raw/green/2020/green_tripdata_2020-04.csv.gz"
    assert lake["sent"] is True
    assert {"generation", "bytes", "md5", "sha256"} <= lake.keys()
    assert str(lake["console"]).startswith("https://console.cloud.google.com/storage/browser/_details/")
    tables = {asset: shown(result, asset)["dagster/table_name"] for asset in MONTHLY[2:]}
    assert tables == {
        "bigquery_external": f"test-project.{own}.green_tripdata_2020_04_ext",
        "bigquery_monthly": f"test-project.{own}.green_tripdata_2020_04",
        "bigquery_tripdata": f"test-project.{own}.green_tripdata",
    }
    assert shown(result, "gcs_bucket")["made"] is True
    assert shown(result, "bigquery_dataset")["location"] == "us-central1"


def test_columns_have_descriptions_and_a_source(
    platform: Platform, instance: dg.DagsterInstance, mirror: HttpMirror
) -> None:
    publish(mirror.folder, GREEN, csv_text(GREEN, [trip(GREEN)]))
    told = shown(platform.run(instance, GREEN), TRIPDATA)
    schema, lineage = told["dagster/column_schema"], told["dagster/column_lineage"]
    assert isinstance(schema, dg.TableSchema)
    assert isinstance(lineage, dg.TableColumnLineage)
    assert [column.name for column in schema.columns if not column.description] == []
    names = [UNIQUE_ROW_ID.name, FILENAME.name, *[column.name for column in GREEN.colour.columns]]
    assert [column.name for column in schema.columns] == names
    assert lineage.deps_by_column.keys() == set(names)
    sources = {dep.column_name for dep in lineage.deps_by_column[UNIQUE_ROW_ID.name]}
    pickup, dropoff = "lpep_pickup_datetime", "lpep_dropoff_datetime"
    assert sources == {"VendorID", pickup, dropoff, "PULocationID", "DOLocationID"}
    assert lineage.deps_by_column[FILENAME.name] == []


def test_a_second_run_sends_and_changes_nothing(
    platform: Platform, instance: dg.DagsterInstance, mirror: HttpMirror, storage_front: UnreliableGoogle
) -> None:
    publish(mirror.folder, YELLOW, csv_text(YELLOW, [trip(YELLOW)]))
    first = platform.run(instance, YELLOW)
    storage_front.requests.clear()
    second = platform.run(instance, YELLOW)
    assert {asked.method for asked in storage_front.requests} == {"GET"}
    assert shown(second, "gcs_csv")["generation"] == shown(first, "gcs_csv")["generation"]
    assert [shown(second, asset)["made"] for asset in ("bigquery_external", "bigquery_monthly")] == [False, False]
    assert shown(second, TRIPDATA)["changed"] is False
    assert shown(second, TRIPDATA)["loaded_at"] == shown(first, TRIPDATA)["loaded_at"]


def test_a_corrected_file_takes_the_place_of_the_older_version(
    platform: Platform, instance: dg.DagsterInstance, mirror: HttpMirror
) -> None:
    publish(mirror.folder, GREEN, csv_text(GREEN, [trip(GREEN), trip(GREEN, "02 02:00:00")]))
    first = platform.run(instance, GREEN)
    publish(mirror.folder, GREEN, csv_text(GREEN, [trip(GREEN, fare_amount="-8")]))
    told = shown(platform.run(instance, GREEN), TRIPDATA)
    assert (told["rows_in_table"], told["rows_replaced"]) == (1, 2)
    assert told["replaced_sha256"] == shown(first, TRIPDATA)["sha256"]
    assert platform.query("SELECT CAST(fare_amount AS INT64) AS fare FROM `{}.green_tripdata`") == [{"fare": -8}]


def test_the_data_version_is_the_file_s(platform: Platform, instance: dg.DagsterInstance, mirror: HttpMirror) -> None:
    publish(mirror.folder, GREEN, csv_text(GREEN, [trip(GREEN)]))
    result = platform.run(instance, GREEN)
    for event in result.get_asset_materialization_events():
        name = event.asset_key.to_user_string() if event.asset_key else ""
        if name in MONTHLY:
            version = (event.materialization.tags or {})["dagster/data_version"]
            assert version == shown(result, "gcs_csv")["sha256"], name


def test_each_asset_can_be_run_alone_after_the_one_before(
    platform: Platform, instance: dg.DagsterInstance, mirror: HttpMirror
) -> None:
    publish(mirror.folder, GREEN, csv_text(GREEN, [trip(GREEN)]))
    for assets in (SETUP, *((asset,) for asset in MONTHLY)):
        platform.run(instance, GREEN, *assets)
    assert platform.query("SELECT COUNT(*) AS n FROM `{}.green_tripdata`") == [{"n": 1}]
    for asset in reversed(MONTHLY):
        platform.run(instance, GREEN, asset)


@pytest.mark.parametrize("asset", MONTHLY[2:])
def test_an_asset_before_its_turn_says_what_to_run(
    platform: Platform, instance: dg.DagsterInstance, asset: str
) -> None:
    platform.run(instance, GREEN, *SETUP)
    step, said = failure(platform.run(instance, GREEN, asset, fails=True))
    assert step == asset
    assert "--select '+key:bigquery_tripdata' --partition 'green|2020-04'" in said


def test_what_is_wrong_with_the_dataset_is_said_before_anything_is_sent(
    platform: Platform,
    instance: dg.DagsterInstance,
    mirror: HttpMirror,
    storage_front: UnreliableGoogle,
    bigquery_front: UnreliableGoogle,
) -> None:
    publish(mirror.folder, GREEN, csv_text(GREEN, [trip(GREEN)]))
    bigquery_front.fail(1, error(403, "accessDenied", "Access Denied"), lambda asked: bool(asked.statement))
    step, said = failure(platform.run(instance, GREEN, fails=True))
    assert step == "bigquery_dataset"
    assert "Grant the account roles/bigquery.user" in said
    assert not [asked for asked in storage_front.requests if asked.path.startswith("/upload/")]
    retries = [
        event for event in instance.all_logs(instance.get_runs()[0].run_id) if "RETRY" in str(event.dagster_event_type)
    ]
    assert retries == [], "the same run would fail again"


def test_without_any_setting_the_first_step_says_what_to_set(
    instance: dg.DagsterInstance, mirror: HttpMirror, tmp_path: Path
) -> None:
    publish(mirror.folder, GREEN, csv_text(GREEN, [trip(GREEN)]))
    platform = Platform(mirror, GoogleStorage(), GoogleBigQuery(), tmp_path / "raw")
    step, said = failure(platform.run(instance, GREEN, "gcs_bucket", fails=True))
    assert (step, "GCP_BUCKET_NAME is not set." in said) == ("gcs_bucket", True)
    step, said = failure(platform.run(instance, GREEN, "bigquery_dataset", fails=True))
    assert (step, "GCP_PROJECT_ID is not set." in said) == ("bigquery_dataset", True)


def test_rows_that_are_gone_fail_the_check(
    platform: Platform, instance: dg.DagsterInstance, mirror: HttpMirror
) -> None:
    publish(mirror.folder, GREEN, csv_text(GREEN, [trip(GREEN), trip(GREEN, "02 02:00:00")]))
    platform.run(instance, GREEN)
    platform.query("DELETE FROM `{}.green_tripdata` WHERE DATE(lpep_pickup_datetime) = '2020-04-02'")
    checks = platform.defs.resolve_implicit_global_asset_job_def().get_subset(
        asset_selection=set(),
        asset_check_selection={dg.AssetCheckKey(dg.AssetKey(TRIPDATA), "every_row_accounted_for")},
    )
    result = checks.execute_in_process(partition_key=GREEN.key, instance=instance)
    assert [each.passed for each in result.get_asset_check_evaluations()] == [False]
