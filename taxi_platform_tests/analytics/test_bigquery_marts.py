"""The marts in BigQuery's emulator, compared with those over the lake. They need a dbt with dbt-bigquery."""

import os
from pathlib import Path

import dagster as dg
import pytest

from taxi_platform.analytics.definitions import MARTS
from taxi_platform.analytics.mart_assets import mart_key
from taxi_platform.analytics.marts import Marts
from taxi_platform.analytics.models import MODELS
from taxi_platform.definitions import build_defs
from taxi_platform.destinations.base import SOURCE
from taxi_platform.local.emulators.servers import Emulators
from taxi_platform.trips.partitions import TripMonth

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
    with dg.DagsterInstance.ephemeral() as instance:
        result = (
            build_defs()
            .resolve_implicit_global_asset_job_def()
            .execute_in_process(
                asset_selection=[*([SOURCE, *marts.destination.asset_keys] if load else []), *keys],
                partition_key=APRIL.key,
                instance=instance,
            )
        )
    assert result.success
