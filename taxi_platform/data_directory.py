"""Files and folders in the data directory (TAXI_HOME).

Published files arrive in pieces, so `source.file_store` writes them itself.
"""

import os
import tempfile
from pathlib import Path

from taxi_platform.errors import BadSetting


def make_folder(path: Path, *, setting: str = "TAXI_HOME") -> None:
    """Create a folder and its parents. Raise BadSetting, naming the setting, if that is not possible."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadSetting(
            f"The folder {path} cannot be created: {error.strerror}.",
            f"Set {setting} to a folder that you can write to.",
        ) from error


def shown(path: Path) -> str:
    """Return the path as it can be typed in the working directory, relative to it where it lies below."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def write_whole(path: Path, text: str) -> None:
    """Write a text file under a temporary name and rename it, so that no reader sees a partial file."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".new")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)
