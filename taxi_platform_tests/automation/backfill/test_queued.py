"""`taxi-platform backfill` while `make dev` runs on the same data directory."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests

from taxi_platform.local.instance import embedded_server, prepare
from taxi_platform.local.ports import free_port
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.support.http_mirror import HttpMirror
from taxi_platform_tests.support.trip_files import csv_text, publish, trip
from taxi_platform_tests.support.waiting import PATIENCE, until

COMMAND = [sys.executable, "-c", "from taxi_platform.cli import main; main()"]


@pytest.fixture
def settings(tmp_path: Path, mirror: HttpMirror) -> Iterator[dict[str, str]]:
    """The environment of a running `taxi-platform dev` with its own data directory."""
    port = free_port()
    own = {
        "TAXI_HOME": str(tmp_path / "home"),
        "TAXI_SOURCE_URL": mirror.url,
        "TAXI_WEB_URL": f"http://127.0.0.1:{port}",
    }
    environment = {**{name: value for name, value in os.environ.items() if not name.startswith("GCP_")}, **own}
    with (tmp_path / "log").open("wb") as log:
        command = [*COMMAND, "dev", "--port", str(port)]
        dev = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        until(lambda: answers(dev, f"{own['TAXI_WEB_URL']}/server_info", tmp_path / "log"))
        yield environment
    finally:
        children = psutil.Process(dev.pid).children(recursive=True)
        dev.send_signal(signal.SIGINT)
        dev.wait(PATIENCE)
        psutil.wait_procs(children, PATIENCE)
        embedded_server(tmp_path / "home").remove()


def answers(dev: subprocess.Popen[bytes], url: str, log: Path) -> bool:
    assert dev.poll() is None, log.read_text()
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False


def test_daemon_loads_the_months_of_a_backfill(tmp_path: Path, mirror: HttpMirror, settings: dict[str, str]) -> None:
    for number in (3, 4):
        month = TripMonth.from_key(f"green|2020-0{number}")
        publish(mirror.folder, month, csv_text(month, [trip(month)] * number))
    options = ["--colour", "green", "--from", "2020-03", "--to", "2020-05"]
    done = subprocess.run(
        [*COMMAND, "backfill", *options],
        cwd=tmp_path,
        env=settings,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    lines = done.stdout.splitlines()
    assert done.returncode == 1, done.stderr
    assert lines[0] == "Dagster's daemon is running: it loads the months."
    assert any("2020-05  failed after" in line and "raw_csv: " in line for line in lines)
    assert lines[-1] == "2 of 3 months loaded, 7 rows; 1 failed: 2020-05."

    # As in a deployment, which sets DAGSTER_HOME: there the daemon's reports say that it runs.
    deployed = settings | prepare(tmp_path / "home")
    elsewhere = subprocess.run(
        [*COMMAND, "backfill", *options],
        cwd=tmp_path,
        env={**deployed, "TAXI_WEB_URL": f"http://127.0.0.1:{free_port()}"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert elsewhere.returncode == 1
    assert "Set TAXI_WEB_URL to its address" in elsewhere.stderr
    assert "Traceback" not in elsewhere.stderr
