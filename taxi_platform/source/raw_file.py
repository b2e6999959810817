"""Values that describe a published file: the file on local disk, its columns, and its version on the mirror."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from taxi_platform.trips.columns import Colour, Column
from taxi_platform.trips.partitions import TripMonth


@dataclass(frozen=True)
class Version:
    """What a mirror declares about the current version of a file; None for what it does not declare."""

    etag: str | None = None
    last_modified: str | None = None
    size: int | None = None
    """Of the published file, in bytes."""

    def is_still(self, known: "Version") -> bool:
        """Return whether this is the version `known`: by ETag, else by Last-Modified, else by length."""
        if None not in (self.size, known.size) and self.size != known.size:
            return False
        if self.etag and known.etag:
            return self.etag == known.etag
        if self.last_modified and known.last_modified:
            return self.last_modified == known.last_modified
        return self.size is not None and self.size == known.size


@dataclass(frozen=True)
class RawFile:
    """A published file on local disk, complete and validated: the value of `raw_csv`."""

    month: TripMonth
    path: Path
    url: str
    """Where it was downloaded from, without user and password."""
    sha256: str
    """Of the gzip file, in hexadecimal."""
    size: int
    """Of the gzip file, in bytes."""
    rows: int
    """Lines without the header."""
    uncompressed_size: int
    header: tuple[str, ...]
    """The file's column names in the file's order."""
    etag: str | None = None
    last_modified: str | None = None
    published_size: int | None = None
    """Of the published file, in bytes, where it is not this gzip file."""
    left_out: tuple[str, ...] = ()
    """Columns of the published file that the registry did not have when this file was written."""

    @property
    def version(self) -> Version:
        """Version of the published file."""
        return Version(self.etag, self.last_modified, self.published_size or self.size)

    @property
    def columns(self) -> tuple[Column | None, ...]:
        """The registry's column for each name of the header; None for one that the registry does not have."""
        return columns_of(self.month.colour, self.header)

    @property
    def extra_columns(self) -> tuple[str, ...]:
        """Names of published columns that the registry does not have, which are not loaded."""
        unknown = tuple(name for name, column in zip(self.header, self.columns, strict=True) if column is None)
        return unknown + self.left_out

    @property
    def lacks_known_columns(self) -> bool:
        """Whether the file was written without a column that the registry has now."""
        return any(columns_of(self.month.colour, self.left_out))

    @property
    def in_usual_order(self) -> bool:
        """Whether the known columns are in the registry's order."""
        found = [column for column in self.columns if column]
        return found == [column for column in self.month.colour.columns if column in found]


def columns_of(colour: Colour, header: Iterable[str]) -> tuple[Column | None, ...]:
    """Return the registry's column for each name, None for an unknown one. Case is ignored, since TLC's varies."""
    known = {column.folded_name: column for column in colour.columns}
    return tuple(known.get(name.lower()) for name in header)
