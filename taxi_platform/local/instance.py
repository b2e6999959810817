"""Dagster's own instance under the home: where run history, logs and the state of schedules are kept.

Not here: what the instance is told (`instance.yaml`), and any trips.
"""

import fcntl
import os
from importlib.resources import files
from pathlib import Path

import psutil

from taxi_platform.data_directory import make_folder, write_whole
from taxi_platform.local.embedded_postgres import EmbeddedPostgres

DATABASE = "dagster"
_UNSYNCHRONIZED = "options=-c%20synchronous_commit%3Doff"
"""A crash may lose the last moment of Dagster's history. Rows are not affected: they are loaded by other sessions."""


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
    make_folder(folder)
    settings, told = folder / "dagster.yaml", files("taxi_platform.local").joinpath("instance.yaml").read_text()
    if not settings.exists() or settings.read_text() != told:
        write_whole(settings, told)
    return {
        "DAGSTER_HOME": str(folder),
        "TAXI_HISTORY_URL": f"{server.ensure_database(DATABASE)}?{_UNSYNCHRONIZED}",
        "TAXI_RUNS_AT_ONCE": str(runs_at_once()),
        "TAXI_HOME": str(home),
    }


def claim(home: Path) -> bool:
    """Makes this process the one that runs Dagster's daemon in this home, also when it becomes another program.

    False when another one is: two daemons on one history would deal its runs out between them.
    """
    descriptor = os.open(_lock(home), os.O_RDWR | os.O_CREAT, 0o600)
    os.set_inheritable(descriptor, True)
    return _is_free(descriptor)


def is_claimed(home: Path) -> bool:
    """Whether a process runs Dagster's daemon in this home."""
    if not _lock(home).exists():
        return False
    with _lock(home).open("ab") as file:
        return not _is_free(file.fileno())


def _lock(home: Path) -> Path:
    return home / "dagster" / ".daemon.lock"


def _is_free(descriptor: int) -> bool:
    """Takes the lock, which the system releases when the last process that holds the descriptor ends."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def runs_at_once() -> int:
    """How many months are loaded side by side: one for each processor that this process may use."""
    return len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else os.cpu_count() or 1
