"""Each test has a bucket and a dataset of its own in the emulators."""

import re
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from google.cloud import storage

from taxi_platform.destinations.bigquery.merge import Merged, merge
from taxi_platform.destinations.bigquery.monthly import find_external, make, point_at
from taxi_platform.destinations.bigquery.tables import Sql
from taxi_platform.google_cloud.dataset import Value, Warehouse
from taxi_platform.google_cloud.object_storage import put
from taxi_platform.google_cloud.resources import GoogleBigQuery, GoogleStorage
from taxi_platform.local.emulators.servers import Emulators
from taxi_platform.source.raw_file import RawFile
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.support.trip_files import Row, csv_text, raw_file
from taxi_platform_tests.support.unreliable_google import UnreliableGoogle, in_front_of

Load = Callable[[RawFile], Merged]
Query = Callable[..., list[tuple]]
Write = Callable[..., RawFile]


@pytest.fixture(autouse=True)
def no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither variables nor a `.env` of whoever runs the tests lead to their project."""
    for name in (
        "GCP_PROJECT_ID",
        "GCP_LOCATION",
        "GCP_BUCKET_NAME",
        "GCP_DATASET",
        "GCP_CREDS",
        "STORAGE_EMULATOR_HOST",
        "BIGQUERY_EMULATOR_HOST",
        "GOOGLE_APPLICATION_CREDENTIALS",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def own(request: pytest.FixtureRequest) -> str:
    """A name that no other test has."""
    return f"test_{uuid.uuid4().hex[:12]}"


@pytest.fixture
def storage_front(emulators: Emulators) -> Iterator[UnreliableGoogle]:
    """What stands between the clients and the storage emulator."""
    with in_front_of(emulators.storage_url) as front:
        yield front


@pytest.fixture
def bigquery_front(emulators: Emulators) -> Iterator[UnreliableGoogle]:
    """What stands between the clients and the BigQuery emulator."""
    with in_front_of(emulators.bigquery_url) as front:
        yield front


@pytest.fixture
def gcs(storage_front: UnreliableGoogle, own: str) -> GoogleStorage:
    return GoogleStorage(
        project="test-project", bucket=own, location="us-central1", endpoint=storage_front.url, patience=10
    )


@pytest.fixture
def bigquery(bigquery_front: UnreliableGoogle, own: str) -> GoogleBigQuery:
    return GoogleBigQuery(
        project="test-project",
        dataset=own,
        location="us-central1",
        endpoint=bigquery_front.url,
        patience=10,
        merge_patience=60,
    )


@pytest.fixture
def bucket(gcs: GoogleStorage) -> Iterator[storage.Bucket]:
    """The lake's bucket, made."""
    gcs.ensure_bucket()
    with gcs.lake("tested") as bucket:
        yield bucket


@pytest.fixture
def warehouse(bigquery: GoogleBigQuery) -> Iterator[Warehouse]:
    """The dataset, made."""
    bigquery.ensure_dataset()
    with bigquery.warehouse("tested") as warehouse:
        yield warehouse


@pytest.fixture
def stage(bucket: storage.Bucket, warehouse: Warehouse) -> Callable[[RawFile], None]:
    """Brings a file into its monthly table, as the first three assets do."""

    def run(file: RawFile) -> None:
        source, _ = put(bucket, file, seconds=10)
        point_at(warehouse, source)
        external = find_external(warehouse, bucket, file.month)
        assert external is not None
        make(warehouse, bucket, external)

    return run


@pytest.fixture
def load(stage: Callable[[RawFile], None], warehouse: Warehouse) -> Load:
    """Brings a file into the merged table, as the assets do."""

    def run(file: RawFile) -> Merged:
        stage(file)
        return merge(warehouse, file.month, patience_seconds=60)

    return run


@pytest.fixture
def query(warehouse: Warehouse) -> Query:
    """Runs a query; a table's name in braces becomes its full name."""

    def run(text: str, **values: Value) -> list[tuple]:
        full = re.sub(r"\{(\w+)\}", lambda found: warehouse.name(found[1]).sql, text)
        return [tuple(row.values()) for row in warehouse.run(Sql(full), {}, **values)]

    return run


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a month's file, in place of an older one."""

    def run(month: TripMonth, rows: Iterable[Row], header: Iterable[str] | None = None) -> RawFile:
        return raw_file(tmp_path, month, csv_text(month, rows, header))

    return run
