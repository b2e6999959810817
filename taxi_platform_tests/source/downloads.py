"""One green month on a faulty server, and a store that downloads it with short timeouts and waits."""

import logging
from pathlib import Path

from taxi_platform.source.file_store import RawFiles
from taxi_platform.source.mirror import Mirror
from taxi_platform.source.raw_file import RawFile
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.support.sample_files import GREEN, sample_gz

LOG = logging.getLogger("downloads")
PATH = f"green/{GREEN.gz_name}"
CONTENT = sample_gz(GREEN, 5000)
OTHER = sample_gz(GREEN, 5000, seed=2)
"""Another version of the file."""
THE_FILE = {GREEN.gz_name, f"{GREEN.gz_name}.json"}
"""The names that a download leaves in the store."""


def raw_files(url: str, folder: Path, **fields) -> RawFiles:
    """Return a store in `folder` of the mirror `url`."""
    defaults = {"connect_timeout": 5, "read_timeout": 5, "attempts": 4, "first_wait": 0.001, "longest_wait": 0.01}
    return RawFiles(mirror=Mirror(base_url=url, **{**defaults, **fields}), folder=str(folder))


def fetch(files: RawFiles, month: TripMonth = GREEN, *, refresh: bool = False) -> tuple[RawFile, bool]:
    """Return the month's file and whether it was reused."""
    return files.fetch(month, LOG, refresh=refresh)


def content(files: RawFiles) -> bytes:
    """Fetch the green month and return the bytes on disk."""
    return fetch(files)[0].path.read_bytes()


def names_in(folder: Path) -> set[str]:
    """Return the names of all files below the folder except locks."""
    return {path.name for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".lock")}
