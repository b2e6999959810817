"""The marts in BigQuery's emulator, compared with those over the lake. They need a dbt with dbt-bigquery."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from taxi_platform.analytics.dbt_process import PROJECT, ZONES_SEED, Dbt
from taxi_platform.analytics.definitions import MARTS
from taxi_platform.analytics.mart_assets import mart_key
from taxi_platform.analytics.marts import Marts
from taxi_platform.analytics.models import MODELS
from taxi_platform.analytics.sensor import stale_months
from taxi_platform.definitions import build_defs
from taxi_platform.destinations.base import SOURCE
from taxi_platform.local.emulators.servers import Emulators
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.support.parquet_files import parquet_bytes, table_of
from taxi_platform_tests.support.trip_files import csv_text, publish, trip

APRIL = TripMonth.from_key("green|2020-04")
SUMS = """
select count(*), sum(total_monthly_trips), round(sum(revenue_monthly_total_amount), 2),
    round(sum(revenue_monthly_tip_amount), 2), round(sum(revenue_monthly_fare), 2)
from {schema}.fct_monthly_zone_revenue
"""


@pytest.fixture
def dbt_bigquery() -> str:
    executable = os.environ.get("TAXI_TEST_DBT_BIGQUERY", "")
    if not executable:
        pytest.skip("TAXI_TEST_DBT_BIGQUERY names no dbt with dbt-bigquery; docs/bi.md says how to install one")
    return executable


def test_emulator_and_lake_build_equal_marts(
    dbt_bigquery: str, emulators: Emulators, real_files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {
        "TAXI_HOME": str(tmp_path),
        "TAXI_SOURCE_URL": real_files.as_uri(),
        "TAXI_LAKE_PATH": str(tmp_path / "lake"),
        "GCP_PROJECT_ID": "marts-project",
        "GCP_BUCKET_NAME": "marts-bucket",
        "GCP_DATASET": "marts_test",
    }
    for name, value in {**emulators.environment, **settings}.items():
        monkeypatch.setenv(name, value)
    found = {}
    for marts in MARTS:
        if marts.name in ("bigquery", "lake"):
            monkeypatch.setenv("TAXI_DBT", dbt_bigquery if marts.name == "bigquery" else "")
            # The second build replaces the rows of the first.
            build(marts, load=True)
            build(marts, load=False)
            resources = marts.destination.resources({})
            with marts.reading(resources) as query:
                found[marts.name] = [float(each) for each in query(SUMS.format(schema=marts.schema(resources)))[0]]
            (version,) = marts.versions(resources, [APRIL]).values()
            assert version
            assert marts.built_files(resources)["fct_trips"] == {APRIL.filename: version["load_record"]}
    assert found["bigquery"] == found["lake"]


def build(marts: Marts, *, load: bool) -> None:
    keys = [mart_key(marts, model.name) for model in MODELS]
    run([*([SOURCE, *marts.destination.asset_keys] if load else []), *keys], APRIL)


def run(keys: Sequence[dg.AssetKey], month: TripMonth) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        job = build_defs().resolve_implicit_global_asset_job_def()
        assert job.execute_in_process(asset_selection=keys, partition_key=month.key, instance=instance).success


def test_first_builds_at_once_keep_both_files(
    dbt_bigquery: str, emulators: Emulators, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two machines build two files into a dataset without marts; one of the files has the newer columns."""
    yellow = TripMonth.from_key("yellow|2025-02")
    table = table_of(yellow)
    for name in ("PULocationID", "DOLocationID"):
        table = table.set_column(table.schema.get_field_index(name), name, pa.array([41.0] * len(table)))
    (tmp_path / yellow.parquet_name).write_bytes(parquet_bytes(table))
    publish(tmp_path, APRIL, csv_text(APRIL, [trip(APRIL, f"{day:02} 10:00:00") for day in range(1, 8)]))
    settings = {
        "TAXI_HOME": str(tmp_path / "home"),
        "TAXI_SOURCE_URL": tmp_path.as_uri(),
        "TAXI_PARQUET_URL": tmp_path.as_uri(),
        "GCP_PROJECT_ID": "marts-project",
        "GCP_BUCKET_NAME": "marts-bucket",
        "GCP_DATASET": "marts_at_once",
    }
    for name, value in {**emulators.environment, **settings}.items():
        monkeypatch.setenv(name, value)
    (marts,) = (each for each in MARTS if each.name == "bigquery")
    resources = marts.destination.resources({})
    for month in (APRIL, yellow):
        run([SOURCE, *marts.destination.asset_keys], month)

    def build_on_own_machine(month: TripMonth) -> None:
        output = ""
        with marts.connecting(resources) as environment:
            dbt = Dbt("bigquery", tmp_path / month.suffix, environment, Path(dbt_bigquery))
            for _ in range(5):
                files = marts.versions(resources, [month])
                days = marts.days(resources, [month])
                nodes, output = dbt.build(["*"], files=files, days=days, zones=PROJECT / "seeds" / ZONES_SEED)
                if all(node.succeeded for node in nodes):
                    return
            raise AssertionError(output)

    with ThreadPoolExecutor() as pool:
        list(pool.map(build_on_own_machine, (APRIL, yellow)))
    assert stale_months(marts, resources) == {}
    with marts.reading(resources) as query:
        counted = query(
            "select filename, count(*), sum(cbd_congestion_fee) > 0 from marts_at_once_marts.fct_trips group by 1"
        )
        assert {(filename, has_fee) for filename, _, has_fee in counted} == {
            (APRIL.filename, None),
            (yellow.filename, True),
        }
        assert dict(row[:2] for row in counted)[APRIL.filename] == 7
