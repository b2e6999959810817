"""The web interface and the daemon as processes of their own, started as `taxi-platform dev` starts them.

Not here: what is launched through them.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import requests

T = TypeVar("T")

PATIENCE = 120.0
"""Seconds until a condition that does not come is a failure; a busy machine takes a tenth of it."""

_LAUNCH = """
mutation ($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on PythonError { message }
  }
}
"""
_STATUS = "query ($run: ID!) { runOrError(runId: $run) { ... on Run { status } } }"


@dataclass(frozen=True)
class WebInterface:
    """A running web interface, spoken to as the browser does."""

    url: str

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        answer = requests.post(f"{self.url}/graphql", json={"query": query, "variables": variables}, timeout=60)
        answer.raise_for_status()
        return answer.json()["data"]

    def launch(self, job: str, config: dict[str, Any], tags: dict[str, str] | None = None) -> str:
        """Puts a run into the queue; returns its id."""
        selector = {"repositoryLocationName": "taxi_platform", "repositoryName": "__repository__", "jobName": job}
        listed = [{"key": key, "value": value} for key, value in (tags or {}).items()]
        params = {"selector": selector, "runConfigData": config, "executionMetadata": {"tags": listed}}
        launched = self.ask(_LAUNCH, params=params)["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        return launched["run"]["runId"]

    def status(self, run_id: str) -> str:
        """QUEUED, STARTED, SUCCESS and so on."""
        return self.ask(_STATUS, run=run_id)["runOrError"]["status"]


def until(condition: Callable[[], T | None], patience: float = PATIENCE) -> T:
    """What the condition gives as soon as it gives something; looked at again until then."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError(f"did not come in {patience:g} seconds: {condition}")


@contextmanager
def web_interface(folder: Path, history_url: str, settings: dict[str, str]) -> Iterator[WebInterface]:
    """Serves the platform with its own instance configuration, its history in the Postgres database at the URL."""
    (folder / "dagster.yaml").write_text(files("taxi_platform").joinpath("instance.yaml").read_text())
    home = {
        "DAGSTER_HOME": str(folder),
        "TAXI_HISTORY_URL": history_url,
        "TAXI_HOME": str(folder / "home"),
        "TAXI_RUNS_AT_ONCE": "2",
    }
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "dagster", "dev", "-m", "taxi_platform", "-h", "127.0.0.1", "-p", str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, **home, **settings},
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    served = WebInterface(f"http://127.0.0.1:{port}")

    def answers() -> bool:
        assert process.poll() is None, (folder / "log").read_text()
        try:
            return requests.get(f"{served.url}/server_info", timeout=5).ok
        except requests.ConnectionError:
            return False

    try:
        until(answers)
        yield served
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
