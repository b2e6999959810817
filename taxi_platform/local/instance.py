"""Dagster's instance in the data directory: run history, logs, the state of schedules, and the daemon's lock.

Its settings are in `instance.yaml`.
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


def embedded_server(directory: Path) -> EmbeddedPostgres:
    """Return the embedded server of a data directory (TAXI_HOME as an absolute path)."""
    return EmbeddedPostgres(directory / "postgres")


def demo_directory(directory: Path) -> Path:
    """Return the data directory of the demo, which keeps sample data apart from real trips."""
    return directory / "demo"


def prepare(directory: Path) -> dict[str, str]:
    """Write the instance's settings and start the embedded server that stores its history.

    Return the environment variables by which Dagster finds it; TAXI_HISTORY_URL contains a password.
    """
    server = embedded_server(directory)
    server.start()
    folder = directory / "dagster"
    make_folder(folder)
    settings, text = folder / "dagster.yaml", files("taxi_platform.local").joinpath("instance.yaml").read_text()
    if not settings.exists() or settings.read_text() != text:
        write_whole(settings, text)
    return {
        "DAGSTER_HOME": str(folder),
        "TAXI_HISTORY_URL": f"{server.ensure_database(DATABASE)}?{_UNSYNCHRONIZED}",
        "TAXI_RUNS_AT_ONCE": str(runs_at_once()),
        "TAXI_HOME": str(directory),
    }


def acquire_daemon_lock(directory: Path) -> bool:
    """Acquire the daemon lock of this data directory, inherited across exec.

    Return False if another process holds it: two daemons on one history would each start a part of its runs.
    """
    path = _lock_file(directory)
    make_folder(path.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.set_inheritable(descriptor, True)
    if _acquire(descriptor):
        return True
    os.close(descriptor)
    return False


def daemon_lock_is_held(directory: Path) -> bool:
    """Return whether a process runs Dagster's daemon in this data directory."""
    if not _lock_file(directory).exists():
        return False
    with _lock_file(directory).open("ab") as file:
        return not _acquire(file.fileno())


def _lock_file(directory: Path) -> Path:
    return directory / "dagster" / ".daemon.lock"


def _acquire(descriptor: int) -> bool:
    """Acquire the lock without waiting. The system releases it when the last process with the descriptor ends."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def runs_at_once() -> int:
    """Return how many months are loaded at once: one for each processor that is available to this process."""
    return len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else os.cpu_count() or 1
