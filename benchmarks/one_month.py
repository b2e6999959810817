"""One small month by each command that loads one, and a worker's memory over a hundred months."""

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import dagster as dg
import psutil

from benchmarks.figures import ROUNDS, Bench, Figure
from benchmarks.journey import QUEUED, environment, journey, measured, mirror, note, tiny_months
from benchmarks.work import empty_database
from taxi_platform.automation.backfill.worker import Task
from taxi_platform.automation.backfill.worker_process import WorkerProcess
from taxi_platform.demo.sample_trips import write_sample
from taxi_platform.destinations.postgres.destination import POSTGRES
from taxi_platform.local.instance import embedded_server, prepare
from taxi_platform_tests.support.web_interface import until, web_interface

HUNDRED = 100
_MONTHS = 25
_ASSETS = [key.to_user_string() for key in (dg.AssetKey("raw_csv"), *POSTGRES.asset_keys)]
_SELECTION, _PARTITION = '+key:"postgres_tripdata"', "green|2019-01"
_PROGRAMS = Path(sys.executable).parent
_COMMANDS = {
    "taxi-platform backfill": ["backfill", "--colour", "green", "--from", "2019-01", "--to", "2019-01"],
    "dg launch": ["launch", "--assets", _SELECTION, "--partition", _PARTITION],
    "dagster asset materialize": [
        *("asset", "materialize", "-m", "taxi_platform"),
        *("--select", _SELECTION, "--partition", _PARTITION),
    ],
}
"""Arguments of each command, by the words that it starts with."""


def journey_and_one_month(bench: Bench) -> list[Figure]:
    """Measure everything that docs/benchmarks.md says of the journey."""
    return [*journey(bench), *one_month(bench), *memory_of_a_hundred_months(bench)]


def one_month(bench: Bench) -> list[Figure]:
    """Load a month of 10,000 rows by each command, and by a run that is queued as schedule and sensor request it."""
    group, work = "one month", tiny_months(bench, ROUNDS)
    with mirror(work.folder) as source_url:
        for _ in range(ROUNDS):
            for name, arguments in _COMMANDS.items():
                command = [str(_PROGRAMS / name.split()[0]), *arguments]
                with empty_database(bench.server_url) as url, _data_directory(bench) as own:
                    known = environment() | own | {"TAXI_SOURCE_URL": source_url, "TAXI_POSTGRES_URL": url}
                    cost = measured(
                        bench.server_url,
                        url,
                        lambda command=command, known=known: subprocess.run(
                            command, env=known, cwd=Path(__file__).parents[1], check=True, capture_output=True
                        ),
                    )
                    note(bench, group, name, cost)
        with empty_database(bench.server_url) as url, empty_database(bench.server_url) as history:
            folder = bench.folder / "queued"
            folder.mkdir()
            settings = {"TAXI_SOURCE_URL": source_url, "TAXI_POSTGRES_URL": url, "TAXI_ALERT_WEBHOOK": ""}
            with web_interface(folder, history, settings) as web:
                for month in work.months:
                    run = web.launch(month, *_ASSETS)
                    until(lambda run=run: web.run_status(run) in ("SUCCESS", "FAILURE"))
                    times = web.query(QUEUED, id=run)["runOrError"]
                    bench.note(group, "queued run, until it starts", times["startTime"] - times["creationTime"])
                    bench.note(group, "queued run", times["endTime"] - times["creationTime"])
            shutil.rmtree(folder)
    return [
        Figure(f"one month of 10,000 rows by {name}", bench.median(group, name), "", "s")
        for name in (*_COMMANDS, "queued run")
    ]


def memory_of_a_hundred_months(bench: Bench) -> list[Figure]:
    """Load a hundred months in one worker: a corrected file for each of 25 months, four times."""
    group, work = "memory of a worker", tiny_months(bench, _MONTHS)
    with mirror(work.folder) as source_url, empty_database(bench.server_url) as url, _data_directory(bench) as own:
        os.environ |= own | {"TAXI_SOURCE_URL": source_url, "TAXI_POSTGRES_URL": url}
        with dg.DagsterInstance.get():
            pass
        worker = WorkerProcess("taxi_platform.definitions")
        process = psutil.Process(worker.process.pid)
        for number in range(HUNDRED):
            month = work.months[number % _MONTHS]
            write_sample(work.folder, month, 1000 + number, shared=False)
            error = worker.load(Task(month=month.key, assets=_ASSETS, run_id=str(uuid.uuid4()), tags={}))
            if error:
                raise RuntimeError(error)
            bench.note(group, "MB after each month", process.memory_info().rss / 1e6)
        worker.close(10)
        for name in own:
            del os.environ[name]
    values = bench.measured[group]["MB after each month"]
    last = median(values[-10:])
    return [
        Figure("memory of a worker, 100th ÷ 10th month", last / median(values[5:15]), "≤ 1.1"),
        Figure("memory of a worker after 100 months", last, "", "MB"),
    ]


@contextmanager
def _data_directory(bench: Bench) -> Iterator[dict[str, str]]:
    """Yield the environment of a new data directory whose server runs."""
    folder = bench.folder / "home"
    server = embedded_server(folder)
    try:
        yield prepare(folder)
    finally:
        server.remove()
        shutil.rmtree(folder)
