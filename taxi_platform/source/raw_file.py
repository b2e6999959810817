"""The published files: what one is, which columns its header names, and how to tell one version from another.

The mirror's files end with 2021-07. Later months are TLC's own Parquet files, written as the same gzipped CSV.

    download.py     single requests and answers
    transfer.py     a file's way to the disk, resumed where it was cut
    gzip_lines.py   gzip files as blocks of whole lines
    file_check.py   the check of every line
    parquet.py      TLC's Parquet files, written as the CSVs that the mirror publishes

Not here: what is made of a file's rows (the assets), where it is published (`resources.mirror`), where it is kept
(`io_managers.raw_files`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from taxi_platform.trips.columns import Colour, Column
from taxi_platform.trips.partitions import TripMonth


@dataclass(frozen=True)
class Version:
    """What a mirror says of a file as it is published now; None for what it does not say."""

    etag: str | None = None
    last_modified: str | None = None
    size: int | None = None
    """Of the published file, in bytes."""

    def is_still(self, known: "Version") -> bool:
        """Whether this is the version `known`: by the ETag, else by Last-Modified, else by the length."""
        if None not in (self.size, known.size) and self.size != known.size:
            return False
        if self.etag and known.etag:
            return self.etag == known.etag
        if self.last_modified and known.last_modified:
            return self.last_modified == known.last_modified
        return self.size is not None and self.size == known.size


@dataclass(frozen=True)
class RawFile:
    """A published file on local disk, complete and checked: what `raw_csv` hands to the next asset."""

    month: TripMonth
    path: Path
    url: str
    """Where it was fetched from, without user and password."""
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
    published_size: int | None = None
    """Of the published file, in bytes, where that is not the gzip file itself."""
    left_out: tuple[str, ...] = ()
    """Columns of the published file that this one does not have, since no table has them."""

    @property
    def version(self) -> Version:
        return Version(self.etag, self.last_modified, self.published_size or self.size)

    @property
    def columns(self) -> tuple[Column | None, ...]:
        """The registry's column for each name of the header, in the file's order; None for one it does not know."""
        return columns_of(self.month.colour, self.header)

    @property
    def extra_columns(self) -> tuple[str, ...]:
        """Names of published columns that the registry does not know; they are loaded nowhere."""
        unknown = tuple(name for name, column in zip(self.header, self.columns, strict=True) if column is None)
        return unknown + self.left_out

    @property
    def lacks_known_columns(self) -> bool:
        """Return whether a column was left out that the registry has since been given."""
        return any(columns_of(self.month.colour, self.left_out))

    @property
    def in_usual_order(self) -> bool:
        """Whether the known columns stand in the registry's order."""
        found = [column for column in self.columns if column]
        return found == [column for column in self.month.colour.columns if column in found]


def columns_of(colour: Colour, header: Iterable[str]) -> tuple[Column | None, ...]:
    """The registry's column for each name, None for one it does not know. Case does not matter: TLC's varies."""
    known = {column.folded_name: column for column in colour.columns}
    return tuple(known.get(name.lower()) for name in header)
