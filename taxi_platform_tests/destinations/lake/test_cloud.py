"""The lake's files in the bucket and BigQuery's external tables over them, on the emulators."""

import uuid
from pathlib import Path

import dagster as dg
import pytest

from taxi_platform.destinations.lake.cloud import object_name
from taxi_platform.destinations.lake.lake_files import file_path
from taxi_platform.destinations.lake.resource import Lake
from taxi_platform.google_cloud.connection import GoogleCloud
from taxi_platform.local.emulators.servers import Emulators
from taxi_platform_tests.destinations.contract import APRIL, MARCH
from taxi_platform_tests.support.http_mirror import HttpMirror
from taxi_platform_tests.support.platform import Platform, metadata_of, platform_over
from taxi_platform_tests.support.trip_files import csv_text, publish, trip


@pytest.fixture
def cloud(emulators: Emulators) -> GoogleCloud:
    own = f"test_{uuid.uuid4().hex[:12]}"
    return GoogleCloud(
        project="test-project",
        bucket=own,
        dataset=own,
        storage_endpoint=emulators.storage_url,
        bigquery_endpoint=emulators.bigquery_url,
        retry_seconds=10,
    )


@pytest.fixture
def platform(
    mirror: HttpMirror, tmp_path: Path, lake: Lake, cloud: GoogleCloud, instance: dg.DagsterInstance
) -> Platform:
    for month in (MARCH, APRIL):
        publish(mirror.folder, month, csv_text(month, [trip(month), trip(month, "02 02:00:00", fare_amount="9.5")]))
    return platform_over(mirror.url, tmp_path, instance, lake=lake, google_cloud=cloud)


def test_file_is_uploaded_once(platform: Platform, lake: Lake, cloud: GoogleCloud) -> None:
    first = metadata_of(platform.run(APRIL, "raw_csv", "lake_parquet", "lake_object"), "lake_object")
    assert first["dagster/uri"] == f"gs://{cloud.bucket_name}/{object_name(APRIL)}"
    with cloud.open_bucket("reading") as bucket:
        assert bucket.blob(object_name(APRIL)).download_as_bytes() == file_path(lake.folder, APRIL).read_bytes()
    again = metadata_of(platform.run(APRIL, "lake_object"), "lake_object")
    assert (first["uploaded"], again["uploaded"]) == (True, False)


def test_external_table_reads_all_months(platform: Platform, cloud: GoogleCloud) -> None:
    for month in (MARCH, APRIL):
        assert platform.run(month, "raw_csv", "lake_parquet", "lake_object").success
    assert platform.run(None, "gcs_bucket", "bigquery_dataset").success
    name = f"test-project.{cloud.dataset_name}.green_tripdata_lake"
    assert metadata_of(platform.run(None, "lake_external"), "lake_external") == {name: "created"}
    assert metadata_of(platform.run(None, "lake_external"), "lake_external") == {name: "unchanged"}
    query = f"SELECT colour, month, COUNT(*) AS trips, SUM(fare_amount) AS fares FROM `{name}` GROUP BY 1, 2 ORDER BY 2"
    found = [tuple(row) for row in cloud.bigquery_client.query_and_wait(query)]
    assert found == [("green", "2020-03", 2, 17.5), ("green", "2020-04", 2, 17.5)]
    table = cloud.bigquery_client.get_table(name)
    assert table.external_data_configuration
    partitions = table.external_data_configuration.hive_partitioning
    assert partitions
    assert partitions.source_uri_prefix == f"gs://{cloud.bucket_name}/lake/{{colour:STRING}}/{{month:STRING}}"
    assert not partitions.require_partition_filter
    types = {field.name: field.field_type for field in table.schema}
    assert types["lpep_pickup_datetime"] == "DATETIME"
    assert types["fare_amount"] in ("FLOAT", "FLOAT64")


def test_without_google_cloud_nothing_is_materialized(
    mirror: HttpMirror, tmp_path: Path, lake: Lake, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GCP_PROJECT_ID", "GCP_BUCKET_NAME"):
        monkeypatch.delenv(name, raising=False)
    publish(mirror.folder, APRIL, csv_text(APRIL, [trip(APRIL)]))
    platform = platform_over(mirror.url, tmp_path, instance, lake=lake)
    run = platform.run(APRIL, "raw_csv", "lake_parquet", "lake_object")
    assert run.success
    assert {
        event.asset_key.to_user_string() for event in run.get_asset_materialization_events() if event.asset_key
    } == {*("raw_csv", "lake_parquet")}
    assert platform.run(None, "lake_external").success
