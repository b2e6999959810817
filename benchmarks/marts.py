"""Marts of one month and of twelve: through the platform's assets, and by `dbt build` alone.

Both build the same models and tests from the same table of trips, in turn: twelve months into a database without
marts, then one of these months again. Ours is `dagster asset materialize`, a process from its start to its end, which
starts dbt, counts rows and records what was built. dbt has parsed the project before in both. Processor seconds are
those of the processes without the server.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psycopg

from benchmarks.figures import ROUNDS, YEAR, Bench, Figure
from benchmarks.work import empty_database, settle
from taxi_platform.analytics.dbt_process import PROJECT, ZONES_SEED, Dbt
from taxi_platform.analytics.models import MODELS
from taxi_platform.analytics.postgres_marts import dbt_environment
from taxi_platform.trips.partitions import TripMonth

ROWS = 70_000
"""Of a month: the mean of the green files of 2020 since March is 89,000."""
SMALL_ROWS = 3_000

Build = Callable[[Sequence[TripMonth]], None]


def marts(bench: Bench) -> list[Figure]:
    """Months of 70,000 rows, three rounds."""
    return _compare(bench, "marts", ROWS, ROUNDS)


def marts_small(bench: Bench) -> list[Figure]:
    """Months of 3,000 rows, one round."""
    return _compare(bench, "small marts", SMALL_ROWS, 1)


def _compare(bench: Bench, group: str, rows: int, rounds: int) -> list[Figure]:
    works = [bench.files.month(number, rows=rows) for number in range(YEAR)]
    months = [work.month for work in works]
    with empty_database(bench.server_url) as url, tempfile.TemporaryDirectory(dir=bench.folder) as name:
        with bench.loader(url, ready=False) as loader:
            for work in works:
                loader.load(work)
        ways: dict[str, Build] = {
            "ours": lambda chosen: _materialize(url, Path(name) / "home", chosen),
            "dbt": lambda chosen: _build(url, Path(name) / "dbt", chosen),
        }
        for way, build in ways.items():
            print(f"  {group}: {way} parses the project", file=sys.stderr)
            build(months[:1])
        for _ in range(rounds):
            for way, build in ways.items():
                with psycopg.connect(url) as connection:
                    connection.execute("drop schema marts cascade")
                _time(bench, group, f"{way}, twelve months", url, lambda build=build: build(months))
                _time(bench, group, f"{way}, one month", url, lambda build=build: build(months[-1:]))
    figures = []
    for span in ("one month", "twelve months"):
        ours, dbt, processor = f"ours, {span}", f"dbt, {span}", ", processor seconds"
        figures += [
            Figure(f"ours ÷ dbt build, {group} of {span}", bench.ratio(group, ours, dbt), ""),
            Figure(f"{group} of {span}, ours", bench.median(group, ours), "", "s"),
            Figure(f"{group} of {span}, ours, processor seconds", bench.median(group, ours + processor), "", "s"),
            Figure(f"{group} of {span}, dbt build, processor seconds", bench.median(group, dbt + processor), "", "s"),
        ]
    return figures


def _time(bench: Bench, group: str, name: str, url: str, build: Callable[[], None]) -> None:
    settle(url)
    before, began = os.times(), time.monotonic()
    build()
    seconds, after = time.monotonic() - began, os.times()
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    bench.note(group, name, seconds)
    bench.note(group, f"{name}, processor seconds", processor)


def _materialize(url: str, directory: Path, months: Sequence[TripMonth]) -> None:
    selection = " or ".join(f'key:"postgres/{model.name}"' for model in MODELS)
    chosen = ["--partition", months[0].key]
    if len(months) > 1:
        chosen = ["--partition-range", f"{months[0].key}...{months[-1].key}"]
    settings = {"TAXI_POSTGRES_URL": url, "TAXI_HOME": str(directory)}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "dagster",
            "asset",
            "materialize",
            "-m",
            "taxi_platform",
            "--select",
            selection,
            *chosen,
        ],
        env={name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"} | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])


def _build(url: str, folder: Path, months: Sequence[TripMonth]) -> None:
    files = {month.filename: {"sha256": "a version", "load_record": "a record"} for month in months}
    nodes, output = Dbt("postgres", folder, dbt_environment(url)).build(
        [model.name for model in MODELS], files=files, zones=PROJECT / "seeds" / ZONES_SEED
    )
    if not all(node.succeeded for node in nodes):
        raise RuntimeError(output[-3000:])
