"""Ours: the platform's own assets and checks, in a process of their own that waits for a word to begin.

    python -m benchmarks.load <database URL> <folder of files> <home>

Reads months from standard input, one a line; for each it brings the file (not timed), says `ready`, waits for an
empty line, loads, and says what that took as JSON: from the beginning of `postgres_staging` to the end of the last
check, with all that Dagster writes down in between.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from benchmarks.work import Work
from taxi_platform.definitions import defs
from taxi_platform.destinations.postgres import checks
from taxi_platform.destinations.postgres.assets import postgres_staging, postgres_tripdata
from taxi_platform.source.assets import raw_csv


@dataclass(frozen=True)
class Loaded:
    """What a load took."""

    seconds: float
    peak_megabytes: float
    """Of the process, since its start."""


class Loader:
    """A process that loads months into a database; to be closed."""

    def __init__(self, url: str, home: Path) -> None:
        self._home = home
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.load", url, str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def prepare(self, work: Work) -> None:
        """Brings the file, and makes all ready to load it."""
        self._say(json.dumps([str(work.folder), work.month.key]))
        said = self._hear()
        if said != "ready":
            raise RuntimeError(f"the loading process could not prepare {work.month}: {said!r}")

    def go(self) -> None:
        self._say("")

    def wait(self) -> Loaded:
        return Loaded(**json.loads(self._hear()))

    def load(self, work: Work) -> Loaded:
        self.prepare(work)
        self.go()
        return self.wait()

    def close(self) -> None:
        self._process.communicate()

    def __enter__(self) -> "Loader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _say(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _hear(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()


def _serve() -> None:
    assets = [raw_csv, postgres_staging, postgres_tripdata, *dg.load_asset_checks_from_modules([checks])]
    resources = dict(defs.resources or {})
    instance = dg.DagsterInstance.ephemeral()
    for line in sys.stdin:
        folder, key = json.loads(line)
        os.environ["TAXI_SOURCE_URL"] = Path(folder).as_uri()
        common = {"partition_key": key, "instance": instance, "resources": resources}
        assert dg.materialize(assets, selection=[raw_csv], **common).success
        print("ready", flush=True)
        sys.stdin.readline()
        result = dg.materialize(
            assets, selection=dg.AssetSelection.assets(postgres_staging, postgres_tripdata), **common
        )
        steps = [event.timestamp for event in instance.all_logs(result.run_id) if _is_step(event)]
        failed = [evaluation.check_name for evaluation in result.get_asset_check_evaluations() if not evaluation.passed]
        assert result.success
        assert failed in ([], ["pickups_inside_month"]), failed
        print(json.dumps({"seconds": max(steps) - min(steps), "peak_megabytes": _peak_megabytes()}), flush=True)


def _peak_megabytes() -> float:
    """From Linux's own count for this program; getrusage's begins with that of the process that started it."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:", 1)[1].split()[0]) / 1024


def _is_step(event: dg.EventLogEntry) -> bool:
    types = (dg.DagsterEventType.STEP_START, dg.DagsterEventType.STEP_SUCCESS)
    return event.is_dagster_event and event.get_dagster_event().event_type in types


if __name__ == "__main__":
    os.environ |= {"TAXI_POSTGRES_URL": sys.argv[1], "TAXI_HOME": sys.argv[2]}
    _serve()
