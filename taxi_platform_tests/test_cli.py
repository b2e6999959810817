"""The command `taxi-platform` in a process of its own: the demo, the web interface, SQL, stop and clean."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
import pytest
import requests
from psycopg import sql

from taxi_platform.local.instance import embedded_server
from taxi_platform.local.ports import free_port
from taxi_platform_tests.support.waiting import PATIENCE, until

REPO = Path(__file__).parents[1]
COMMAND = [sys.executable, "-c", "from taxi_platform.cli import main; main()"]


@dataclass
class Folder:
    """A working directory with a `.env` that would lead the demo elsewhere."""

    path: Path

    @property
    def home(self) -> Path:
        return self.path / ".taxi"

    def environment(self, **settings: str) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.path), "PYTHONPATH": str(REPO), **settings}

    def run(self, *arguments: str, expected: int = 0, **settings: str) -> str:
        """Run the command and return both its output streams. Fail if it exits with another status than `expected`."""
        done = subprocess.run(
            [*COMMAND, *arguments],
            cwd=self.path,
            env=self.environment(**settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == expected, done.stdout
        return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folder]:
    folder = Folder(tmp_path_factory.mktemp("cli"))
    env = "TAXI_POSTGRES_URL=postgresql://nobody:secret@127.0.0.1:1/none\nTAXI_SOURCE_URL=http://127.0.0.1:1\n"
    (folder.path / ".env").write_text(env)
    try:
        yield folder
    finally:
        for home in (folder.home, folder.home / "demo"):
            embedded_server(home).remove()


@pytest.fixture(scope="module")
def demo(folder: Folder) -> str:
    """Return the output of the demo's first run."""
    return folder.run("demo")


def table_of(printed: str) -> list[tuple[str, ...]]:
    return re.findall(r"^public\.(\w+) +(\S+) +([\d,]+) +([\d,]+) +([\d,]+)$", printed, re.MULTILINE)


def contents(url: str) -> object:
    """Return the rows by file and partition: a reloaded month has another partition."""
    query = """
        select filename, tableoid::bigint, count(*), md5(string_agg(unique_row_id, '' order by unique_row_id))
        from {} group by 1, 2 order by 1
    """
    tables = [sql.Identifier(name) for name in ("yellow_tripdata", "green_tripdata")]
    with psycopg.connect(url) as connection:
        return [connection.execute(sql.SQL(query).format(table)).fetchall() for table in tables]


def test_demo_loads_both_colours_and_prints_summary(folder: Folder, demo: str) -> None:
    assert "Sample data: generated trips" in demo
    table = table_of(demo)
    assert len(table) == 6, demo
    assert {row[0] for row in table} == {"yellow_tripdata", "green_tripdata"}
    numbers = [tuple(int(cell.replace(",", "")) for cell in row[2:]) for row in table]
    assert all(in_file == in_table + skipped for in_file, in_table, skipped in numbers)
    assert [skipped for _, _, skipped in numbers] == [0, 2, 2] * 2, "the file that was loaded first has the row"
    comparisons = re.findall(r"^(?:yellow|green) +(\S+) +([\d,]+) +([\d,]+)  (.*)$", demo, re.MULTILINE)
    assert len(comparisons) == 6, demo
    assert all(postgres == lake and result == "equal" for _, postgres, lake, result in comparisons)
    assert "make dev" in demo


def test_demo_ends_with_best_zones_and_report(folder: Folder, demo: str) -> None:
    if not Path(sys.executable).with_name("dbt").exists():
        pytest.skip("dbt is not installed: pip install '.[marts]'")
    zones = demo.partition("best pickup zones")[2].partition("\n\n")[0]
    assert len(re.findall(r"^\S.* +[\d,]+\.\d\d +[\d,]+$", zones, re.MULTILINE)) == 5, demo
    assert (folder.home / "demo" / "report" / "index.html").exists()


def test_demo_ignores_env_file(folder: Folder, demo: str) -> None:
    assert sorted(path.name for path in folder.home.iterdir()) == ["demo"]
    assert "secret" not in demo


def test_second_demo_changes_nothing(folder: Folder, demo: str) -> None:
    url = embedded_server(folder.home / "demo").url()
    before = contents(url)
    assert table_of(folder.run("demo")) == table_of(demo)
    assert contents(url) == before


def test_sql_connects_to_configured_server(folder: Folder, demo: str) -> None:
    url = embedded_server(folder.home / "demo").url()
    printed = folder.run("sql", "select count(*) as trips from green_tripdata", TAXI_POSTGRES_URL=url)
    assert "8996" in printed


def test_dev_shows_runs_and_stops_with_ctrl_c(folder: Folder, demo: str) -> None:
    home = folder.home / "demo"
    server = embedded_server(home)
    port = free_port()
    log = folder.path / "dev.log"
    with log.open("w") as output:
        dev = subprocess.Popen(
            [*COMMAND, "dev", "--port", str(port)],
            cwd=folder.path,
            env=folder.environment(TAXI_HOME=str(home)),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        runs = successful_runs(f"http://127.0.0.1:{port}", dev, log)
        assert runs >= 6
        assert "Another `make dev` is using" in folder.run("dev", expected=1, TAXI_HOME=str(home))
        assert "`make dev` is using" in folder.run("stop", expected=1, TAXI_HOME=str(home))
        assert server.running()
        password = (server.folder / "password").read_text()
        children = psutil.Process(dev.pid).children(recursive=True)
        assert children
        assert not [process for process in children if password in " ".join(process.cmdline())]
        os.kill(dev.pid, signal.SIGINT)
        assert dev.wait(PATIENCE) in {0, -signal.SIGINT}
        psutil.wait_procs(children, PATIENCE)
        assert not [process for process in children if process.is_running() and process.status() != "zombie"]
    finally:
        if dev.poll() is None:
            os.killpg(dev.pid, signal.SIGKILL)
            dev.wait()
    assert server.running()
    assert password not in (home / "dagster" / "dagster.yaml").read_text()
    assert password not in log.read_text()


def test_unusable_data_directory_is_named(folder: Folder) -> None:
    said = folder.run("dev", expected=1, TAXI_HOME="/dev/null/home")
    assert "The folder /dev/null/home/postgres cannot be created: Not a directory." in said
    assert "Set TAXI_HOME" in said
    assert "Traceback" not in said


def successful_runs(url: str, process: subprocess.Popen[bytes], log: Path) -> int:
    """Return how many runs the web interface shows as succeeded, once it responds."""
    query = "{ runsOrError(filter: {statuses: [SUCCESS]}) { ... on Runs { count } } }"

    def response() -> requests.Response | None:
        assert process.poll() is None, log.read_text()
        try:
            return requests.post(f"{url}/graphql", json={"query": query}, timeout=PATIENCE)
        except requests.ConnectionError:
            return None

    return until(response, "the web interface responds").json()["data"]["runsOrError"]["count"]


def test_stop_and_clean_stop_servers_and_remove_demo(folder: Folder, demo: str) -> None:
    """This is the last test of the module, because the others need the demo's server."""
    assert ".taxi/demo: stopped" in folder.run("stop")
    assert not embedded_server(folder.home / "demo").running()
    assert ".taxi/demo: was not running" in folder.run("stop")
    place = (folder.home / "demo" / "postgres" / "server").resolve()
    folder.run("clean")
    assert not (folder.home / "demo").exists()
    assert not place.exists()


def test_platform_error_is_shown_without_traceback(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "postgres").mkdir(parents=True)
    server = embedded_server(home)
    try:
        server.start()
        (home / "postgres" / "password").unlink()
        done = subprocess.run(
            [*COMMAND, "sql", "select 1"],
            cwd=tmp_path,
            env=Folder(tmp_path).environment(TAXI_HOME=str(home)),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 1
        assert "password of the embedded PostgreSQL was not found" in done.stderr
        assert "Traceback" not in done.stderr
    finally:
        server.remove()
