"""A PostgreSQL 15 from the programs on this machine, used like a user's own server: over TCP, with a password."""

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from taxi_platform.local.ports import free_port
from taxi_platform.local.server_account import Account, run_as, server_account, write_private


def find_programs() -> Path | None:
    """Return the folder of version 15's initdb, pg_ctl and postgres, None if it is not installed."""
    candidates = [Path("/usr/lib/postgresql/15/bin"), *map(Path, os.get_exec_path())]
    pg_config = shutil.which("pg_config")
    if pg_config:
        found = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False)
        candidates.insert(1, Path(found.stdout.strip()))
    return next((folder for folder in candidates if _is_version_15(folder)), None)


@contextmanager
def serve(programs: Path) -> Iterator[str]:
    """Run a server on a free port until the block ends; yield the URL of its database `postgres`."""
    account = server_account() if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="taxi-platform-postgres15-"))
    password = secrets.token_hex(8)
    write_private(folder / "password", password)
    if account:
        for path in (folder, folder / "password"):
            os.chown(path, account.uid, account.gid)
    try:
        access = ["--username=taxi", "--pwfile=password", "--auth=scram-sha-256"]
        _run(account, folder, programs / "initdb", "-D", "data", "--encoding=UTF8", "--locale=C", "--no-sync", *access)
        port = _start(account, folder, programs)
        yield f"postgresql://taxi:{password}@127.0.0.1:{port}/postgres"
    finally:
        run_as(account, [str(programs / "pg_ctl"), "stop", "-D", "data", "-m", "immediate"], folder=folder)
        shutil.rmtree(folder)


def _start(account: Account | None, folder: Path, programs: Path) -> int:
    port = free_port()
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories= -c fsync=off"
    _run(account, folder, programs / "pg_ctl", "start", "-w", "-D", "data", "-l", "server.log", "-o", options)
    return port


def _run(account: Account | None, folder: Path, program: Path, *arguments: str) -> None:
    done = run_as(account, [str(program), *arguments], folder=folder)
    assert done.returncode == 0, done.stdout


def _is_version_15(folder: Path) -> bool:
    if not all((folder / program).exists() for program in ("initdb", "pg_ctl", "postgres")):
        return False
    asked = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=False)
    return "(PostgreSQL) 15." in asked.stdout
