"""Dagster's own instance under the home: where run history, logs and the state of schedules are kept.

Not here: what the instance is told (`instance.yaml`), and any trips.
"""

import os
from importlib.resources import files
from pathlib import Path

import psutil

from taxi_platform.resources.embedded_postgres import EmbeddedPostgres

DATABASE = "dagster"


def embedded_server(home: Path) -> EmbeddedPostgres:
    """The embedded server of a home (TAXI_HOME as an absolute path)."""
    return EmbeddedPostgres(home / "postgres")


def demo_home(home: Path) -> Path:
    """The home within a home in which the demo keeps its sample rows, apart from real ones."""
    return home / "demo"


def prepare(home: Path) -> dict[str, str]:
    """Makes the home's instance ready and starts the embedded server that holds its history.

    Returns the environment variables that lead Dagster to it; TAXI_HISTORY_URL is a secret.
    """
    server = embedded_server(home)
    server.start()
    folder = home / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    settings, told = folder / "dagster.yaml", files("taxi_platform").joinpath("instance.yaml").read_text()
    if not settings.exists() or settings.read_text() != told:
        # Put in place whole: runs that are under way read it.
        aside = folder / f".dagster.yaml.{os.getpid()}"
        aside.write_text(told)
        aside.replace(settings)
    return {
        "DAGSTER_HOME": str(folder),
        "TAXI_HISTORY_URL": server.ensure_database(DATABASE),
        "TAXI_RUNS_AT_ONCE": str(runs_at_once()),
        "TAXI_HOME": str(home),
    }


def runs_at_once() -> int:
    """How many months are loaded side by side: one for each processor that this process may use."""
    return len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else os.cpu_count() or 1
