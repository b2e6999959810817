"""dagster-gcp's resources as the platform provides them, used by assets and IO managers of other packages."""

import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
from dagster_gcp import BigQueryResource, GCSPickleIOManager, GCSResource
from google.cloud import storage

from taxi_platform.definitions import build_defs
from taxi_platform.google_cloud.connection import GoogleCloud
from taxi_platform.google_cloud.resources import StorageResource, WarehouseResource
from taxi_platform.local.emulators.servers import Emulators
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.conftest import REPO
from taxi_platform_tests.support.trip_files import csv_text, publish, trip
from taxi_platform_tests.support.waiting import PATIENCE


def run_with_platform(cloud: GoogleCloud, *assets: dg.AssetsDefinition, **more: object) -> dg.ExecuteInProcessResult:
    """Run the assets with the platform's resources and further ones."""
    resources = build_defs(google_cloud=cloud).resources or {}
    defs = dg.Definitions(assets=assets, resources={**resources, **more})
    return defs.resolve_implicit_global_asset_job_def().execute_in_process()


def test_asset_gets_dagster_gcp_resources(cloud: GoogleCloud, bucket: storage.Bucket) -> None:
    bucket.blob("greeting").upload_from_string("hello")

    @dg.asset
    def mine(bigquery: BigQueryResource, gcs: GCSResource) -> list:
        with bigquery.get_client() as client:
            rows = [tuple(row) for row in client.query("SELECT 7 AS n").result()]
        return [rows, gcs.get_client().bucket(bucket.name).blob("greeting").download_as_text()]

    assert run_with_platform(cloud, mine).output_for_node("mine") == [[(7,)], "hello"]


def test_pickle_io_manager_of_dagster_gcp_works(
    cloud: GoogleCloud, gcs: StorageResource, bucket: storage.Bucket
) -> None:
    @dg.asset(io_manager_key="pickled")
    def first() -> dict[str, int]:
        return {"n": 7}

    @dg.asset(io_manager_key="pickled")
    def second(first: dict[str, int]) -> int:
        return first["n"] + 1

    pickled = GCSPickleIOManager(gcs=gcs, gcs_bucket=str(bucket.name), gcs_prefix="pickles")
    result = run_with_platform(cloud, first, second, pickled=pickled)
    assert result.output_for_node("second") == 8
    assert {blob.name for blob in bucket.client.list_blobs(bucket.name, prefix="pickles/")} == {
        "pickles/first",
        "pickles/second",
    }


def test_given_resources_replace_those_of_the_platform(gcs: StorageResource, bigquery: WarehouseResource) -> None:
    given = build_defs(gcs=gcs, bigquery=bigquery).resources or {}
    assert given["gcs"] is gcs
    assert given["bigquery"] is bigquery
    assert given["google_cloud"].bucket == gcs.cloud.bucket


def test_compute_logs_reach_an_emulated_bucket(
    cloud: GoogleCloud, bucket: storage.Bucket, emulators: Emulators, tmp_path: Path
) -> None:
    """Dagster's own log manager needs STORAGE_EMULATOR_HOST alone."""
    program = """
import sys
import dagster as dg

@dg.op
def speak():
    print("hello from the op")

@dg.job
def talk():
    speak()

if __name__ == "__main__":
    with dg.DagsterInstance.get() as instance:
        assert dg.execute_job(dg.reconstructable(talk), instance).success
"""
    (tmp_path / "talk.py").write_text(program)
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text(
        json.dumps(
            {
                "compute_logs": {
                    "module": "dagster_gcp.gcs.compute_log_manager",
                    "class": "GCSComputeLogManager",
                    "config": {"bucket": bucket.name, "prefix": "logs", "local_dir": str(tmp_path / "local")},
                },
                "telemetry": {"enabled": False},
            }
        )
    )
    done = subprocess.run(
        [sys.executable, "talk.py"],
        cwd=tmp_path,
        env={"DAGSTER_HOME": str(home), "STORAGE_EMULATOR_HOST": emulators.storage_url, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    logs = [blob for blob in bucket.client.list_blobs(bucket.name, prefix="logs/") if blob.name.endswith(".out")]
    assert ["hello from the op" in blob.download_as_text() for blob in logs] == [True]


def test_postgres_run_imports_no_google_library(postgres_url: str, tmp_path: Path) -> None:
    april = TripMonth.from_key("green|2020-04")
    publish(tmp_path / "mirror", april, csv_text(april, [trip(april)]))
    program = """
import sys
import dagster as dg
from taxi_platform.definitions import defs
with dg.DagsterInstance.ephemeral() as instance:
    result = defs.resolve_job_def("load_month").execute_in_process(
        instance=instance,
        partition_key="green|2020-04",
        asset_selection=[dg.AssetKey(name) for name in ("raw_csv", "postgres_staging", "postgres_tripdata")],
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
assert result.success
print([name for name in ("pandas", "dagster_gcp", "google.cloud", "google.auth") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={
            "TAXI_HOME": str(tmp_path / "home"),
            "TAXI_SOURCE_URL": (tmp_path / "mirror").as_uri(),
            "TAXI_POSTGRES_URL": postgres_url,
            "PYTHONPATH": str(REPO),
            "PATH": "",
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_tick_without_google_cloud_imports_no_library(tmp_path: Path) -> None:
    program = """
import sys
from taxi_platform.definitions import defs
from taxi_platform.destinations.bigquery.destination import BIGQUERY
resources = {key: (defs.resources or {})[key] for key in BIGQUERY.resource_keys}
print(BIGQUERY.is_scheduled(resources), [name for name in ("dagster_gcp", "google.cloud") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(REPO), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.stdout.strip() == "False []", done.stderr
