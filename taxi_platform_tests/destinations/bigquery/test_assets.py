"""The BigQuery destination as Dagster runs it, from a mirror over HTTP to rows, checks and metadata."""

from pathlib import Path

import dagster as dg
import pytest

from taxi_platform.google_cloud.connection import GoogleCloud
from taxi_platform.trips.columns import FILENAME, UNIQUE_ROW_ID
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.support.google_fixtures import Query
from taxi_platform_tests.support.http_mirror import HttpMirror
from taxi_platform_tests.support.platform import Platform, checks_of, failure_of, metadata_of, platform_over
from taxi_platform_tests.support.trip_files import csv_text, publish, trip
from taxi_platform_tests.support.unreliable_google import UnreliableGoogle, error

GREEN = TripMonth.from_key("green|2020-04")
YELLOW = TripMonth.from_key("yellow|2020-04")
SETUP = ("gcs_bucket", "bigquery_dataset")
MONTHLY = ("raw_csv", "gcs_csv", "bigquery_external", "bigquery_monthly", "bigquery_tripdata")
ALL = (*SETUP, *MONTHLY)
TRIPDATA = "bigquery_tripdata"


@pytest.fixture
def platform(mirror: HttpMirror, cloud: GoogleCloud, instance: dg.DagsterInstance, tmp_path: Path) -> Platform:
    return platform_over(mirror.url, tmp_path, instance, google_cloud=cloud)


def test_month_is_loaded_from_mirror_to_merged_table(platform: Platform, mirror: HttpMirror, query: Query) -> None:
    rows = [trip(GREEN), trip(GREEN, "02 02:00:00", VendorID=""), trip(GREEN, "2020-03-31 23:59:59")]
    publish(mirror.folder, GREEN, csv_text(GREEN, rows))
    result = platform.run(GREEN, *ALL)
    shown = metadata_of(result, TRIPDATA)
    assert query("SELECT COUNT(*) FROM {green_tripdata}") == [(3,)]
    checks = checks_of(result)
    assert {
        name: checks[name] for name in ("every_row_accounted_for", "rows_as_published", "pickups_inside_month")
    } == {
        "every_row_accounted_for": True,
        "rows_as_published": True,
        "pickups_inside_month": False,
    }
    assert (shown["rows_in_file"], shown["rows_in_table"], shown["duplicates_skipped"]) == (3, 3, 0)
    assert shown["pickups_outside_month"] == 1
    assert shown["changed"] is True
    assert {"job_ids", "bytes_processed", "slot_milliseconds"} <= shown.keys()


def test_metadata_names_objects_and_tables(platform: Platform, mirror: HttpMirror, own: str) -> None:
    publish(mirror.folder, GREEN, csv_text(GREEN, [trip(GREEN)]))
    result = platform.run(GREEN, *ALL)
    uploaded = metadata_of(result, "gcs_csv")
    assert uploaded["dagster/uri"] == f"gs://{own}/raw/green/2020/green_tripdata_2020-04.csv.gz"
    assert uploaded["uploaded"] is True
    assert {"generation", "bytes", "md5", "sha256"} <= uploaded.keys()
    assert str(uploaded["console"]).startswith("https://console.cloud.google.com/storage/browser/_details/")
    assert {asset: metadata_of(result, asset)["dagster/table_name"] for asset in MONTHLY[2:]} == {
        "bigquery_external": f"test-project.{own}.green_tripdata_2020_04_ext",
        "bigquery_monthly": f"test-project.{own}.green_tripdata_2020_04",
        "bigquery_tripdata": f"test-project.{own}.green_tripdata",
    }
    assert metadata_of(result, "gcs_bucket")["created"] is True
    assert metadata_of(result, "bigquery_dataset")["location"] == "us-central1"
    for asset in ("bigquery_monthly", TRIPDATA):
        [record] = metadata_of(result, asset)["preview"].records
        assert record.data["filename"] == GREEN.filename


def test_columns_have_descriptions_and_lineage(platform: Platform, mirror: HttpMirror) -> None:
    publish(mirror.folder, GREEN, csv_text(GREEN, [trip(GREEN)]))
    shown = metadata_of(platform.run(GREEN, *ALL), TRIPDATA)
    schema, lineage = shown["dagster/column_schema"], shown["dagster/column_lineage"]
    assert [column.name for column in schema.columns if not column.description] == []
    names = [UNIQUE_ROW_ID.name, FILENAME.name, *[column.name for column in GREEN.colour.columns]]
    assert [column.name for column in schema.columns] == names
    assert lineage.deps_by_column.keys() == set(names)
    sources = {dep.column_name for dep in lineage.deps_by_column[UNIQUE_ROW_ID.name]}
    assert sources == {
        "VendorID", "lpep_pickup_datetime", "lpep_dropoff_datetime", "PULocationID", "DOLocationID"
    }  # fmt: skip
    assert lineage.deps_by_column[FILENAME.name] == []


def test_rerun_uploads_and_changes_nothing(
    platform: Platform, mirror: HttpMirror, storage_front: UnreliableGoogle
) -> None:
    publish(mirror.folder, YELLOW, csv_text(YELLOW, [trip(YELLOW)]))
    first = platform.run(YELLOW, *ALL)
    storage_front.requests.clear()
    second = platform.run(YELLOW, *ALL)
    assert {request.method for request in storage_front.requests} == {"GET"}
    assert metadata_of(second, "gcs_csv")["generation"] == metadata_of(first, "gcs_csv")["generation"]
    for asset in ("bigquery_external", "bigquery_monthly"):
        assert metadata_of(second, asset)["created"] is False
    assert metadata_of(second, TRIPDATA)["changed"] is False
    assert metadata_of(second, TRIPDATA)["loaded_at"] == metadata_of(first, TRIPDATA)["loaded_at"]


def test_corrected_file_replaces_month(platform: Platform, mirror: HttpMirror, query: Query) -> None:
    publish(mirror.folder, GREEN, csv_text(GREEN, [trip(GREEN), trip(GREEN, "02 02:00:00")]))
    first = platform.run(GREEN, *ALL)
    publish(mirror.folder, GREEN, csv_text(GREEN, [trip(GREEN, fare_amount="-8")]))
    shown = metadata_of(platform.run(GREEN, *ALL), TRIPDATA)
    assert shown["rows_in_table"] == 1
    assert shown["replaced_sha256"] == metadata_of(first, TRIPDATA)["sha256"]
    assert query("SELECT CAST(fare_amount AS INT64) FROM {green_tripdata}") == [(-8,)]


def test_data_version_is_the_file_s_sha256(platform: Platform, mirror: HttpMirror) -> None:
    publish(mirror.folder, GREEN, csv_text(GREEN, [trip(GREEN)]))
    result = platform.run(GREEN, *ALL)
    versions = {
        event.asset_key.to_user_string(): (event.materialization.tags or {}).get("dagster/data_version")
        for event in result.get_asset_materialization_events()
        if event.asset_key
    }
    sha256 = metadata_of(result, "gcs_csv")["sha256"]
    assert {name: versions[name] for name in MONTHLY} == dict.fromkeys(MONTHLY, sha256)


def test_each_asset_runs_alone_after_its_upstream(platform: Platform, mirror: HttpMirror, query: Query) -> None:
    publish(mirror.folder, GREEN, csv_text(GREEN, [trip(GREEN)]))
    for assets in (SETUP, *((asset,) for asset in MONTHLY)):
        assert platform.run(GREEN, *assets).success
    assert query("SELECT COUNT(*) FROM {green_tripdata}") == [(1,)]
    for asset in reversed(MONTHLY):
        assert platform.run(GREEN, asset).success


@pytest.mark.parametrize("asset", MONTHLY[2:])
def test_asset_without_upstream_names_what_to_run(platform: Platform, asset: str) -> None:
    platform.run(GREEN, *SETUP)
    step, message = failure_of(platform.run(GREEN, asset))
    assert step == asset
    assert "--select '+key:bigquery_tripdata' --partition 'green|2020-04'" in message


def test_denied_dataset_fails_before_any_upload(
    platform: Platform, mirror: HttpMirror, storage_front: UnreliableGoogle, bigquery_front: UnreliableGoogle
) -> None:
    publish(mirror.folder, GREEN, csv_text(GREEN, [trip(GREEN)]))
    bigquery_front.fail(1, error(403, "accessDenied", "Access Denied"), lambda request: bool(request.statement))
    result = platform.run(GREEN, *ALL)
    step, message = failure_of(result)
    assert step == "bigquery_dataset"
    assert "Grant the account roles/bigquery.user" in message
    assert not [request for request in storage_front.requests if request.path.startswith("/upload/")]
    assert not [event for event in result.all_events if "RETRY" in event.event_type_value]


def test_missing_settings_are_named_by_the_first_step(
    instance: dg.DagsterInstance, mirror: HttpMirror, tmp_path: Path
) -> None:
    platform = platform_over(mirror.url, tmp_path, instance)
    step, message = failure_of(platform.run(GREEN, "gcs_bucket"))
    assert (step, "GCP_BUCKET_NAME is not set." in message) == ("gcs_bucket", True)
    step, message = failure_of(platform.run(GREEN, "bigquery_dataset"))
    assert (step, "GCP_PROJECT_ID is not set." in message) == ("bigquery_dataset", True)


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("DELETE FROM {green_tripdata} WHERE DATE(lpep_pickup_datetime) = '2020-04-02'", "row_count"),
        ("UPDATE {green_tripdata} SET tip_amount = 99 WHERE DATE(lpep_pickup_datetime) = '2020-04-02'", "tip_amount"),
        ("UPDATE {green_tripdata} SET unique_row_id = MD5('x') WHERE tip_amount = 0", "unique_row_id"),
        (
            "INSERT INTO {green_tripdata} (filename, lpep_pickup_datetime, unique_row_id) "
            "VALUES ('green_tripdata_2020-04.csv', TIMESTAMP '2031-01-01 00:00:00+00', MD5('x'))",
            "row_count",
        ),
    ],
    ids=["deleted", "amount", "row id", "inserted on another day"],
)
def test_change_by_hand_fails_check_until_rerun(
    platform: Platform, mirror: HttpMirror, query: Query, change: str, value: str
) -> None:
    publish(mirror.folder, GREEN, csv_text(GREEN, [trip(GREEN), trip(GREEN, "02 02:00:00")]))
    assert platform.run(GREEN, *ALL).success
    before = sorted(query("SELECT * FROM {green_tripdata}"))
    query(change)
    checks = platform.defs.resolve_implicit_global_asset_job_def().get_subset(
        asset_selection=set(),
        asset_check_selection={dg.AssetCheckKey(dg.AssetKey(TRIPDATA), "every_row_accounted_for")},
    )
    result = checks.execute_in_process(partition_key=GREEN.key, instance=platform.instance)
    [evaluation] = result.get_asset_check_evaluations()
    assert not evaluation.passed
    assert value in (evaluation.description or "")
    assert checks_of(platform.run(GREEN, *ALL))["every_row_accounted_for"]
    assert sorted(query("SELECT * FROM {green_tripdata}")) == before
