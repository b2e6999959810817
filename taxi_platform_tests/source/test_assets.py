"""The asset raw_csv, run by Dagster."""

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
from taxi_platform_tests.support.sample_files import GREEN, YELLOW, csv_of, header_of, rows_of, sample_gz


@pytest.fixture
def server():
    with FaultyServer().running() as server:
        for month in (GREEN, YELLOW):
            server.publish(f"{month.colour.name}/{month.gz_name}", sample_gz(month, 300))
        yield server


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@dg.asset(partitions_def=trip_partitions)
def rows_handed_over(raw_csv: RawFile) -> dg.MaterializeResult:
    """What the next asset is given."""
    return dg.MaterializeResult(metadata={"rows": raw_csv.rows, "path": str(raw_csv.path), "sha256": raw_csv.sha256})


class Platform:
    """The two assets over one server, one folder and one instance."""

    def __init__(self, url: str, folder: Path, instance: dg.DagsterInstance) -> None:
        mirror = Mirror(base_url=url, attempts=2, first_wait=0.001)
        self.files = RawFiles(mirror=mirror, folder=str(folder))
        self.instance = instance

    def run(
        self, month: TripMonth = GREEN, selection: str = "raw_csv", refresh: bool | None = None
    ) -> dg.ExecuteInProcessResult:
        config = {} if refresh is None else {"ops": {"raw_csv": {"config": {"refresh": refresh}}}}
        return dg.materialize(
            [raw_csv, rows_handed_over],
            selection=selection,
            partition_key=month.key,
            instance=self.instance,
            resources={"raw_files": self.files},
            run_config=config,
            raise_on_error=False,
        )

    def log(self, result: dg.ExecuteInProcessResult) -> str:
        return "\n".join(str(entry) for entry in self.instance.all_logs(result.run_id))


@pytest.fixture
def platform(server, tmp_path, instance):
    return Platform(server.url, tmp_path / "raw", instance)


def facts(result: dg.ExecuteInProcessResult, asset: str = "raw_csv") -> dict:
    assert result.success
    [event] = [e for e in result.get_asset_materialization_events() if e.asset_key == dg.AssetKey(asset)]
    return {name: value.value for name, value in event.materialization.metadata.items()}


@pytest.mark.parametrize("month", [GREEN, YELLOW])
def test_a_run_shows_what_it_fetched(platform, server, tmp_path, month):
    result = platform.run(month)
    shown = facts(result)
    path = tmp_path / "raw" / month.colour.name / month.gz_name

    assert shown["dagster/uri"] == path.as_uri()
    assert shown["dagster/partition_row_count"] == 300
    assert (shown["bytes"], shown["uncompressed_bytes"]) == (
        path.stat().st_size,
        len(gzip.decompress(path.read_bytes())),
    )
    assert shown["url"] == f"{server.url}/{month.colour.name}/{month.gz_name}"
    assert (shown["reused"], shown["extra_columns"], shown["columns_in_usual_order"]) == (False, "none", True)
    assert shown["megabytes_per_second"] > 0
    schema = shown["dagster/column_schema"]
    assert [column.name for column in schema.columns] == header_of(month)


def test_the_data_version_is_the_file_s_sha256(platform, instance):
    shown = facts(platform.run())
    [event] = instance.fetch_materializations(dg.AssetKey("raw_csv"), limit=1).records

    assert event.asset_materialization.tags["dagster/data_version"] == shown["sha256"]


def test_a_second_run_fetches_nothing(platform, server):
    first = facts(platform.run())
    again = facts(platform.run())

    assert again["reused"]
    assert "megabytes_per_second" not in again
    assert again["sha256"] == first["sha256"]
    assert server.headers_seen("If-None-Match")[1] == first["etag"]


def test_refresh_in_the_run_configuration_fetches_in_any_case(platform):
    facts(platform.run())

    assert facts(platform.run(refresh=False))["reused"]
    assert not facts(platform.run(refresh=True))["reused"]


def test_an_unknown_column_is_named_in_a_warning_and_in_the_metadata(platform, server):
    header, rows = header_of(GREEN), rows_of(GREEN, 3)
    text = csv_of(["cbd_fee", *header[::-1]], [["0.75", *row[::-1]] for row in rows])
    server.publish(f"green/{GREEN.gz_name}", gzip.compress(text))
    result = platform.run()
    shown = facts(result)

    assert (shown["extra_columns"], shown["columns_in_usual_order"]) == ("cbd_fee", False)
    assert "has columns that are not loaded: cbd_fee" in platform.log(result)
    assert 'Column("cbd_fee", Kind.NUMBER, "<description>", since="2020-04")' in platform.log(result)
    assert shown["dagster/column_schema"].columns[0].name == "cbd_fee"


def test_the_next_asset_is_handed_the_file(platform, tmp_path):
    shown = facts(platform.run(selection="*"), "rows_handed_over")

    assert shown["rows"] == 300
    assert shown["path"] == str(tmp_path / "raw" / "green" / GREEN.gz_name)


def test_the_next_asset_alone_is_handed_what_is_published_now(platform, server):
    facts(platform.run())
    server.publish(f"green/{GREEN.gz_name}", sample_gz(GREEN, 400))

    assert facts(platform.run(selection="rows_handed_over"), "rows_handed_over")["rows"] == 400


@pytest.mark.parametrize("answers", [503, 404])
def test_the_next_asset_alone_makes_do_with_the_file_that_is_there(platform, server, answers):
    facts(platform.run())
    server.faults = [Fault(status=answers)] * 200
    result = platform.run(selection="rows_handed_over")

    assert facts(result, "rows_handed_over")["rows"] == 300
    assert "The file on disk is used" in platform.log(result)


def test_the_next_asset_fetches_a_file_that_is_not_on_this_machine(platform, server, tmp_path, instance):
    fetched = facts(platform.run())
    elsewhere = Platform(server.url, tmp_path / "another disk", instance)
    result = elsewhere.run(selection="rows_handed_over")
    shown = facts(result, "rows_handed_over")

    assert shown["sha256"] == fetched["sha256"]
    assert "another disk" in shown["path"]
    assert "which was not on this machine" in elsewhere.log(result)


@pytest.mark.parametrize("content", [b"<html><title>Sign in</title>", sample_gz(GREEN)[:-10], sample_gz(YELLOW)])
def test_a_bad_file_fails_the_run_at_once_and_is_not_retried(platform, server, content):
    server.publish(f"green/{GREEN.gz_name}", content)
    result = platform.run()

    assert not result.success
    assert GREEN.gz_name in platform.log(result)
    assert not [event for event in result.all_events if event.event_type_value == "STEP_UP_FOR_RETRY"]


def test_no_log_of_a_run_has_a_signed_address(platform, server):
    server.redirect_query = "X-Signature=top-secret"
    logs = [platform.log(platform.run())]
    server.faults = [Fault(status=403)]
    logs.append(platform.log(platform.run(refresh=True)))
    server.faults = [Fault(status=302, headers={"Location": "https://localhost:1/?X-Signature=top-secret"})]
    logs.append(platform.log(platform.run(refresh=True)))

    assert "answers 403" in logs[1]
    assert "cannot be reached" in logs[2]
    assert not any("top-secret" in log for log in logs)


def test_transient_failures_are_retried_by_dagster_with_growing_waits():
    policy = raw_csv.op.retry_policy

    assert policy is not None
    assert (policy.max_retries, policy.backoff, policy.jitter) == (2, dg.Backoff.EXPONENTIAL, dg.Jitter.PLUS_MINUS)


def test_the_definition_shows_the_columns_of_all_colours():
    schema = raw_csv.get_asset_spec().metadata["dagster/column_schema"]
    described = {column.name: (column.type, column.description) for column in schema.columns}

    assert described["trip_type"] == ("text: integer", "Green only. How the trip began: 1 street hail, 2 dispatch.")
    assert described["fare_amount"][0] == "text: number"
    assert len(described) == 22
