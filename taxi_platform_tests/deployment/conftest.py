"""The deployment of docker-compose.yml as processes of this machine, with two real databases."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from taxi_platform.demo.sample_trips import write_sample
from taxi_platform.local.embedded_postgres import EmbeddedPostgres
from taxi_platform.local.ports import free_port
from taxi_platform.local.server_account import wheel_programs
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.support.compose import REPO, Here, Service, read_compose, wait_until_healthy
from taxi_platform_tests.support.graphql import Webserver

MONTHS = [TripMonth.from_key(f"{colour}|2020-{month:02}") for colour in ("green", "yellow") for month in (1, 2)]
ROWS = 200


def run_script(url: str, script: Path, environment: Mapping[str, str]) -> None:
    """Run a script with psql as the superuser, as the image of Postgres does when it initializes its data."""
    psql = [str(wheel_programs() / "psql"), "--no-psqlrc", "--quiet", "--dbname", url, "--file", str(script)]
    done = subprocess.run(psql, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def as_user(url: str, user: str, password: str) -> str:
    """Return the URL of the same database for another role."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{user}:{password}@{parts.hostname}:{parts.port}"))


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A server with both databases, created by the scripts with the passwords of the compose file."""
    services = read_compose()["services"]
    server = EmbeddedPostgres(tmp_path_factory.mktemp("databases") / "postgres")
    try:
        server.start()
        trips, dagster = services["trips-db"]["environment"], services["dagster-db"]["environment"]
        run_script(server.ensure_database(trips["POSTGRES_DB"]), REPO / "deploy/postgres/trips.sql", trips)
        run_script(server.url("postgres"), REPO / "deploy/postgres/dagster.sql", dagster)
        yield server
    finally:
        server.remove()


@dataclass
class Deployment:
    """The running services and their addresses."""

    services: dict[str, Service]
    web: Webserver
    trips_url: str
    """The trips database, as the platform's role."""

    def restart(self, name: str) -> None:
        """Restart a service as `docker compose restart` does, and wait until it is healthy."""
        service = self.services[name]
        service.stop()
        service.start()
        wait_until_healthy(service)


@pytest.fixture(scope="module")
def deployment(databases: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The code server, the daemon and the webserver, started with the commands and in the order of the compose file."""
    folder = tmp_path_factory.mktemp("deployment")
    for month in MONTHS:
        write_sample(folder / "mirror", month, ROWS)
    definitions = read_compose()["services"]
    port = str(urlsplit(databases.url()).port)
    composed_url = definitions["code-location"]["environment"]["TAXI_POSTGRES_URL"]
    trips_url = composed_url.replace("@trips-db:5432/", f"@127.0.0.1:{port}/")
    here = Here(
        home=folder / "home",
        ports={"3000": free_port(), "4000": free_port()},
        environment={
            "DAGSTER_DB_HOST": "127.0.0.1",
            "DAGSTER_DB_PORT": port,
            "TAXI_CODE_HOST": "127.0.0.1",
            "TAXI_POSTGRES_URL": trips_url,
            "TAXI_HOME": str(folder / "downloads"),
            "TAXI_SOURCE_URL": (folder / "mirror").as_uri(),
        },
    )
    services = {name: Service(name, definitions[name], here) for name in ("code-location", "webserver", "daemon")}
    try:
        services["code-location"].start()
        wait_until_healthy(services["code-location"])
        services["webserver"].start()
        services["daemon"].start()
        wait_until_healthy(services["webserver"])
        wait_until_healthy(services["daemon"])
        yield Deployment(services, Webserver(f"http://127.0.0.1:{here.ports['3000']}"), trips_url)
    finally:
        for service in reversed(services.values()):
            service.stop()
