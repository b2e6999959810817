"""Tests of Dagster's instance in the data directory."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from taxi_platform.errors import BadSetting
from taxi_platform.local.instance import acquire_daemon_lock, daemon_lock_is_held, embedded_server, prepare
from taxi_platform_tests.conftest import REPO
from taxi_platform_tests.support.waiting import PATIENCE

# Acquires the lock and then becomes `cat`, as `make dev` becomes `dagster dev`.
HOLDER = """
import os, sys
from pathlib import Path
from taxi_platform.local.instance import acquire_daemon_lock
print(acquire_daemon_lock(Path(sys.argv[1])), flush=True)
os.execvp("cat", ["cat"])
"""


@contextmanager
def holder(home: Path) -> Iterator[str]:
    """Another process that tries to acquire the lock; yields what `acquire_daemon_lock` returned."""
    command = [sys.executable, "-c", HOLDER, str(home)]
    with subprocess.Popen(command, cwd=REPO, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield process.stdout.readline().strip()
        process.stdin.close()
        process.wait(PATIENCE)


def test_lock_is_held_across_exec_until_the_process_ends(tmp_path: Path) -> None:
    assert not daemon_lock_is_held(tmp_path)
    with holder(tmp_path) as acquired:
        assert acquired == "True"
        assert daemon_lock_is_held(tmp_path)
        assert not acquire_daemon_lock(tmp_path)
    assert not daemon_lock_is_held(tmp_path)


def test_second_process_does_not_get_the_lock(tmp_path: Path) -> None:
    with holder(tmp_path) as first, holder(tmp_path) as second:
        assert (first, second) == ("True", "False")


def test_failed_attempt_leaves_no_open_file(tmp_path: Path) -> None:
    with holder(tmp_path):
        before = psutil.Process().num_fds()
        assert not acquire_daemon_lock(tmp_path)
        assert psutil.Process().num_fds() == before


def test_locks_of_two_data_directories_are_independent(tmp_path: Path) -> None:
    with holder(tmp_path / "one") as first, holder(tmp_path / "two") as second:
        assert (first, second) == ("True", "True")


def test_unusable_data_directory_is_named() -> None:
    with pytest.raises(BadSetting, match="/dev/null/data/dagster cannot be created"):
        acquire_daemon_lock(Path("/dev/null/data"))


def test_prepare_writes_settings_and_leads_dagster_to_them(tmp_path: Path) -> None:
    server = embedded_server(tmp_path)
    try:
        environment = prepare(tmp_path)
        settings = Path(environment["DAGSTER_HOME"]) / "dagster.yaml"
        assert (server.folder / "password").read_text() in environment["TAXI_HISTORY_URL"]
        assert (server.folder / "password").read_text() not in settings.read_text()
        settings.write_text("changed by hand")
        prepare(tmp_path)
        assert "TAXI_HISTORY_URL" in settings.read_text()
    finally:
        server.remove()
