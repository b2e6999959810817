"""The web interface and the daemon as processes of their own, started as `taxi-platform dev` starts them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import requests

from taxi_platform.local.ports import free_port
from taxi_platform_tests.support.graphql import Webserver
from taxi_platform_tests.support.waiting import PATIENCE, until


@contextmanager
def web_interface(folder: Path, history_url: str, settings: dict[str, str]) -> Iterator[Webserver]:
    """Run web interface and daemon with the platform's instance configuration, their history in the given database."""
    (folder / "dagster.yaml").write_text(files("taxi_platform.local").joinpath("instance.yaml").read_text())
    instance = {
        "DAGSTER_HOME": str(folder),
        "TAXI_HISTORY_URL": history_url,
        "TAXI_HOME": str(folder / "home"),
        "TAXI_RUNS_AT_ONCE": "2",
    }
    port = free_port()
    command = [sys.executable, "-m", "dagster", "dev", "-m", "taxi_platform", "-h", "127.0.0.1", "-p", str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, **instance, **settings},
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    served = Webserver(f"http://127.0.0.1:{port}")

    def responds() -> bool:
        assert process.poll() is None, (folder / "log").read_text()
        try:
            return requests.get(f"{served.url}/server_info", timeout=PATIENCE).ok
        except requests.ConnectionError:
            return False

    try:
        until(responds, "the web interface responds")
        yield served
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
