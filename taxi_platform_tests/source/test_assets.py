import gzip
from pathlib import Path

import dagster as dg
import pytest

from taxi_platform.source.assets import raw_csv
from taxi_platform.source.file_store import RawFiles
from taxi_platform.source.mirror import Mirror
from taxi_platform.source.raw_file import RawFile
from taxi_platform.trips.partitions import TripMonth, trip_partitions
from taxi_platform_tests.support.faulty_server import Fault, FaultyServer
from taxi_platform_tests.support.platform import Platform, metadata_of
from taxi_platform_tests.support.sample_files import GREEN, YELLOW, csv_of, header_of, rows_of, sample_gz


@pytest.fixture
def server():
    with FaultyServer().running() as server:
        for month in (GREEN, YELLOW):
            server.publish(f"{month.colour.name}/{month.gz_name}", sample_gz(month, 300))
        yield server


@dg.asset(partitions_def=trip_partitions)
def next_asset(raw_csv: RawFile) -> dg.MaterializeResult:
    """Record what the input is."""
    return dg.MaterializeResult(metadata={"rows": raw_csv.rows, "path": str(raw_csv.path), "sha256": raw_csv.sha256})


def platform_in(folder: Path, url: str, instance: dg.DagsterInstance) -> Platform:
    """Return the two assets over one server."""
    files = RawFiles(mirror=Mirror(base_url=url, attempts=2, first_wait=0.001), folder=str(folder))
    defs = dg.Definitions([raw_csv, next_asset], resources={"raw_files": files})
    return Platform(defs, instance, files, folder)


@pytest.fixture
def platform(server: FaultyServer, tmp_path: Path, instance: dg.DagsterInstance) -> Platform:
    return platform_in(tmp_path / "raw", server.url, instance)


def download(platform: Platform, month: TripMonth = GREEN, *, refresh: bool = False) -> dg.ExecuteInProcessResult:
    return platform.run(month, "raw_csv", ops={"raw_csv": {"refresh": refresh}})


@pytest.mark.parametrize("month", [GREEN, YELLOW])
def test_metadata_describes_the_file(platform, server, tmp_path, month):
    result = download(platform, month)
    metadata = metadata_of(result, "raw_csv")
    path = tmp_path / "raw" / month.colour.name / month.gz_name

    assert metadata["dagster/uri"] == path.as_uri()
    assert metadata["dagster/partition_row_count"] == 300
    assert (metadata["bytes"], metadata["uncompressed_bytes"]) == (
        path.stat().st_size,
        len(gzip.decompress(path.read_bytes())),
    )
    assert metadata["url"] == f"{server.url}/{month.colour.name}/{month.gz_name}"
    assert (metadata["reused"], metadata["extra_columns"], metadata["columns_in_usual_order"]) == (False, "none", True)
    assert metadata["megabytes_per_second"] > 0
    schema = metadata["dagster/column_schema"]
    assert [column.name for column in schema.columns] == header_of(month)


def test_data_version_is_sha256(platform, instance):
    metadata = metadata_of(download(platform), "raw_csv")
    [event] = instance.fetch_materializations(dg.AssetKey("raw_csv"), limit=1).records

    assert event.asset_materialization.tags["dagster/data_version"] == metadata["sha256"]


def test_second_run_reuses_the_file(platform, server):
    first = metadata_of(download(platform), "raw_csv")
    again = metadata_of(download(platform), "raw_csv")

    assert again["reused"]
    assert "megabytes_per_second" not in again
    assert again["sha256"] == first["sha256"]
    assert server.headers_seen("If-None-Match")[1] == first["etag"]


def test_refresh_in_the_run_configuration_downloads(platform):
    metadata_of(download(platform), "raw_csv")

    assert metadata_of(download(platform, refresh=False), "raw_csv")["reused"]
    assert not metadata_of(download(platform, refresh=True), "raw_csv")["reused"]


def test_unknown_column_is_in_warning_and_metadata(platform, server):
    header, rows = header_of(GREEN), rows_of(GREEN, 3)
    text = csv_of(["cbd_fee", *header[::-1]], [["0.75", *row[::-1]] for row in rows])
    server.publish(f"green/{GREEN.gz_name}", gzip.compress(text))
    result = download(platform)
    metadata = metadata_of(result, "raw_csv")

    assert (metadata["extra_columns"], metadata["columns_in_usual_order"]) == ("cbd_fee", False)
    assert "has columns that are not loaded: cbd_fee" in platform.log(result)
    assert 'Column("cbd_fee", Kind.NUMBER, "<description>", since="2020-04")' in platform.log(result)
    assert metadata["dagster/column_schema"].columns[0].name == "cbd_fee"


def test_next_asset_gets_the_file(platform, tmp_path):
    metadata = metadata_of(platform.run(GREEN), "next_asset")

    assert metadata["rows"] == 300
    assert metadata["path"] == str(tmp_path / "raw" / "green" / GREEN.gz_name)


def test_next_asset_alone_gets_the_published_version(platform, server):
    metadata_of(download(platform), "raw_csv")
    server.publish(f"green/{GREEN.gz_name}", sample_gz(GREEN, 400))

    assert metadata_of(platform.run(GREEN, "next_asset"), "next_asset")["rows"] == 400


@pytest.mark.parametrize("status", [503, 404])
def test_next_asset_alone_falls_back_to_file_on_disk(platform, server, status):
    metadata_of(download(platform), "raw_csv")
    server.faults = [Fault(status=status)] * 200
    result = platform.run(GREEN, "next_asset")

    assert metadata_of(result, "next_asset")["rows"] == 300
    assert "The file on disk is used" in platform.log(result)


def test_next_asset_alone_downloads_a_missing_file(platform, server, tmp_path, instance):
    downloaded = metadata_of(download(platform), "raw_csv")
    elsewhere = platform_in(tmp_path / "another disk", server.url, instance)
    result = elsewhere.run(GREEN, "next_asset")
    metadata = metadata_of(result, "next_asset")

    assert metadata["sha256"] == downloaded["sha256"]
    assert "another disk" in metadata["path"]
    assert "which was missing on this machine" in elsewhere.log(result)


@pytest.mark.parametrize("content", [b"<html><title>Sign in</title>", sample_gz(GREEN)[:-10], sample_gz(YELLOW)])
def test_invalid_file_fails_the_run_without_retry(platform, server, content):
    server.publish(f"green/{GREEN.gz_name}", content)
    result = download(platform)

    assert not result.success
    assert GREEN.gz_name in platform.log(result)
    assert not [event for event in result.all_events if event.event_type_value == "STEP_UP_FOR_RETRY"]


def test_logs_contain_no_signed_url(platform, server):
    server.redirect_query = "X-Signature=top-secret"
    logs = [platform.log(download(platform))]
    server.faults = [Fault(status=403)]
    logs.append(platform.log(download(platform, refresh=True)))
    server.faults = [Fault(status=302, headers={"Location": "https://localhost:1/?X-Signature=top-secret"})]
    logs.append(platform.log(download(platform, refresh=True)))

    assert "responded 403" in logs[1]
    assert "failed (ConnectionError)" in logs[2]
    assert not any("top-secret" in log for log in logs)


def test_retry_policy_has_exponential_backoff():
    policy = raw_csv.op.retry_policy

    assert policy is not None
    assert (policy.max_retries, policy.backoff, policy.jitter) == (2, dg.Backoff.EXPONENTIAL, dg.Jitter.PLUS_MINUS)


def test_definition_has_columns_of_all_colours():
    schema = raw_csv.get_asset_spec().metadata["dagster/column_schema"]
    described = {column.name: (column.type, column.description) for column in schema.columns}

    assert described["trip_type"] == ("text: integer", "Green only. How the trip began: 1 street hail, 2 dispatch.")
    assert described["fare_amount"][0] == "text: number"
    assert len(described) == 24
