"""The whole journey, from an HTTP mirror on this machine to rows in the table, by the commands that users type.

Contenders, each with a running server and empty databases:

- floor: `curl | gunzip | psql \\copy` into unlogged tables, two files at a time: no row ids, no second table;
- script: the statements of the Kestra flow as a shell script, one month after another;
- ours: `taxi-platform backfill`, from an empty history, with all checks, metadata and events;
- web: the same months launched as a backfill in the web interface, from the first queued run to the end of the last.

Seconds are wall time. Processor seconds are those of the contender's processes and of the server.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import psutil
import psycopg
from psycopg import sql

from benchmarks import contenders
from benchmarks.figures import Bench, Figure
from benchmarks.work import empty_database, settle
from taxi_platform.automation.backfill.progress import phase_of
from taxi_platform.demo.sample_trips import write_sample
from taxi_platform.destinations.postgres.destination import POSTGRES
from taxi_platform.destinations.postgres.tables import name_of
from taxi_platform.local.instance import embedded_server, prepare
from taxi_platform.local.ports import HOST, free_port
from taxi_platform.local.server_account import wheel_programs
from taxi_platform.trips.columns import GREEN
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.support.waiting import until
from taxi_platform_tests.support.web_interface import web_interface

GREEN_ROWS = {
    "2020-03": 223_406,
    "2020-04": 35_612,
    "2020-05": 57_360,
    "2020-06": 63_109,
    "2020-07": 72_257,
    "2020-08": 81_063,
    "2020-09": 87_987,
    "2020-10": 95_120,
    "2020-11": 88_605,
    "2020-12": 83_130,
}
"""Rows of ten published files. The files themselves are generated, so that the benchmark runs anywhere.

No two of them have a row in common; neither have the ten published green files of 2020 and 2021 that were compared."""
YELLOW_MONTHS = 4
TINY_MONTHS = 12
TINY_ROWS = 10_000
_CLIENTS = 2


@dataclass(frozen=True)
class Months:
    """Files of one colour's months in a folder that is laid out as the mirror is."""

    folder: Path
    months: list[TripMonth]


@dataclass(frozen=True)
class Cost:
    """What a contender took."""

    seconds: float
    processor_seconds: float


def green_months(bench: Bench, share: float = 1) -> Months:
    """Return ten green months with the numbers of rows that are published, or a share of them."""
    folder = bench.folder / f"green-{share:g}"
    for month, rows in GREEN_ROWS.items():
        write_sample(folder, TripMonth(GREEN, month), round(rows * share), shared=False)
    return Months(folder, [TripMonth(GREEN, month) for month in GREEN_ROWS])


def yellow_months(bench: Bench, rows: int) -> Months:
    """Return yellow months of equal size."""
    works = [bench.files.month(number, rows=rows) for number in range(YELLOW_MONTHS)]
    return Months(works[0].folder, [work.month for work in works])


def tiny_months(bench: Bench, count: int) -> Months:
    """Return so many green months of 10,000 rows."""
    months = [TripMonth(GREEN, f"{2019 + number // 12}-{number % 12 + 1:02}") for number in range(count)]
    for month in months:
        write_sample(bench.folder / "tiny", month, TINY_ROWS, shared=False)
    return Months(bench.folder / "tiny", months)


def journey(bench: Bench) -> list[Figure]:
    """Ten green months and four yellow ones by all contenders, and what a further small month costs; one round."""
    tiny = _additional_month(bench)
    green = _compare(bench, "journey, ten green months", green_months(bench), rounds=1, web=True)
    yellow = _compare(bench, "journey, four yellow months", yellow_months(bench, 1_500_000), rounds=1)
    return [*green, *yellow, *tiny]


def journey_small(bench: Bench) -> list[Figure]:
    """The same with a tenth of the yellow rows, one round, and without the web interface: two minutes."""
    green = _compare(bench, "journey, ten green months", green_months(bench), rounds=1)
    yellow = _compare(bench, "journey, four small yellow months", yellow_months(bench, 150_000), rounds=1)
    return [*green, *yellow, *_additional_month(bench)]


def _compare(bench: Bench, group: str, work: Months, *, rounds: int, web: bool = False) -> list[Figure]:
    with mirror(work.folder) as source_url:
        for _ in range(rounds):
            with empty_database(bench.server_url) as url:
                note(
                    bench, group, "floor", measured(bench.server_url, url, lambda: _floor(bench, url, source_url, work))
                )
            with empty_database(bench.server_url) as url:
                note(
                    bench,
                    group,
                    "script",
                    measured(bench.server_url, url, lambda: _script(bench, url, source_url, work)),
                )
            with empty_database(bench.server_url) as url:
                _ours(bench, group, url, source_url, work)
            if web:
                with empty_database(bench.server_url) as url:
                    bench.note(group, "web", _web(bench, url, source_url, work))
    name = group.removeprefix("journey, ")
    small = "small" in group
    figures = [
        Figure(f"backfill ÷ floor, {name}", bench.ratio(group, "ours", "floor"), _goal(small, "≤ 4", "≤ 1.8", name)),
        Figure(
            f"backfill ÷ script, {name}", bench.ratio(group, "ours", "script"), _goal(small, "≤ 0.7", "≤ 0.2", name)
        ),
        Figure(
            f"backfill ÷ floor, {name}, processor seconds",
            bench.ratio(group, "ours, processor seconds", "floor, processor seconds"),
            "",
        ),
    ]
    if web:
        figures.append(
            Figure(f"backfill in the web interface ÷ floor, {name}", bench.ratio(group, "web", "floor"), "≤ 8")
        )
    return figures


def _goal(small: bool, green: str, yellow: str, name: str) -> str:
    return "" if small else (yellow if "yellow" in name else green)


def _additional_month(bench: Bench) -> list[Figure]:
    """The difference between two backfills, divided by the months that one has more."""
    group = "journey, tiny months"
    costs = {}
    for count in (2, TINY_MONTHS):
        work = tiny_months(bench, count)
        with mirror(work.folder) as source_url, empty_database(bench.server_url) as url:
            costs[count] = _ours(bench, f"{group}, {count}", url, source_url, work)
    more = TINY_MONTHS - 2
    each = (costs[TINY_MONTHS].processor_seconds - costs[2].processor_seconds) / more
    bench.note(group, "processor seconds per additional month", each)
    return [Figure("processor seconds per additional month of 10,000 rows", each, "≤ 0.8", "s")]


def note(bench: Bench, group: str, name: str, cost: Cost) -> Cost:
    """Note both parts of a cost."""
    bench.note(group, name, cost.seconds)
    bench.note(group, f"{name}, processor seconds", cost.processor_seconds)
    return cost


def _floor(bench: Bench, url: str, source_url: str, work: Months) -> None:
    columns = list(work.months[0].colour.required_columns)
    with psycopg.connect(url, autocommit=True) as connection:
        for month in work.months:
            name = sql.SQL("create unlogged table {} ({{}})").format(sql.Identifier(f"floor_{month.suffix}"))
            connection.execute(contenders.create(name.as_string(connection), columns))
    copy = r"""curl -sSf "$0/$1" | gunzip | "$2" "$3" -qXc "\copy floor_$4 from stdin with (format csv, header)" """
    running: list[subprocess.Popen[bytes]] = []
    for month in work.months:
        while sum(process.poll() is None for process in running) >= _CLIENTS:
            time.sleep(0.005)
        place = f"{month.colour.name}/{month.gz_name}"
        running.append(_shell(copy, source_url, place, str(wheel_programs() / "psql"), url, month.suffix))
    _wait_for(running)


def _script(bench: Bench, url: str, source_url: str, work: Months) -> None:
    colour = work.months[0].colour
    contenders.flow_tables(url, colour)
    unpacked = bench.folder / "flow.csv"
    names = ", ".join(name_of(column).as_string() for column in colour.required_columns)
    copy = f"\\copy flow_staging ({names}) from '{unpacked}' with (format csv, header)"
    load = 'curl -sSf "$0/$1" | gunzip > "$2" && "$3" "$4" -qX -v ON_ERROR_STOP=1 -f "$5"'
    for month in work.months:
        statements = [each.as_string() for each in contenders.flow_statements(month)]
        file = bench.folder / "flow.sql"
        file.write_text(";\n".join(["truncate flow_staging", f"\n{copy}\n"]) + ";\n".join(statements) + ";\n")
        place = f"{month.colour.name}/{month.gz_name}"
        _wait_for([_shell(load, source_url, place, str(unpacked), str(wheel_programs() / "psql"), url, str(file))])


def _shell(script: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["bash", "-o", "pipefail", "-ec", script, *arguments])


def _wait_for(running: list[subprocess.Popen[bytes]]) -> None:
    statuses = [process.wait() for process in running]
    if any(statuses):
        raise RuntimeError(f"a contender failed: {statuses}")


def _ours(bench: Bench, group: str, url: str, source_url: str, work: Months) -> Cost:
    """`taxi-platform backfill` in a new data directory whose server runs; also notes where the time went."""
    home = bench.folder / "home"
    server = embedded_server(home)
    try:
        variables = environment() | prepare(home) | {"TAXI_SOURCE_URL": source_url, "TAXI_POSTGRES_URL": url}
        first, last = work.months[0], work.months[-1]
        command = [sys.executable, "-m", "taxi_platform", "backfill"]
        options = ["--colour", first.colour.name, "--from", first.month, "--to", last.month]
        done = lambda: subprocess.run([*command, *options], env=variables, check=True, capture_output=True)  # noqa: E731
        cost = measured(bench.server_url, url, done, server.url("postgres"))
        note(bench, group, "ours", cost)
        for phase, seconds in _phases(variables).items():
            bench.note(group, f"ours, of which {phase}", seconds)
        return cost
    finally:
        server.remove()
        shutil.rmtree(home)


def _phases(environment: dict[str, str]) -> dict[str, float]:
    """Return the mean seconds of a month's phases, from the history."""
    seconds: dict[str, float] = {}
    names = ("DAGSTER_HOME", "TAXI_HISTORY_URL", "TAXI_RUNS_AT_ONCE")
    os.environ |= {name: environment[name] for name in names}
    with dg.DagsterInstance.get() as instance:
        records = instance.get_run_records()
        for record in records:
            spent = 0.0
            began: dict[str, float] = {}
            for entry in instance.all_logs(record.dagster_run.run_id):
                kind = entry.get_dagster_event().event_type if entry.is_dagster_event else None
                if kind is dg.DagsterEventType.STEP_START:
                    began[entry.step_key or ""] = entry.timestamp
                elif kind is dg.DagsterEventType.STEP_SUCCESS:
                    phase = phase_of(entry.step_key or "", POSTGRES)
                    took = entry.timestamp - began[entry.step_key or ""]
                    seconds[phase] = seconds.get(phase, 0) + took / len(records)
                    spent += took
            whole = (record.end_time or 0) - record.create_timestamp.timestamp()
            seconds["around the steps"] = seconds.get("around the steps", 0) + (whole - spent) / len(records)
        first = min(record.create_timestamp.timestamp() for record in records)
        seconds["first run to last"] = max(record.end_time or 0 for record in records) - first
    for name in names:
        del os.environ[name]
    return seconds


def _web(bench: Bench, url: str, source_url: str, work: Months) -> float:
    """Return the seconds from the first queued run to the end of the last; the daemon's wait before is not in it."""
    folder = bench.folder / "web"
    folder.mkdir()
    names = [key.to_user_string() for key in (dg.AssetKey("raw_csv"), *POSTGRES.asset_keys)]
    with empty_database(bench.server_url) as history:
        settings = {"TAXI_SOURCE_URL": source_url, "TAXI_POSTGRES_URL": url, "TAXI_ALERT_WEBHOOK": ""}
        with web_interface(folder, history, settings) as web:
            backfill = web.backfill(work.months, *names)
            until(lambda: web.backfill_status(backfill).startswith("COMPLETED"), "the backfill is complete")
            times = web.query(_RUN_TIMES, id=backfill)["runsOrError"]["results"]
    shutil.rmtree(folder)
    if len(times) != len(work.months) or any(run["status"] != "SUCCESS" for run in times):
        raise RuntimeError(f"the backfill in the web interface failed: {times}")
    return max(run["endTime"] for run in times) - min(run["creationTime"] for run in times)


QUEUED = """
query ($id: ID!) { runOrError(runId: $id) { ... on Run { creationTime startTime endTime } } }
"""
_RUN_TIMES = """
query ($id: String!) {
  runsOrError(filter: { tags: [{ key: "dagster/backfill", value: $id }] }) {
    ... on Runs { results { status creationTime endTime } }
  }
}
"""


def environment() -> dict[str, str]:
    """Return the environment without settings of Dagster, Google Cloud and the platform."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("DAGSTER_", "GCP_", "TAXI_"))}


def measured(server_url: str, url: str, run: Callable[[], object], history_url: str | None = None) -> Cost:
    """Run a contender; its processor seconds are those of the children that ended and of the servers."""
    settle(url)
    servers = [_postmaster(each) for each in (server_url, history_url) if each]
    before, began = _processor_seconds(servers), time.monotonic()
    run()
    seconds = time.monotonic() - began
    return Cost(seconds, _processor_seconds(servers) - before)


def _postmaster(server_url: str) -> psutil.Process:
    with psycopg.connect(server_url) as connection:
        row = connection.execute("select pg_backend_pid()").fetchone()
        parent = psutil.Process(row[0] if row else 0).parent()
    assert parent
    return parent


def _processor_seconds(servers: list[psutil.Process]) -> float:
    own = os.times()
    total = own.children_user + own.children_system
    for server in servers:
        for process in (server, *server.children(recursive=True)):
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system
            if process == server:
                total += times.children_user + times.children_system
    return total


@contextmanager
def mirror(folder: Path) -> Iterator[str]:
    """Serve the folder over HTTP, in a process of its own."""
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", HOST, "--directory", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://{HOST}:{port}"
    try:
        until(lambda: subprocess.run(["curl", "-sf", "-o", "/dev/null", url], check=False).returncode == 0)
        yield url
    finally:
        process.kill()
        process.wait()
