"""Tests of Dagster's own commands in a clone, without a setting beyond the data directory and the mirror."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from taxi_platform.demo.sample_trips import write_sample
from taxi_platform.local.instance import embedded_server
from taxi_platform.local.ports import free_port
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.support.compose import REPO, wait_until
from taxi_platform_tests.support.graphql import Webserver

PROGRAMS = Path(sys.executable).parent
MONTH = TripMonth.from_key("green|2020-04")
LOCATIONS = "query { repositoriesOrError { ... on RepositoryConnection { nodes { location { name } } } } }"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "TAXI_HOME": str(tmp_path / "data"),
        "TAXI_SOURCE_URL": (tmp_path / "mirror").as_uri(),
    }


def run(command: str, environment: dict[str, str]) -> str:
    """Run a command in the clone, in which dg prints no warning; return its standard output."""
    program, *arguments = command.split()
    done = subprocess.run(
        [PROGRAMS / program, *arguments],
        cwd=REPO,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert program != "dg" or "warning" not in done.stderr.lower()
    return done.stdout


@pytest.mark.parametrize(
    "command", ["dg check defs", "dagster definitions validate -w workspace.yaml", "dagster definitions validate"]
)
def test_definitions_load_in_a_clone(command: str, environment: dict[str, str]) -> None:
    run(command, environment)


def test_dg_lists_the_assets(environment: dict[str, str]) -> None:
    listed = json.loads(run("dg list defs --json", environment))
    groups = {asset["asset_key"]: asset["group_name"] for asset in listed["assets"]}
    assert groups["raw_csv"] == "source"
    assert groups["postgres_tripdata"] == "postgres"


def test_dg_launch_loads_a_month(environment: dict[str, str], tmp_path: Path) -> None:
    write_sample(tmp_path / "mirror", MONTH, 200)
    server = embedded_server(tmp_path / "data")
    try:
        run(f"dg launch --assets +key:postgres_tripdata --partition {MONTH.key}", environment)
        with psycopg.connect(server.url()) as connection:
            assert connection.execute("select count(*) from green_tripdata").fetchone() == (200,)
    finally:
        server.remove()


@pytest.mark.parametrize("command", ["dg dev", "dagster dev -w workspace.yaml"])
def test_dev_shows_the_code_location(command: str, environment: dict[str, str], tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "dev.log"
    program, *arguments = command.split()
    with log.open("w") as output:
        dev = subprocess.Popen(
            [PROGRAMS / program, *arguments, "--port", str(port)],
            cwd=REPO,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        web = Webserver(f"http://127.0.0.1:{port}")
        names: list[str] = []

        def shows_a_location() -> bool:
            assert dev.poll() is None, log.read_text()
            try:
                nodes = web.ask(LOCATIONS)["repositoriesOrError"].get("nodes", [])
            except OSError:
                return False
            names[:] = [node["location"]["name"] for node in nodes]
            return bool(names)

        wait_until(shows_a_location, "the web interface shows a code location")
        assert names == ["taxi_platform"]
        os.killpg(dev.pid, signal.SIGINT)
        dev.wait(120)
    finally:
        if dev.poll() is None:
            os.killpg(dev.pid, signal.SIGKILL)
            dev.wait()
