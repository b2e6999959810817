"""The command `taxi-platform backfill`: loaded, skipped, failed, killed and interrupted months."""

import gzip
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import psutil
import psycopg
import pytest
from click.testing import CliRunner

from taxi_platform.automation.backfill.runner import Backfill
from taxi_platform.cli import main
from taxi_platform.destinations.base import Resources
from taxi_platform.destinations.postgres.catalog import loaded_months
from taxi_platform.destinations.postgres.destination import POSTGRES, PostgresDestination
from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.trips.columns import Colour
from taxi_platform.trips.load_record import LoadRecord
from taxi_platform.trips.partitions import TripMonth, month_partitions
from taxi_platform_tests.support.faulty_server import Fault, FaultyServer
from taxi_platform_tests.support.trip_files import csv_text, publish, trip
from taxi_platform_tests.support.waiting import PATIENCE, until

CHOICE = f"Choose a month from 2019-01 to {month_partitions.get_last_partition_key()}, in the form YYYY-MM."
MONTHS = [TripMonth.from_key(f"green|2020-0{month}") for month in (3, 4, 5)]


class Terminal:
    """The command in a working directory with a Dagster instance, over a mirror and a database."""

    def __init__(self, folder: Path, source_url: str, url: str) -> None:
        self.folder = folder
        self.url = url
        (folder / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
        own = {"TAXI_HOME": str(folder / "home"), "DAGSTER_HOME": str(folder), "TAXI_SOURCE_URL": source_url}
        bare = {name: value for name, value in os.environ.items() if not name.startswith("GCP_")}
        self.environment = {**bare, **own, "TAXI_POSTGRES_URL": url}

    @contextmanager
    def start(self, *options: str) -> Iterator[subprocess.Popen[str]]:
        command = [sys.executable, "-c", "from taxi_platform.cli import main; main()", "backfill", *options]
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def run(self, *options: str) -> tuple[int, str, str]:
        with self.start(*options) as process:
            said, shown = process.communicate(timeout=PATIENCE)
            return process.returncode, said, shown

    def rows(self) -> dict[str, int]:
        with psycopg.connect(self.url) as connection:
            found = connection.execute("select filename, count(*) from green_tripdata group by 1").fetchall()
        return {filename[15:22]: rows for filename, rows in found}

    def runs(self) -> list[tuple[str, dg.DagsterRunStatus]]:
        with dg.DagsterInstance.from_config(str(self.folder)) as instance:
            return [(run.tags["dagster/partition"], run.status) for run in instance.get_runs()]


def options(first: str = "2020-03", last: str = "2020-05") -> tuple[str, ...]:
    return ("--colour", "green", "--from", first, "--to", last)


def content(month: TripMonth) -> bytes:
    return csv_text(month, [trip(month, f"{day:02} 10:00:00") for day in range(1, int(month.month[-1]) + 1)])


def test_loaded_months_are_skipped_unless_again_is_given(tmp_path, mirror, postgres_url):
    for month in (MONTHS[0], MONTHS[2]):
        publish(mirror.folder, month, content(month))
    terminal = Terminal(tmp_path, mirror.url, postgres_url)
    status, said, shown = terminal.run(*options())

    assert status == 1
    lines = said.splitlines()
    assert {line[:13] for line in lines[:3]} == {"green 2020-03", "green 2020-04", "green 2020-05"}
    assert any("3 rows" in line and line.rstrip().endswith(" s") for line in lines)
    assert any("2020-04  failed after" in line and "raw_csv: The mirror does not have http" in line for line in lines)
    assert lines[-1] == "2 of 3 months loaded, 8 rows; 1 failed: 2020-04."
    assert "3/3" in shown
    assert terminal.rows() == {"2020-03": 3, "2020-05": 5}

    publish(mirror.folder, MONTHS[1], content(MONTHS[1]))
    status, said, _ = terminal.run(*options())
    assert status == 0
    assert said.splitlines()[-1] == "1 of 3 months loaded, 4 rows; 2 were loaded already."
    assert terminal.rows() == {"2020-03": 3, "2020-04": 4, "2020-05": 5}

    publish(mirror.folder, MONTHS[0], csv_text(MONTHS[0], [trip(MONTHS[0])]))
    status, said, _ = terminal.run(*options(last="2020-03"), "--again")
    assert (status, said.splitlines()[-1]) == (0, "1 of 1 months loaded, 1 rows.")
    assert terminal.rows()["2020-03"] == 1


def test_month_that_lacks_rows_is_named_and_reloaded(tmp_path, mirror, postgres_url):
    march, april = MONTHS[:2]
    shared = trip(march, "2020-04-05 12:00:00")
    publish(mirror.folder, march, csv_text(march, [trip(march), shared]))
    terminal = Terminal(tmp_path, mirror.url, postgres_url)
    assert terminal.run(*options(last="2020-03"))[0] == 0
    publish(mirror.folder, april, csv_text(april, [trip(april), shared]))
    status, said, _ = terminal.run(*options(last="2020-04"))
    assert status == 0
    assert any("2 rows" in line and line.endswith("1 skipped as duplicates") for line in said.splitlines())

    publish(mirror.folder, march, csv_text(march, [trip(march)]))
    status, said, _ = terminal.run(*options(last="2020-03"), "--again")
    assert status == 1
    assert said.splitlines()[-1].startswith("These months may lack rows or columns and must be reloaded: 2020-04.")
    assert terminal.rows() == {"2020-03": 1, "2020-04": 1}

    status, said, _ = terminal.run(*options(last="2020-04"))
    assert (status, said.splitlines()[-1]) == (0, "1 of 2 months loaded, 2 rows; 1 were loaded already.")
    assert terminal.rows() == {"2020-03": 1, "2020-04": 2}


def test_month_with_failed_check_counts_as_failed(tmp_path, mirror, postgres_url):
    """An event trigger deletes the rows as soon as they are attached."""
    publish(mirror.folder, MONTHS[0], content(MONTHS[0]))
    with psycopg.connect(postgres_url) as connection:
        connection.execute(
            """
            create function delete_rows() returns event_trigger language plpgsql as $$ begin
                if exists (select from pg_class where relname = 'green_tripdata_2020_03' and relispartition) then
                    delete from public.green_tripdata;
                end if;
            end $$;
            create event trigger delete_rows on ddl_command_end when tag in ('ALTER TABLE')
                execute function delete_rows()
            """
        )
    status, said, _ = Terminal(tmp_path, mirror.url, postgres_url).run(*options(last="2020-03"))

    assert status == 1
    assert "the check every_row_accounted_for failed: Rows were added or deleted since the month was loaded." in said


def test_database_outage_after_a_run_fails_only_its_month(tmp_path, mirror, postgres_url, monkeypatch):
    for month in MONTHS[:2]:
        publish(mirror.folder, month, content(month))
    terminal = Terminal(tmp_path, mirror.url, postgres_url)
    for name, value in terminal.environment.items():
        monkeypatch.setenv(name, value)
    # The first query comes before any month is loaded, the others after each month.
    urls = iter([postgres_url, "postgresql://taxi@127.0.0.1:1/away", postgres_url])

    class Unreliable(PostgresDestination):
        """The Postgres destination, whose server does not respond to the second query."""

        def loaded_months(self, resources: Resources, colour: Colour) -> Mapping[TripMonth, LoadRecord]:
            return loaded_months(Postgres(url=next(urls)), colour)

    backfill = Backfill(Unreliable(), {}, MONTHS[:2], workers=1)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance, backfill:
        first, second = backfill.run(instance)

    assert "its run succeeded, and postgres did not respond afterwards: Postgres does not respond" in (
        first.error or ""
    )
    assert (second.error, second.rows) == (None, 4)
    assert terminal.rows() == {"2020-03": 3, "2020-04": 4}


@pytest.fixture
def slow() -> Iterator[FaultyServer]:
    """A mirror on which each `Fault` that a test adds stalls one download."""
    with FaultyServer().running() as server:
        for month in MONTHS[:2]:
            server.publish(f"green/{month.gz_name}", gzip.compress(content(month), mtime=0))
        yield server


def test_one_worker_loads_several_months(tmp_path, mirror, postgres_url, monkeypatch):
    for month in MONTHS:
        publish(mirror.folder, month, content(month))
    terminal = Terminal(tmp_path, mirror.url, postgres_url)
    for name, value in terminal.environment.items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        with Backfill(POSTGRES, POSTGRES.resources({}), MONTHS, workers=1) as backfill:
            outcomes = list(backfill.run(instance))
        messages = [event.message for run in instance.get_runs() for event in instance.all_logs(run.run_id)]

    assert [outcome.rows for outcome in outcomes] == [3, 4, 5]
    processes = {found[1] for message in messages if (found := re.search(r"Executing steps.*pid: (\d+)", message))}
    assert len(processes) == 1


def test_worker_that_cannot_start_fails_the_month(tmp_path, postgres_url):
    (tmp_path / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        resources = {"postgres": Postgres(url=postgres_url)}
        with Backfill(POSTGRES, resources, MONTHS[:1], workers=1, definitions="no.such.module") as backfill:
            [outcome] = backfill.run(instance)

    assert outcome.error == "the worker process ended with status 1: ModuleNotFoundError: No module named 'no'"


def workers(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return the worker processes of the command."""
    return psutil.Process(process.pid).children()


def test_months_of_killed_workers_are_loaded_again(tmp_path, slow, postgres_url):
    slow.faults = [Fault(stall_after=20), Fault(stall_after=20)]
    terminal = Terminal(tmp_path, slow.url, postgres_url)
    with terminal.start(*options(last="2020-04")) as process:
        until(lambda: not slow.faults)
        for worker in workers(process):
            worker.kill()
        said, _ = process.communicate(timeout=PATIENCE)

    assert (process.returncode, said.splitlines()[-1]) == (0, "2 of 2 months loaded, 7 rows.")
    assert terminal.rows() == {"2020-03": 3, "2020-04": 4}
    statuses = [status for _, status in terminal.runs()]
    assert statuses.count(dg.DagsterRunStatus.SUCCESS) == 2
    assert set(statuses) == {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE}


def test_ctrl_c_ends_unfinished_runs_and_workers(tmp_path, slow, postgres_url):
    slow.faults = [Fault(stall_after=20), Fault(stall_after=20)]
    terminal = Terminal(tmp_path, slow.url, postgres_url)
    with terminal.start(*options(last="2020-04")) as process:
        until(lambda: not slow.faults)
        processes = workers(process)
        process.send_signal(signal.SIGINT)
        said, shown = process.communicate(timeout=PATIENCE)

    assert process.returncode == 130
    assert said.splitlines()[-1].startswith("0 of 2 months loaded, 0 rows; stopped with 2 to go")
    assert "Traceback" not in said + shown
    assert not [each for each in processes if each.is_running()]
    assert all(status in (dg.DagsterRunStatus.CANCELED, dg.DagsterRunStatus.FAILURE) for _, status in terminal.runs())
    assert list((tmp_path / "home").rglob("*.part")) == []


def test_workers_end_when_the_command_is_killed(tmp_path, slow, postgres_url):
    slow.faults = [Fault(stall_after=20)]
    with Terminal(tmp_path, slow.url, postgres_url).start(*options(last="2020-04")) as process:
        until(lambda: not slow.faults)
        processes = workers(process)
        process.kill()
        slow.stopping.set()
        # Each of them ends with its month.
        until(lambda: not [each for each in processes if each.is_running()])


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (options("2020-05", "2020-03"), "The first month, 2020-05, is after the last, 2020-03.\nSwap them."),
        (options("2018-12", "2018-12"), f"There is no partition of the month '2018-12'.\n{CHOICE}"),
        (options("2035-01", "2035-01"), f"There is no partition of the month '2035-01'.\n{CHOICE}"),
        (options("2020-3"), f"There is no partition of the month '2020-3'.\n{CHOICE}"),
        (
            ("--colour", "purple", "--from", "2020-03", "--to", "2020-03"),
            "Invalid value for '--colour': 'purple' is not one of 'yellow', 'green'.",
        ),
        (
            (*options(), "--destination", "nowhere"),
            "Invalid value for '--destination': 'nowhere' is not one of 'postgres', 'bigquery', 'lake'.",
        ),
        (
            (*options(), "--destination", "bigquery"),
            "The destination bigquery is not configured.\nSet GCP_PROJECT_ID and GCP_BUCKET_NAME.",
        ),
    ],
)
def test_wrong_month_or_colour_is_one_error(monkeypatch, tmp_path, wrong, error):
    for name in ("GCP_PROJECT_ID", "GCP_BUCKET_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["backfill", *wrong])

    assert (result.exit_code, result.output) == (1, f"Error: {error}\n")


@pytest.mark.parametrize("partition", ["purple|2020-03", "green|2018-12", "green|2035-01"])
def test_partition_that_does_not_exist_is_one_error(tmp_path, partition):
    colour, month = partition.split("|")
    terminal = Terminal(tmp_path, "file:///nowhere", "postgresql://nobody@127.0.0.1:1/nothing")
    status, said, shown = terminal.run("--colour", colour, "--from", month, "--to", month)
    assert (status, said) == (1, "")
    assert re.fullmatch(
        r"Error: (Invalid value for '--colour': .*|There is no partition .*\nChoose a month .*)\n", shown
    )


def test_month_that_is_not_published_is_one_error(tmp_path, mirror, postgres_url):
    status, said, shown = Terminal(tmp_path, mirror.url, postgres_url).run(*options("2020-03", "2020-03"))
    failed, summary = said.splitlines()
    url = re.escape(f"{mirror.url}/green/{MONTHS[0].gz_name}")
    assert re.fullmatch(rf"green 2020-03  failed after \S+ s: raw_csv: The mirror does not have {url}\.", failed)
    assert (status, summary) == (1, "0 of 1 months loaded, 0 rows; 1 failed: 2020-03.")
    assert [line for line in re.split(r"[\r\n]", shown) if line.strip() and not line.startswith("postgres:")] == []
