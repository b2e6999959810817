"""The published files: what one is, where it lives, how it is fetched and checked.

Not here: what is made of a file's rows. The mirror's address and patience are fields of `resources.mirror.Mirror`.
"""

from dataclasses import dataclass
from pathlib import Path

from taxi_platform.partitions import TripMonth


@dataclass(frozen=True)
class RawFile:
    """A published file on local disk, complete and checked: what `raw_csv` hands to the next asset."""

    month: TripMonth
    path: Path
    url: str
    sha256: str
    """Of the gzip file, in hexadecimal."""
    size: int
    """Of the gzip file, in bytes."""
    rows: int
    """Lines without the header."""
    uncompressed_size: int
    header: tuple[str, ...]
    """The file's own column names, in its own order."""
    etag: str | None = None
    last_modified: str | None = None
