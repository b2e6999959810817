"""Locks between the processes that write to one lake, and the folders in which they prepare files.

Locks are `flock` locks on files in `<lake>/.loading`, so the kernel releases those of a killed process.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from taxi_platform.data_directory import make_folder
from taxi_platform.errors import BadSetting, TableBusy
from taxi_platform.trips.columns import Colour

_POLL_SECONDS = 0.02


@contextmanager
def merge_lock(lake: Path, colour: Colour, *, seconds: float) -> Iterator[None]:
    """Hold the colour's merge lock. Raise TableBusy when another process holds it for longer than `seconds`."""
    with _locked(_loading(lake) / f"{colour.name}.lock", seconds=seconds):
        yield


@contextmanager
def loading_folder(lake: Path, *, seconds: float) -> Iterator[Path]:
    """Yield a folder of this run's own on the lake's file system, removed at the end.

    Folders of runs that were killed are removed as well. Their locks are free; those of running processes are not.
    """
    folders = _loading(lake)
    folder = folders / uuid4().hex
    with _locked(folders / "folders.lock", seconds=seconds):
        for other in folders.iterdir():
            if other.is_dir() and (descriptor := _try_lock(other / "lock")) is not None:
                shutil.rmtree(other, ignore_errors=True)
                os.close(descriptor)
        folder.mkdir()
        own = _try_lock(folder / "lock")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if own is not None:
            os.close(own)


def make_lake_folder(path: Path) -> None:
    """Create a folder of the lake with its parents. Raise BadSetting if that is not possible."""
    make_folder(path, setting="TAXI_LAKE_PATH, or TAXI_HOME without it,")


def _loading(lake: Path) -> Path:
    folder = lake / ".loading"
    make_lake_folder(folder)
    return folder


@contextmanager
def _locked(path: Path, *, seconds: float) -> Iterator[None]:
    deadline = time.monotonic() + seconds
    while (descriptor := _try_lock(path)) is None:
        if time.monotonic() > deadline:
            raise TableBusy(
                f"Another process has held the lock {path} for {seconds:.0f} s.",
                f"Wait for the loads that are running, or end the one that hangs: `fuser {path}` shows it.",
            )
        time.sleep(_POLL_SECONDS)
    try:
        yield
    finally:
        os.close(descriptor)


def _try_lock(path: Path) -> int | None:
    """Return a descriptor that holds the lock until it is closed, or None when another process holds it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise BadSetting(
            f"The lock {path} cannot be opened: {error.strerror}.", "Make the lake writable for the platform's user."
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
