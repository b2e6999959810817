"""Tests of Dagster's own commands in a clone, without a setting beyond the data directory and the mirror."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
import pytest
import requests

from taxi_platform.demo.sample_trips import write_sample
from taxi_platform.local.instance import embedded_server
from taxi_platform.local.ports import free_port
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.support.compose import REPO
from taxi_platform_tests.support.graphql import Webserver
from taxi_platform_tests.support.waiting import PATIENCE, until

PROGRAMS = Path(sys.executable).parent
MONTH = TripMonth.from_key("green|2020-04")


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
        timeout=PATIENCE,
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


@dataclass
class Dev:
    """A running `dg dev` or `dagster dev`."""

    process: psutil.Process
    url: str

    def get(self, path: str, **headers: str) -> requests.Response:
        return requests.get(f"{self.url}{path}", headers=headers, timeout=PATIENCE)


@pytest.fixture(scope="module", params=["dg dev", "dagster dev -w workspace.yaml"])
def dev(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    folder, port = tmp_path_factory.mktemp("dev"), free_port()
    program, *arguments = request.param.split()
    log = folder / "dev.log"
    with log.open("w") as output:
        started = subprocess.Popen(
            [PROGRAMS / program, *arguments, "--port", str(port)],
            cwd=REPO,
            env={"PATH": os.environ["PATH"], "HOME": str(folder), "TAXI_HOME": str(folder / "data")},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    dev = Dev(psutil.Process(started.pid), f"http://127.0.0.1:{port}")

    def responds() -> bool:
        assert started.poll() is None, log.read_text()
        try:
            return dev.get("/server_info").ok
        except requests.ConnectionError:
            return False

    try:
        until(responds, "the web interface responds")
        yield dev
        os.killpg(started.pid, signal.SIGINT)
        started.wait(PATIENCE)
    finally:
        if started.poll() is None:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()


def test_dev_shows_the_code_location(dev: Dev) -> None:
    query = "query { repositoriesOrError { ... on RepositoryConnection { nodes { location { name } } } } }"

    def locations() -> list[str]:
        found = Webserver(dev.url).query(query)["repositoriesOrError"].get("nodes", [])
        return [node["location"]["name"] for node in found]

    until(lambda: locations() != [], "a code location is loaded")
    assert locations() == ["taxi_platform"]


def test_dev_listens_on_this_machine_only(dev: Dev) -> None:
    processes = [dev.process, *dev.process.children(recursive=True)]
    sockets = [socket for process in processes for socket in process.net_connections("inet")]
    addresses = {socket.laddr.ip for socket in sockets if socket.status == psutil.CONN_LISTEN}
    assert "127.0.0.1" in addresses
    assert addresses <= {"127.0.0.1", "::1"}


def test_other_web_pages_cannot_read_responses(dev: Dev) -> None:
    foreign = {"Origin": "https://example.com"}
    responses = [
        dev.get("/graphql?query={version}", **foreign),
        requests.post(f"{dev.url}/graphql", json={"query": "{version}"}, headers=foreign, timeout=PATIENCE),
        requests.options(
            f"{dev.url}/graphql", headers={**foreign, "Access-Control-Request-Method": "POST"}, timeout=PATIENCE
        ),
    ]
    for response in responses:
        assert "access-control-allow-origin" not in response.headers
    # Without permission by this request, a browser sends no JSON from another site.
    assert responses[-1].status_code == 405
