"""The time of a small month as a whole process, compared with a graph of three assets that do nothing."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.figures import ROUNDS, Bench, Figure
from benchmarks.work import empty_database

_ROWS = 10_000


def startup(bench: Bench) -> list[Figure]:
    """Measure both with `dagster asset materialize`. The server runs already, and the file is copied from a folder."""
    group = "10,000 rows as a process"
    with empty_database(bench.server_url) as url, tempfile.TemporaryDirectory(dir=bench.folder) as directory:
        settings = {"TAXI_POSTGRES_URL": url, "TAXI_HOME": directory}
        for turn in range(ROUNDS + 2):
            work = bench.files.month(turn, rows=_ROWS)
            nothing = ["-f", str(Path(__file__).with_name("nothing.py")), "--select", "*"]
            ours = ["-m", "taxi_platform", "--select", "+key:postgres_tripdata", "--partition", work.month.key]
            bench.note(group, "a graph that does nothing", _materialize(bench.folder, nothing, {}))
            bench.note(
                group, "ours", _materialize(bench.folder, ours, {**settings, "TAXI_SOURCE_URL": work.folder.as_uri()})
            )
    return [
        Figure(
            "a 10,000-row month, whole process ÷ a graph that does nothing",
            bench.ratio(group, "ours", "a graph that does nothing"),
            "≤ 1.5",
        )
    ]


def _materialize(folder: Path, arguments: list[str], settings: dict[str, str]) -> float:
    environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "dagster", "asset", "materialize", *arguments],
        cwd=folder,
        env=environment | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    return time.monotonic() - began
