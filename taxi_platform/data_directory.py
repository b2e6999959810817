"""Files and folders in the home: a folder that cannot be made is named, and no file is seen half written.

Not here: published files, which arrive piece by piece (`io_managers.raw_files`).
"""

import os
import tempfile
from pathlib import Path

from taxi_platform.errors import BadSetting


def make_folder(path: Path) -> None:
    """Makes a folder under TAXI_HOME, with those above it. Raises BadSetting, naming the setting, where it cannot."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadSetting(
            f"The folder {path} cannot be made: {error.strerror}.",
            "A rerun does not help: set TAXI_HOME to a folder of yours that can be written to.",
        ) from error


def write_whole(path: Path, text: str) -> None:
    """Writes a file beside its place and puts it there in one step, in exchange for what stood there."""
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".new")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(aside).replace(path)
    finally:
        Path(aside).unlink(missing_ok=True)
