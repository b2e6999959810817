"""Tests of external tables and script parameters in front of the BigQuery emulator."""

import contextlib
import gzip
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import BadRequest, NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery, storage

from taxi_platform.local.emulators.servers import Emulators

PROJECT = "test-project"


class Cloud:
    """A bucket and a dataset of one test."""

    def __init__(self, emulators: Emulators) -> None:
        credentials = AnonymousCredentials()
        self.name = f"test_{uuid.uuid4().hex[:12]}"
        self.storage = storage.Client(
            PROJECT, credentials, client_options=ClientOptions(api_endpoint=emulators.storage_url)
        )
        self.bigquery = bigquery.Client(
            PROJECT, credentials, client_options=ClientOptions(api_endpoint=emulators.bigquery_url)
        )
        self.bucket = self.storage.create_bucket(self.name)
        self.bigquery.create_dataset(self.name)
        self.table_name = f"{PROJECT}.{self.name}.trips_ext"

    def close(self) -> None:
        self.storage.close()
        self.bigquery.close()

    def upload(self, rows: list[str]) -> str:
        """Store a gzipped CSV file with the columns `id` and `flag`; return its URI."""
        text = "".join(f"{line}\r\n" for line in ["id,flag", *rows])
        self.bucket.blob("trips.csv.gz").upload_from_string(gzip.compress(text.encode()))
        return f"gs://{self.name}/trips.csv.gz"

    def create_external(self, uri: str) -> None:
        schema = [bigquery.SchemaField("id", "INTEGER"), bigquery.SchemaField("flag", "STRING")]
        config = bigquery.ExternalConfig("CSV")
        config.source_uris, config.compression = [uri], "GZIP"
        assert config.csv_options is not None
        config.csv_options.skip_leading_rows = 1
        table = bigquery.Table(self.table_name, schema=schema)
        table.external_data_configuration = config
        self.bigquery.create_table(table, exists_ok=True)

    def query(self, text: str, *parameters: bigquery.ScalarQueryParameter) -> list[tuple]:
        config = bigquery.QueryJobConfig(query_parameters=parameters)
        return [tuple(row.values()) for row in self.bigquery.query(text, job_config=config).result()]


@pytest.fixture
def cloud(emulators: Emulators) -> Iterator[Cloud]:
    cloud = Cloud(emulators)
    yield cloud
    cloud.close()


def test_external_table_reads_the_object(cloud: Cloud) -> None:
    uri = cloud.upload(["1,N", "2,"])
    cloud.create_external(uri)
    table = cloud.bigquery.get_table(cloud.table_name)
    assert table.table_type == "EXTERNAL"
    assert [field.name for field in table.schema] == ["id", "flag"]
    config = table.external_data_configuration
    assert config is not None
    assert (config.source_uris, config.source_format, config.compression) == ([uri], "CSV", "GZIP")
    assert config.csv_options is not None
    assert config.csv_options.skip_leading_rows == 1
    assert cloud.query(f"SELECT COUNT(*), SUM(id) FROM `{cloud.table_name}`") == [(2, 3)]


def test_missing_object_leaves_no_external_table(cloud: Cloud) -> None:
    with pytest.raises(BadRequest, match=r"nothing\.csv\.gz.*cannot be read"):
        cloud.create_external(f"gs://{cloud.name}/nothing.csv.gz")
    assert list(cloud.bigquery.list_tables(cloud.name)) == []


def test_readers_never_see_an_incomplete_table(cloud: Cloud) -> None:
    uri = cloud.upload([f"{number},N" for number in range(20_000)])
    created = threading.Event()
    reading = threading.Barrier(5)

    def read() -> set[tuple[str | None, int]]:
        seen = set()
        reading.wait()
        while not created.is_set():
            with contextlib.suppress(NotFound):
                kind = cloud.bigquery.get_table(cloud.table_name).table_type
                seen.add((kind, cloud.query(f"SELECT COUNT(*) FROM `{cloud.table_name}`")[0][0]))
        return seen

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read) for _ in range(4)]
        reading.wait()
        try:
            cloud.create_external(uri)
        finally:
            created.set()
        assert set().union(*(reader.result() for reader in readers)) <= {("EXTERNAL", 20_000)}


def test_single_quotes_lose_no_row(cloud: Cloud) -> None:
    cloud.create_external(cloud.upload(["1,N", "2,'", "3,N", "4,'", "5,N"]))
    rows = cloud.query(f"SELECT id, flag FROM `{cloud.table_name}` ORDER BY id")
    assert rows == [(1, "N"), (2, "'"), (3, "N"), (4, "'"), (5, "N")]


def test_double_quotes_enclose_a_field(cloud: Cloud) -> None:
    cloud.create_external(cloud.upload(['1,"a ""quoted"", b"', "2,N"]))
    assert cloud.query(f"SELECT flag FROM `{cloud.table_name}` ORDER BY id") == [('a "quoted", b',), ("N",)]


def test_parameters_reach_a_script_as_values(cloud: Cloud) -> None:
    text = """it's "quoted", back\\slashed; DROP TABLE x -- @text @@error é"""
    script = "BEGIN TRANSACTION; COMMIT TRANSACTION; SELECT @text AS text, @number + 1 AS number, @yes AS yes;"
    parameters = [
        bigquery.ScalarQueryParameter("text", "STRING", text),
        bigquery.ScalarQueryParameter("number", "INT64", -3),
        bigquery.ScalarQueryParameter("yes", "BOOL", True),
    ]
    assert cloud.query(script, *parameters) == [(text, -2, True)]


def test_failed_query_has_an_error_status(cloud: Cloud) -> None:
    with pytest.raises(BadRequest, match="nonsense"):
        cloud.bigquery.query_and_wait("SELECT nonsense", job_retry=None)  # pyright: ignore[reportArgumentType]
    with pytest.raises(NotFound, match="missing_table"):
        cloud.bigquery.query_and_wait(f"SELECT 1 FROM {cloud.name}.missing_table", job_retry=None)  # pyright: ignore[reportArgumentType]


def test_parameters_reach_a_script_without_a_job(cloud: Cloud) -> None:
    config = bigquery.QueryJobConfig(query_parameters=[bigquery.ScalarQueryParameter("text", "STRING", "it's")])
    script = "BEGIN TRANSACTION; COMMIT TRANSACTION; SELECT @text AS text;"
    assert [tuple(row) for row in cloud.bigquery.query_and_wait(script, job_config=config)] == [("it's",)]
