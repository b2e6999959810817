"""Tests of the embedded server: its start by one or several processes, after a crash, as root, in closed folders."""

import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import LiteralString

import psutil
import psycopg
import pytest

from taxi_platform.errors import BadSetting
from taxi_platform.local import server_account
from taxi_platform.local.embedded_postgres import EmbeddedPostgres

REPO = Path(__file__).parents[2]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A server in a data directory that only its owner can enter, as pytest's folders are."""
    server = EmbeddedPostgres(tmp_path / "home" / "postgres")
    yield server
    server.remove()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can enter, as all folders above it."""
    folder = Path("/var/tmp") / f"taxi-platform-test-{os.getpid()}"
    folder.mkdir(mode=0o755)
    yield folder
    shutil.rmtree(folder)


def fetch(url: str, query: LiteralString) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


START = """
    import sys
    from pathlib import Path
    from taxi_platform.local.embedded_postgres import EmbeddedPostgres
    print(EmbeddedPostgres(Path(sys.argv[1])).start())
"""


def run_python(code: str, *arguments: object, path: Path | None = None) -> str:
    """Run the code in a new interpreter and return what it prints. `path` precedes the installed packages."""
    places = [str(place) for place in (path, REPO) if place is not None]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(places)},
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def postmaster(server: EmbeddedPostgres) -> int:
    return int((server.folder / "server" / "data" / "postmaster.pid").read_text().splitlines()[0])


def modes(folder: Path) -> dict[Path, int]:
    return {part: stat.S_IMODE(part.stat().st_mode) for part in (folder, *folder.parents)}


def test_server_is_postgres_18_with_durable_commits(server: EmbeddedPostgres) -> None:
    url = server.start()
    assert str(fetch(url, "show server_version")).startswith("18.")
    assert fetch(url, "show fsync") == fetch(url, "show synchronous_commit") == "on"
    assert fetch(url, "show full_page_writes") == "on"


def test_environment_changes_neither_encoding_nor_time_zone(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "tr_TR.ISO-8859-9")
    monkeypatch.setenv("PGDATA", "/nonexistent")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    url = server.start()
    assert fetch(url, "show server_encoding") == "UTF8"
    assert fetch(url, "show timezone") == "UTC"
    assert fetch(url, "select upper('i\u00e4')") == "I\u00c4"


def test_start_and_stop_are_idempotent(server: EmbeddedPostgres) -> None:
    assert not server.running()
    url = server.start()
    process = postmaster(server)
    assert server.start() == url
    assert postmaster(server) == process
    assert server.running()
    server.stop()
    assert not server.running()
    server.stop()


def test_rows_port_and_password_survive_a_restart(server: EmbeddedPostgres) -> None:
    server.start()
    url = server.ensure_database("ny_taxi")
    with psycopg.connect(url) as connection:
        connection.execute("create table kept as select 7 as value")
    server.stop()
    server.start()
    assert server.ensure_database("ny_taxi") == url
    assert fetch(url, "select value from kept") == 7


def test_concurrent_starts_by_processes_give_one_server(server: EmbeddedPostgres) -> None:
    with ThreadPoolExecutor(4) as pool:
        urls = set(pool.map(lambda _: run_python(START, server.folder), range(4)))
    assert len(urls) == 1
    assert fetch(urls.pop(), "select 1") == 1


def test_concurrent_calls_create_one_database(server: EmbeddedPostgres) -> None:
    server.start()
    with ThreadPoolExecutor(8) as pool:
        urls = set(pool.map(lambda _: server.ensure_database("shared"), range(8)))
    assert fetch(urls.pop(), "select current_database()") == "shared"


def test_server_outlives_the_process_that_started_it(server: EmbeddedPostgres) -> None:
    url = run_python(START, server.folder)
    assert fetch(url, "select 1") == 1
    assert os.getsid(postmaster(server)) != os.getsid(0)


def test_server_recovers_from_kill_9(server: EmbeddedPostgres) -> None:
    url = server.start()
    with psycopg.connect(url) as connection:
        connection.execute("create table kept as select 7 as value")
    os.kill(postmaster(server), signal.SIGKILL)
    assert fetch(server.start(), "select value from kept") == 7


def test_pid_file_that_names_another_process_is_ignored(server: EmbeddedPostgres) -> None:
    """As after a restart of a container, in which small process numbers are reused at once."""
    server.start()
    pid_file = server.folder / "server" / "data" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    server.stop()
    account = pid_file.parent.stat()
    with subprocess.Popen(["sleep", "600"], user=account.st_uid) as other:
        try:
            pid_file.write_text("\n".join([str(other.pid), *lines[1:]]) + "\n")
            os.chown(pid_file, account.st_uid, account.st_gid)
            assert not server.running()
            assert fetch(server.start(), "select 1") == 1
        finally:
            other.kill()


def test_server_takes_another_port_if_its_own_is_in_use(server: EmbeddedPostgres) -> None:
    server.start()
    port = int((server.folder / "port").read_text())
    server.stop()
    with socket.create_server(("127.0.0.1", port)):
        url = server.start()
        assert f":{port}/" not in url
        assert fetch(url, "select 1") == 1
        assert server.start() == url


def test_connection_without_the_password_is_refused(server: EmbeddedPostgres) -> None:
    url = server.start()
    password = server.folder / "password"
    assert stat.S_IMODE(password.stat().st_mode) == 0o600
    assert stat.S_IMODE((server.folder / "server" / "data").stat().st_mode) == 0o700
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url.replace(password.read_text(), "wrong"))
    rules = fetch(url, "select array_agg(distinct auth_method) from pg_hba_file_rules")
    assert rules == ["scram-sha-256"]
    assert password.read_text() not in (server.folder / "server" / "server.log").read_text()


def test_server_listens_on_this_machine_only(server: EmbeddedPostgres) -> None:
    server.start()
    addresses = {(at.laddr.ip if at.laddr else at) for at in psutil.Process(postmaster(server)).net_connections()}
    assert addresses == {"127.0.0.1"}


def test_error_of_the_server_contains_the_end_of_its_log(server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    configuration = server.folder / "server" / "data" / "postgresql.conf"
    configuration.write_text(configuration.read_text() + "no_such_setting = 1\n")
    with pytest.raises(BadSetting, match='unrecognized configuration parameter "no_such_setting"'):
        server.start()


def test_unfinished_initialization_is_repeated(server: EmbeddedPostgres) -> None:
    server.start()
    server.stop()
    data = server.folder / "server" / "data"
    data.rename(data.with_name("data.new"))
    (data.with_name("data.new") / "PG_VERSION").unlink()
    assert fetch(server.start(), "select 1") == 1


def test_remove_leaves_nothing(server: EmbeddedPostgres) -> None:
    server.start()
    process, folder = postmaster(server), (server.folder / "server").resolve()
    server.remove()
    assert not server.folder.exists()
    assert not folder.exists()
    assert not psutil.pid_exists(process) or psutil.Process(process).status() == psutil.STATUS_ZOMBIE


def test_modes_of_folders_above_are_not_changed(server: EmbeddedPostgres, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    server.folder.parent.mkdir(mode=0o700)
    before = modes(server.folder.parent)
    server.start()
    server.stop()
    server.start()
    assert modes(server.folder.parent) == before


def test_locks_suffice_for_many_queries_over_all_months(server: EmbeddedPostgres) -> None:
    url = server.start()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create table trips (month int, pickup int) partition by list (month)")
        connection.execute("create index on trips (pickup)")
        connection.execute("create index on trips (month, pickup)")
        connection.execute(
            "do $$ begin for month in 1..380 loop"
            " execute format('create table trips_%s partition of trips for values in (%s)', month, month);"
            " end loop; end $$"
        )
    with ExitStack() as open_transactions:
        for _ in range(35):
            connection = open_transactions.enter_context(psycopg.connect(url))
            connection.execute("select count(*) from trips")


@as_root
def test_root_keeps_data_in_a_folder_that_all_can_enter(open_folder: Path) -> None:
    before = modes(open_folder)
    server = EmbeddedPostgres(open_folder / "postgres")
    try:
        server.start()
        folder = server.folder / "server"
        assert not folder.is_symlink()
        assert pwd.getpwuid(folder.stat().st_uid).pw_name == server_account.SYSTEM_USER
        assert modes(open_folder) == before
        assert open_folder.stat().st_uid == server.folder.stat().st_uid == 0
    finally:
        server.remove()


@as_root
def test_deleted_data_directory_starts_empty(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.start()) as connection:
        connection.execute("create table old as select 1")
    process, outside = postmaster(server), (server.folder / "server").resolve()
    assert outside.parent == server_account.ROOTS_FOLDER
    shutil.rmtree(server.folder)
    assert fetch(server.start(), "select to_regclass('old')") is None
    assert (server.folder / "server").resolve() == outside
    assert not psutil.pid_exists(process) or psutil.Process(process).status() == psutil.STATUS_ZOMBIE


@as_root
def test_moved_or_copied_data_directory_is_refused(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.start()) as connection:
        connection.execute("create table kept as select 7 as value")
    server.stop()
    moved = EmbeddedPostgres(server.folder.with_name("moved"))
    server.folder.rename(moved.folder)
    try:
        with pytest.raises(BadSetting, match=r"moved was moved or copied.*\n.*run: mv ") as refused:
            moved.start()
        command = str(refused.value).split("run: ")[1].split(". After")[0]
        subprocess.run(["sh", "-ec", command], check=True)
        assert fetch(moved.start(), "select value from kept") == 7
    finally:
        moved.remove()


@as_root
def test_programs_in_a_closed_folder_are_copied(server: EmbeddedPostgres, tmp_path: Path) -> None:
    """A virtual environment below /root, for example."""
    wheel = server_account.wheel_programs().parents[1]
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for part in (wheel, wheel.with_name(f"{wheel.name}.libs")):
        shutil.copytree(part, closed / part.name, symlinks=True, ignore=shutil.ignore_patterns("pginstall"))
    before = modes(closed / wheel.name / "pginstall18" / "bin" / "postgres")
    assert fetch(run_python(START, server.folder, path=closed), "select 1") == 1
    assert Path(psutil.Process(postmaster(server)).exe()).is_relative_to((server.folder / "server").resolve())
    assert modes(closed / wheel.name / "pginstall18" / "bin" / "postgres") == before


@as_root
def test_server_of_another_user_is_refused(open_folder: Path) -> None:
    server = EmbeddedPostgres(open_folder / "postgres")
    account = server_account.server_account()
    become = f"""
    import os
    import sys
    from pathlib import Path
    from taxi_platform.errors import BadSetting
    from taxi_platform.local.embedded_postgres import EmbeddedPostgres
    os.setgroups([])
    os.setresgid({account.gid + 1}, {account.gid + 1}, {account.gid + 1})
    os.setresuid({account.uid + 1}, {account.uid + 1}, {account.uid + 1})
    for call in (EmbeddedPostgres(Path(sys.argv[1])).start, EmbeddedPostgres(Path(sys.argv[1])).running):
        try:
            call()
        except BadSetting as error:
            print("run this as the user who owns them" in str(error).lower())
    """
    try:
        server.start()
        assert run_python(become, server.folder).splitlines() == ["True", "True"]
    finally:
        server.remove()


@as_root
def test_user_without_root_keeps_all_files_in_the_folder(open_folder: Path) -> None:
    account = server_account.server_account()
    if not server_account._can_execute(account, server_account.wheel_programs()):
        pytest.skip("the virtual environment is closed to other users")
    home = open_folder / "home"
    home.mkdir(mode=0o700)
    os.chown(home, account.uid, account.gid)
    # Only root may be able to execute the interpreter, so it becomes the user after its imports.
    become = f"""
    import os
    import sys
    from pathlib import Path
    from taxi_platform.local.embedded_postgres import EmbeddedPostgres
    os.setgroups([])
    os.setresgid({account.gid}, {account.gid}, {account.gid})
    os.setresuid({account.uid}, {account.uid}, {account.uid})
    server = EmbeddedPostgres(Path(sys.argv[1]))
    server.start()
    print(server.running(), (server.folder / "server").is_symlink())
    server.remove()
    print(server.folder.exists())
    """
    assert run_python(become, home / "postgres").splitlines() == ["True False", "False"]
