"""Tests of the emulators as processes."""

import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from taxi_platform.local.emulators.servers import Emulators
from taxi_platform_tests.conftest import REPO
from taxi_platform_tests.support.waiting import PATIENCE, until


def test_emulators_end_when_their_starter_is_killed(tmp_path: Path) -> None:
    program = f"""
import sys, pathlib
from taxi_platform.local.emulators.servers import running
with running(pathlib.Path({str(tmp_path)!r})) as emulators:
    print(emulators.storage_url, emulators.bigquery_url, flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=REPO, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        storage_url, bigquery_url = starter.stdout.readline().split()
        assert responds(storage_url)
        assert responds(bigquery_url)
        starter.kill()
    until(lambda: not responds(storage_url), "the storage emulator has ended")


def responds(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/storage/v1/b?project=p", timeout=PATIENCE):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def test_addresses_have_the_names_of_googles_variables(emulators: Emulators) -> None:
    assert emulators.environment.keys() == {"STORAGE_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST"}
