"""Fixtures that start the real servers. They are started once, and only if a test uses them."""

import os
import re
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, Protocol
from urllib.parse import urlsplit, urlunsplit

import dagster as dg
import psycopg
import pytest
from psycopg import sql

from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.local.embedded_postgres import SERVER_SETTINGS, EmbeddedPostgres
from taxi_platform.local.emulators.servers import Emulators, running
from taxi_platform.trips.columns import COLOURS
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.support import http_mirror, postgres15
from taxi_platform_tests.support.http_mirror import HttpMirror
from taxi_platform_tests.support.platform import Platform, platform_over

# Tests that destinations inherit: without this, what they compare is not shown when they fail.
pytest.register_assert_rewrite("taxi_platform_tests.destinations.contract")

REPO = Path(__file__).parents[1]

LONGEST = ("test_web_backfill.py", "test_compose_processes.py", "test_real_files.py", "test_hello_limit.py")
"""Mostly waiting for Dagster's daemon: begun first, so that other processes test the rest meanwhile."""


STARTERS = re.compile(
    r"\bsubprocess\b|multiprocessing|run_sequence"
    r"|support\.(?:browser|compose|dbt_declarations|mart_tables|web_interface)"
)
"""What a test module contains that starts a daemon, a browser, dbt or another interpreter."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of `make test-fast`, and one for all real files."""
    parser.addoption("--fast", action="store_true", help="only tests that start no daemon, browser or interpreter")
    parser.addoption("--every-file", action="store_true", help="load every real file, not three of each colour")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the longest tests first, and with `--fast` deselect those that start other processes."""
    items.sort(key=lambda item: item.path.name not in LONGEST)
    if config.getoption("fast"):
        slow = [item for item in items if _starts_processes(item)]
        items[:] = [item for item in items if not _starts_processes(item)]
        config.hook.pytest_deselected(items=slow)


def _starts_processes(item: pytest.Item) -> bool:
    fixtures: list[str] = getattr(item, "fixturenames", [])
    return "emulators" in fixtures or _starts_processes_in(item.path)


@cache
def _starts_processes_in(path: Path) -> bool:
    return bool(STARTERS.search(path.read_text("utf-8")))


class TemporaryServer(EmbeddedPostgres):
    """An embedded server that does not flush to disk: what it holds is not needed after a power failure."""

    settings: ClassVar = {**SERVER_SETTINGS, "fsync": "off", "full_page_writes": "off"}


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """Start an embedded server."""
    server = TemporaryServer(tmp_path_factory.mktemp("home") / "postgres")
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def postgres_url(embedded: EmbeddedPostgres) -> Iterator[str]:
    """Yield the URL of an empty database in the embedded PostgreSQL 18."""
    with new_database(embedded.start()) as url:
        yield url


@pytest.fixture(scope="session")
def postgres15_server() -> Iterator[str]:
    """Start a PostgreSQL 15 and yield the URL of its maintenance database."""
    programs = postgres15.find_programs()
    if programs is None:
        pytest.skip("no programs of PostgreSQL 15 on this machine: /usr/lib/postgresql/15/bin, pg_config, PATH")
    with postgres15.serve(programs) as url:
        yield url


@pytest.fixture
def postgres15_url(postgres15_server: str) -> Iterator[str]:
    """Yield the URL of an empty database in a PostgreSQL 15."""
    with new_database(postgres15_server) as url:
        yield url


@pytest.fixture(params=["postgres_url", "postgres15_url"], ids=["18", "15"])
def each_postgres_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of an empty database, once in PostgreSQL 18 and once in PostgreSQL 15."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def emulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulators]:
    """Start the emulators of Cloud Storage and BigQuery."""
    if find_spec("bqemulator") is None:
        pytest.skip("the emulators are not installed: pip install '.[emulators]'")
    with running(tmp_path_factory.mktemp("emulators")) as addresses:
        yield addresses


class ServeFolder(Protocol):
    def __call__(self, folder: Path) -> AbstractContextManager[HttpMirror]: ...


@pytest.fixture
def serve_folder() -> ServeFolder:
    """Return a function that serves a folder over HTTP: `with serve_folder(folder) as mirror: mirror.url`."""
    return http_mirror.serve


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[HttpMirror]:
    """Yield a mirror over an empty folder, `mirror.folder`."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    with http_mirror.serve(folder) as mirror:
        yield mirror


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """Yield a Dagster instance in memory."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def platform(mirror: HttpMirror, postgres_url: str, tmp_path: Path, instance: dg.DagsterInstance) -> Platform:
    """Return the definitions over an empty mirror and an empty Postgres database."""
    return platform_over(mirror.url, tmp_path, instance, postgres=Postgres(url=postgres_url))


@pytest.fixture(scope="session")
def real_files() -> Path:
    """Return the folder of real published files. Skip the test where there is none."""
    folder = Path(os.environ.get("TAXI_REAL_FILES", REPO.parent / "shared" / "tlc"))
    if not folder.is_dir():
        pytest.skip(f"no real files: {folder} is not there; TAXI_REAL_FILES names another folder")
    return folder


@pytest.fixture(scope="session")
def real_months(real_files: Path, pytestconfig: pytest.Config) -> list[TripMonth]:
    """The months of the three smallest real files of each colour, or with `--every-file` of all of them."""
    months: list[TripMonth] = []
    for colour in COLOURS.values():
        paths = sorted((real_files / colour.name).glob("*.csv.gz"), key=lambda path: path.stat().st_size)
        chosen = paths if pytestconfig.getoption("every_file") else paths[:3]
        months += sorted((TripMonth(colour, path.name[-14:-7]) for path in chosen), key=lambda month: month.key)
    return months


@contextmanager
def new_database(server_url: str) -> Iterator[str]:
    """Create a database, yield its URL, and drop it at the end together with its sessions."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    yield urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
