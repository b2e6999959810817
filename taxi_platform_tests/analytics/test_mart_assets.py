"""The marts as Dagster builds them: from published files to tables, checks, failures, and the sensor."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from taxi_platform.analytics.definitions import MARTS
from taxi_platform.analytics.mart_assets import mart_key
from taxi_platform.analytics.marts import version_of
from taxi_platform.analytics.models import MODELS
from taxi_platform.analytics.sensor import BY_FILE, consecutive_months, stale_months
from taxi_platform.destinations.lake.merge import load as load_into_lake
from taxi_platform.destinations.lake.resource import Lake
from taxi_platform.destinations.postgres.merge import merge
from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.destinations.postgres.staging import stage
from taxi_platform.source.raw_file import RawFile
from taxi_platform.trips.load_record import LoadRecord, Skipped
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.support.dbt_declarations import declarations, parse_project
from taxi_platform_tests.support.platform import Platform, platform_over
from taxi_platform_tests.support.trip_files import Row, csv_text, publish, raw_file, trip

APRIL = TripMonth.from_key("green|2020-04")
MAY = TripMonth.from_key("green|2020-05")
RESULTS = ("fct_monthly_zone_revenue", "fare_percentiles_by_month", "quarterly_revenue")
MARTS_OF = {marts.name: marts for marts in MARTS}


def platform_in(folder: Path, source_url: str, database_url: str, instance: dg.DagsterInstance) -> Platform:
    """Return the definitions over published files, a database and a lake of the test's own."""
    lake = Lake(path=str(folder / "lake"))
    return platform_over(source_url, folder, instance, postgres=Postgres(url=database_url), lake=lake)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAXI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TAXI_ZONES_URL", (tmp_path / "no zones").as_uri())


@pytest.fixture
def platform(settings: None, tmp_path: Path, postgres_url: str, instance: dg.DagsterInstance) -> Platform:
    return platform_in(tmp_path, (tmp_path / "mirror").as_uri(), postgres_url, instance)


def resources(platform: Platform) -> dict[str, Any]:
    return {name: (platform.defs.resources or {})[name] for name in ("postgres", "lake")}


def query(platform: Platform, name: str, statement: str) -> list[tuple]:
    with MARTS_OF[name].reading(resources(platform)) as run:
        return run(statement)


def tick(platform: Platform, cursor: str | None) -> tuple[list[dg.RunRequest], str]:
    sensor = platform.defs.resolve_sensor_def("marts_sensor")
    with dg.build_sensor_context(
        instance=platform.instance, cursor=cursor, resources=platform.defs.resources, definitions=platform.defs
    ) as context:
        result = sensor.evaluate_tick(context)
    return list(result.run_requests or []), result.cursor or ""


def build(platform: Platform, request: dg.RunRequest) -> bool:
    """Run what the sensor requested; return whether it succeeded."""
    names = [key.to_user_string() for key in request.asset_selection or []]
    month = TripMonth.from_key(request.partition_key) if request.partition_key else None
    return platform.run(month, *names, tags=request.tags).success


def rows(month: TripMonth, count: int, **fields: str) -> list[Row]:
    return [trip(month, f"{1 + index % 28:02} {index % 24:02}:00:{index % 60:02}", **fields) for index in range(count)]


def publish_rows(platform: Platform, tmp_path: Path, month: TripMonth, published: list[Row]) -> None:
    publish(tmp_path / "mirror", month, csv_text(month, published))


def test_declarations_match_manifest() -> None:
    assert list(MODELS) == declarations(parse_project())


def test_real_month_gives_published_homework_answers(
    settings: None, tmp_path: Path, postgres_url: str, real_files: Path, instance: dg.DagsterInstance
) -> None:
    platform = platform_in(tmp_path, real_files.as_uri(), postgres_url, instance)
    answers = {}
    for name in ("postgres", "lake"):
        assert platform.run(APRIL, *platform.upstream_of(*(f"{name}/{model}" for model in RESULTS))).success
        answers[name] = {
            model: query(platform, name, f"select * from marts.{model} order by 1, 2, 3") for model in RESULTS
        }
        percentiles = "select fare_p97, fare_p95, fare_p90 from marts.fare_percentiles_by_month"
        assert query(platform, name, f"{percentiles} where pickup_month = '2020-04-01'") == [(55, 45, 26.5)]
    for model in RESULTS:
        in_postgres, in_lake = (figures(answers[name][model]) for name in ("postgres", "lake"))
        assert len(in_postgres) == len(in_lake)
        for ours, theirs in zip(in_postgres, in_lake, strict=True):
            assert ours == [pytest.approx(each, abs=0.001) if isinstance(each, float) else each for each in theirs]


def figures(found: list[tuple]) -> list[list[object]]:
    """Return the rows with decimals as floats."""
    return [[float(each) if isinstance(each, Decimal) else each for each in row] for row in found]


def test_file_to_mart_in_one_run(platform: Platform, tmp_path: Path, postgres_url: str) -> None:
    publish_rows(platform, tmp_path, APRIL, rows(APRIL, 30))
    result = platform.run(APRIL, *platform.upstream_of("postgres/fct_trips"))

    assert result.success
    (built,) = result.asset_materializations_for_node("postgres_marts")[-1:]
    assert built.asset_key == mart_key(MARTS_OF["postgres"], "fct_trips")
    assert built.partition == "green|2020-04"
    assert built.metadata["dagster/partition_row_count"].value == 30
    checks = [check for check in result.get_asset_check_evaluations() if check.asset_key == built.asset_key]
    assert len(checks) == 8
    assert all(check.passed for check in checks)
    (version,) = MARTS_OF["postgres"].versions(resources(platform), [APRIL]).values()
    assert version
    assert MARTS_OF["postgres"].built_files(resources(platform)) == {
        "fct_trips": {APRIL.filename: version["load_record"]}
    }
    password = conninfo_to_dict(postgres_url)["password"]
    for path in (tmp_path / "home" / "dbt").rglob("*"):
        assert not path.is_file() or str(password).encode() not in path.read_bytes(), path


def test_failing_test_is_failed_check(platform: Platform, tmp_path: Path) -> None:
    publish_rows(platform, tmp_path, APRIL, [*rows(APRIL, 5), trip(APRIL, "09 09:09:09", PULocationID="999")])
    result = platform.run(APRIL, *platform.upstream_of("postgres/zone_revenue_by_file"))

    failed = [check for check in result.get_asset_check_evaluations() if not check.passed]
    assert [check.check_name for check in failed] == ["pickup_location_id_relationships"]
    assert failed[0].metadata["violating_rows"].value == 1
    assert "Got 1 result" in (failed[0].description or "")
    error = result.failure_data_for_node("postgres_marts")
    assert error is not None
    assert error.user_failure_data is not None
    assert "dbt did not build zone_revenue_by_file" in (error.user_failure_data.description or "")


def test_failing_model_reports_message_of_dbt(platform: Platform, tmp_path: Path, postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("create schema marts")
        connection.execute("create table marts.fct_trips (trip_id integer)")
    publish_rows(platform, tmp_path, APRIL, rows(APRIL, 5))
    result = platform.run(APRIL, *platform.upstream_of("postgres/fct_trips"))

    error = result.failure_data_for_node("postgres_marts")
    assert error is not None
    assert error.user_failure_data is not None
    assert "fct_trips: " in (error.user_failure_data.description or "")
    assert 'column "trip_id" is of type integer' in str(error.user_failure_data.description)


def test_sensor_requests_changed_files(platform: Platform, tmp_path: Path, postgres_url: str) -> None:
    marts = MARTS_OF["postgres"]
    publish_rows(platform, tmp_path, APRIL, rows(APRIL, 5))
    publish_rows(platform, tmp_path, MAY, rows(MAY, 6))
    for month in (APRIL, MAY):
        assert platform.run(month, *platform.upstream_of("postgres_tripdata")).success
    requests, cursor = tick(platform, None)
    assert [request.tags["dagster/asset_partition_range_end"] for request in requests] == ["green|2020-05"]
    assert tick(platform, cursor)[0] == []

    assert build(platform, requests[0])
    assert query(platform, "postgres", "select count(*) from marts.fct_trips") == [(11,)]
    requests, cursor = tick(platform, cursor)
    assert requests == []

    publish_rows(platform, tmp_path, APRIL, rows(APRIL, 7))
    with psycopg.connect(postgres_url) as connection:
        connection.execute("drop table trip_months.green_tripdata_2020_05")
    assert platform.run(APRIL, *platform.upstream_of("postgres_tripdata")).success
    requests, cursor = tick(platform, cursor)
    assert [request.tags["dagster/asset_partition_range_start"] for request in requests] == ["green|2020-04"]
    assert build(platform, requests[0])
    assert query(platform, "postgres", "select filename, count(*) from marts.fct_trips group by 1") == [
        (APRIL.filename, 7)
    ]
    assert stale_months(marts, resources(platform)) == {}


@pytest.mark.parametrize(("name", "rows_of_build"), [("postgres", 7), ("lake", 5)])
def test_month_reloaded_during_build_is_requested(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, rows_of_build: int
) -> None:
    """The month is reloaded after its version was read. The lake's snapshot has the older rows."""
    publish_rows(platform, tmp_path, APRIL, rows(APRIL, 5))
    corrected = raw_file(tmp_path / "corrected", APRIL, csv_text(APRIL, rows(APRIL, 7)))
    count = f"select count(*) from marts.fct_trips where filename = '{APRIL.filename}'"
    with monkeypatch.context() as patched, ThreadPoolExecutor() as pool:
        began, goes_on = pausing_dbt(tmp_path, patched)
        reloading = pool.submit(reload_when, began, goes_on, platform, corrected, name)
        assert platform.run(APRIL, *platform.upstream_of(*(f"{name}/{model}" for model in BY_FILE))).success
        reloading.result()
    assert query(platform, name, count) == [(rows_of_build,)]

    requests, cursor = tick(platform, None)
    assert [request.partition_key for request in requests] == [APRIL.partition_key]
    assert build(platform, requests[0])
    assert query(platform, name, count) == [(7,)]
    assert tick(platform, cursor)[0] == []
    if name == "lake":
        assert query(platform, name, "select count(*) from lake.green_tripdata") == [(7,)]


def pausing_dbt(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Let dbt start by writing to one pipe and waiting for the other; return the two."""
    began, goes_on = folder / "began", folder / "goes-on"
    for pipe in (began, goes_on):
        os.mkfifo(pipe)
    program = folder / "dbt"
    dbt = Path(sys.executable).with_name("dbt")
    program.write_text(f"#!/bin/sh\necho > '{began}'\nread line < '{goes_on}'\nexec '{dbt}' \"$@\"\n")
    program.chmod(0o755)
    monkeypatch.setenv("TAXI_DBT", str(program))
    return began, goes_on


def reload_when(began: Path, goes_on: Path, platform: Platform, file: RawFile, name: str) -> None:
    began.read_text()
    if name == "lake":
        load_into_lake(resources(platform)["lake"], file)
    else:
        stage(resources(platform)["postgres"], file)
        merge(resources(platform)["postgres"], file.month)
    goes_on.write_text("\n")


def test_reload_with_other_duplicates_is_another_version() -> None:
    record = LoadRecord(sha256="a", rows=3, out_of_month=0, columns=("filename",))
    changed = [replace(record, skipped={"b.csv": Skipped(1, "b")}), replace(record, columns=("filename", "fee"))]
    assert version_of(replace(record, loaded_at="2026-01-01")) == version_of(record)
    assert all(version_of(each) != version_of(record) for each in changed)


def test_ranges_end_at_gaps_and_colours() -> None:
    keys = ["green|2020-01", "green|2020-02", "green|2020-04", "yellow|2020-05"]
    found = [[month.key for month in run] for run in consecutive_months(map(TripMonth.from_key, reversed(keys)))]
    assert found == [keys[:2], keys[2:3], keys[3:]]


def test_marts_of_each_destination_are_assets(platform: Platform) -> None:
    keys = platform.defs.resolve_asset_graph().materializable_asset_keys
    assert all(mart_key(marts, name) in keys for marts in MARTS for name in BY_FILE)
