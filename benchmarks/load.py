"""A process that loads months with the platform's own assets and checks, and measures them.

    python -m benchmarks.load <destination> <data directory> <database URL>

It reads months from standard input, one per line. For each it downloads the file, which is not measured, prints
`ready`, waits for an empty line, loads the month, and prints the measured figures as JSON. The time is that from the
start of the first asset after `raw_csv` to the end of the last check, including Dagster's own writes.
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
from taxi_platform.destinations.registry import DESTINATIONS
from taxi_platform.source.assets import raw_csv


@dataclass(frozen=True)
class Loaded:
    """Measured figures of a load."""

    seconds: float
    table_seconds: float
    """Part of it that the asset of the table takes for its work."""
    peak_megabytes: float
    """Peak memory of the process since its start."""


class Loader:
    """A process that loads months into a destination, as a context manager. `url` is that of the database."""

    def __init__(self, url: str, directory: Path, destination: str = "postgres") -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.load", destination, str(directory), url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def prepare(self, work: Work) -> None:
        """Download the file, so that it can be loaded."""
        self._write(json.dumps([str(work.folder), work.month.key]))
        response = self._read()
        if response != "ready":
            raise RuntimeError(f"the loading process could not prepare {work.month}: {response!r}")

    def go(self) -> None:
        self._write("")

    def wait(self) -> Loaded:
        return Loaded(**json.loads(self._read()))

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

    def _write(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _read(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()


def _serve(name: str) -> None:
    [destination] = [each for each in DESTINATIONS if each.name == name]
    assets = [raw_csv, *destination.assets, *destination.checks]
    resources = dict(defs.resources or {})
    instance = dg.DagsterInstance.ephemeral()
    for line in sys.stdin:
        folder, key = json.loads(line)
        os.environ["TAXI_SOURCE_URL"] = Path(folder).as_uri()
        common = {"partition_key": key, "instance": instance, "resources": resources}
        assert dg.materialize(assets, selection=[raw_csv], **common).success
        print("ready", flush=True)
        sys.stdin.readline()
        result = dg.materialize(assets, selection=dg.AssetSelection.assets(*destination.keys_of_table), **common)
        steps = [event.timestamp for event in instance.all_logs(result.run_id) if _is_step(event)]
        failed = [evaluation.check_name for evaluation in result.get_asset_check_evaluations() if not evaluation.passed]
        assert result.success
        assert failed in ([], ["pickups_inside_month"]), failed
        [*_, table] = result.get_asset_materialization_events()
        loaded = {
            "seconds": max(steps) - min(steps),
            "table_seconds": table.materialization.metadata["seconds"].value,
            "peak_megabytes": _peak_megabytes(),
        }
        print(json.dumps(loaded), flush=True)


def _peak_megabytes() -> float:
    """Return the peak memory of this process; getrusage's includes that of the process that started it."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:", 1)[1].split()[0]) / 1024


def _is_step(event: dg.EventLogEntry) -> bool:
    types = (dg.DagsterEventType.STEP_START, dg.DagsterEventType.STEP_SUCCESS)
    return event.is_dagster_event and event.get_dagster_event().event_type in types


if __name__ == "__main__":
    lake = str(Path(sys.argv[2], "lake"))
    os.environ |= {"TAXI_HOME": sys.argv[2], "TAXI_LAKE_PATH": lake, "TAXI_POSTGRES_URL": sys.argv[3]}
    _serve(sys.argv[1])
