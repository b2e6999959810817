"""The emulators and the layer in front of one: what the other tests rely on."""

import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from google.api_core.exceptions import BadRequest
from google.cloud import bigquery as google_bigquery
from google.cloud import storage

from taxi_platform.destinations.bigquery.monthly import point_at
from taxi_platform.destinations.bigquery.tables import Sql
from taxi_platform.google_cloud.dataset import Warehouse
from taxi_platform.google_cloud.object_storage import put
from taxi_platform.local.emulators import external_tables
from taxi_platform.local.emulators.servers import Emulators
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.conftest import REPO
from taxi_platform_tests.destinations.bigquery.conftest import Query, Write
from taxi_platform_tests.support.trip_files import trip

APRIL = TripMonth.from_key("green|2020-04")


def test_the_layer_is_small_and_says_how_it_differs() -> None:
    lines = Path(external_tables.__file__).read_text("utf-8").splitlines()
    assert len(lines) <= 150
    assert "How this differs from BigQuery:" in lines[:5]


def test_an_external_table_reads_the_object(
    bucket: storage.Bucket, warehouse: Warehouse, write: Write, query: Query
) -> None:
    source, _ = put(bucket, write(APRIL, [trip(APRIL), trip(APRIL, "02 02:00:00")]), seconds=10)
    assert point_at(warehouse, source)
    table = warehouse.table(warehouse.name("green_tripdata_2020_04_ext"))
    assert table is not None
    assert table.table_type == "EXTERNAL"
    assert [field.name for field in table.schema] == [column.name for column in APRIL.colour.columns]
    config = table.external_data_configuration
    assert config is not None
    assert (config.source_uris, config.source_format, config.compression) == ([source.uri], "CSV", "GZIP")
    assert (config.autodetect, config.max_bad_records) == (False, 0)
    assert config.csv_options is not None
    assert config.csv_options.skip_leading_rows == 1
    assert query("SELECT COUNT(*), MIN(lpep_pickup_datetime) = '2020-04-01' FROM {green_tripdata_2020_04_ext}") == [
        (2, True)
    ]


def test_an_external_table_over_nothing_is_refused(warehouse: Warehouse) -> None:
    table = google_bigquery.Table(
        str(warehouse.name("nothing_ext")), schema=[google_bigquery.SchemaField("a", "STRING")]
    )
    config = google_bigquery.ExternalConfig("CSV")
    config.source_uris = ["gs://nowhere/nothing.csv.gz"]
    table.external_data_configuration = config
    with pytest.raises(BadRequest, match=r"nothing\.csv\.gz.*cannot be read"):
        warehouse.create(table)
    assert warehouse.table(warehouse.name("nothing_ext")) is None


def test_parameters_reach_a_script_as_values(warehouse: Warehouse) -> None:
    text = """it's "quoted", back\\slashed; DROP TABLE x -- @text @@error é"""
    script = Sql("BEGIN TRANSACTION; COMMIT TRANSACTION; SELECT @text AS text, @number + 1 AS number, @yes AS yes;")
    assert warehouse.run(script, {}, text=text, number=-3, yes=True) == [{"text": text, "number": -2, "yes": True}]


def test_the_emulators_end_with_whoever_started_them(tmp_path: Path) -> None:
    """Also when that is killed, and can do nothing about it."""
    program = f"""
import sys, pathlib
from taxi_platform.local.emulators.servers import running
with running(pathlib.Path({str(tmp_path)!r})) as emulators:
    print(emulators.storage_url, emulators.bigquery_url, flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=REPO, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        storage_url, bigquery_url = starter.stdout.readline().split()
        assert answers(storage_url)
        assert answers(bigquery_url)
        starter.kill()
    end = time.monotonic() + 60
    while answers(storage_url):
        assert time.monotonic() < end, "the storage emulator goes on"
        time.sleep(0.05)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/storage/v1/b?project=p", timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def test_addresses_are_given_under_google_s_own_names(emulators: Emulators) -> None:
    assert emulators.environment.keys() == {"STORAGE_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST"}
