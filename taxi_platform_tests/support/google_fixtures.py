"""Fixtures of the tests that use Google Cloud: each test has a bucket and a dataset of its own in the emulators.

A folder's conftest imports the ones that its tests use.
"""

import re
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from google.cloud import storage

from taxi_platform.destinations.bigquery.merge import Merged, merge
from taxi_platform.destinations.bigquery.monthly import MonthlyTable, create_external, create_monthly
from taxi_platform.destinations.bigquery.object_storage import upload_csv
from taxi_platform.google_cloud.bucket import ensure_bucket
from taxi_platform.google_cloud.connection import GoogleCloud
from taxi_platform.google_cloud.dataset import Dataset, Value, ensure_dataset
from taxi_platform.google_cloud.identifiers import Sql
from taxi_platform.google_cloud.resources import StorageResource, WarehouseResource
from taxi_platform.local.emulators.servers import Emulators
from taxi_platform.source.raw_file import RawFile
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.support.trip_files import Row, csv_text, raw_file
from taxi_platform_tests.support.unreliable_google import UnreliableGoogle, in_front_of

Stage = Callable[[RawFile], MonthlyTable]
Load = Callable[[RawFile], Merged]
Query = Callable[..., list[tuple]]
Write = Callable[..., RawFile]

GOOGLE_VARIABLES = (
    "GCP_PROJECT_ID",
    "GCP_LOCATION",
    "GCP_BUCKET_NAME",
    "GCP_DATASET",
    "GCP_CREDS",
    "STORAGE_EMULATOR_HOST",
    "BIGQUERY_EMULATOR_HOST",
    "GOOGLE_APPLICATION_CREDENTIALS",
)


@pytest.fixture(autouse=True)
def no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the variables and the `.env` of the user who runs the tests."""
    for name in GOOGLE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def own() -> str:
    """Return a name that no other test has."""
    return f"test_{uuid.uuid4().hex[:12]}"


@pytest.fixture
def storage_front(emulators: Emulators) -> Iterator[UnreliableGoogle]:
    """Yield the server between the clients and the storage emulator."""
    with in_front_of(emulators.storage_url) as front:
        yield front


@pytest.fixture
def bigquery_front(emulators: Emulators) -> Iterator[UnreliableGoogle]:
    """Yield the server between the clients and the BigQuery emulator."""
    with in_front_of(emulators.bigquery_url) as front:
        yield front


@pytest.fixture
def cloud(storage_front: UnreliableGoogle, bigquery_front: UnreliableGoogle, own: str) -> GoogleCloud:
    """Return a connection to the emulators."""
    return GoogleCloud(
        project="test-project",
        bucket=own,
        dataset=own,
        location="us-central1",
        storage_endpoint=storage_front.url,
        bigquery_endpoint=bigquery_front.url,
        retry_seconds=10,
        merge_timeout=60,
    )


@pytest.fixture
def gcs(cloud: GoogleCloud) -> StorageResource:
    """Return the resource `gcs`."""
    return StorageResource(cloud=cloud)


@pytest.fixture
def bigquery(cloud: GoogleCloud) -> WarehouseResource:
    """Return the resource `bigquery`."""
    return WarehouseResource(cloud=cloud)


@pytest.fixture
def bucket(cloud: GoogleCloud) -> Iterator[storage.Bucket]:
    """Yield the bucket, created."""
    ensure_bucket(cloud)
    with cloud.open_bucket("testing") as bucket:
        yield bucket


@pytest.fixture
def dataset(cloud: GoogleCloud) -> Iterator[Dataset]:
    """Yield the dataset, created."""
    ensure_dataset(cloud)
    with cloud.open_dataset("testing") as dataset:
        yield dataset


@pytest.fixture
def stage(bucket: storage.Bucket, dataset: Dataset) -> Stage:
    """Return a function that loads a file into its monthly table, as the first three assets do."""

    def run(file: RawFile) -> MonthlyTable:
        source, _ = upload_csv(bucket, file, retry_seconds=10)
        external, _ = create_external(dataset, source)
        monthly, _ = create_monthly(dataset, bucket, external)
        return monthly

    return run


@pytest.fixture
def load(stage: Stage, bigquery: WarehouseResource) -> Load:
    """Return a function that loads a file into the merged table, as the assets do."""
    return lambda file: merge(bigquery, stage(file))


@pytest.fixture
def query(dataset: Dataset) -> Query:
    """Return a function that runs a query; a table name in braces becomes its full name."""

    def run(text: str, **values: Value) -> list[tuple]:
        full = re.sub(r"\{(\w+)\}", lambda found: dataset.table_name(found[1]).sql, text)
        return [tuple(row.values()) for row in dataset.run(Sql(full), {}, **values)]

    return run


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a month's file, replacing an older one."""

    def run(month: TripMonth, rows: Iterable[Row], header: Iterable[str] | None = None) -> RawFile:
        return raw_file(tmp_path, month, csv_text(month, rows, header))

    return run
