"""The accounts of rows: what a destination records of each file, which file keeps whose rows, and what a change means.

A row belongs to the file that was loaded first with it. Not here: how a destination stores the records.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class FileRecord:
    """What a destination says of a file whose rows it holds."""

    sha256: str
    """Of the gzip file that the rows come from."""
    rows: int
    """In the file."""
    strays: int
    """Rows of the file whose pickup lies outside its month, or is empty."""
    kept_by: dict[str, int] = field(default_factory=dict)
    """Rows that were not added because another file has them: how many, by that file's name."""
    keepers: dict[str, str] = field(default_factory=dict)
    """The sha256 of each of those files then, empty for one that had no record. When one changes, the rows it kept
    have to be looked up again."""

    @property
    def rows_kept_elsewhere(self) -> int:
        return sum(self.kept_by.values())

    @property
    def rows_in_table(self) -> int:
        return self.rows - self.rows_kept_elsewhere


@dataclass(frozen=True)
class Merged:
    """What a merge did."""

    record: FileRecord
    changed: bool
    """False when the month stood there already, from the same file."""
    replaced: FileRecord | None
    """The record of the version that it took the place of."""
    rows_of_colour: int
    """Of all files, as recorded."""
    let_go: tuple[str, ...]
    """Files that may lack rows which the replaced version kept: they take them in when they are run again."""


def is_current(records: Mapping[str, FileRecord], filename: str, sha256: str) -> bool:
    """Whether the file is loaded in this version, and would be loaded the same again.

    It would not when a file that kept some of its rows has changed or gone since.
    """
    record = records.get(filename)
    if record is None or record.sha256 != sha256:
        return False
    return all((records[name].sha256 if name in records else "") == then for name, then in record.keepers.items())


def lacking(records: Mapping[str, FileRecord]) -> list[str]:
    """The files of which another one kept rows that it may not have any more, by name."""
    return [name for name, record in records.items() if not is_current(records, name, record.sha256)]


def let_go(records: Mapping[str, FileRecord], filename: str, sha256: str) -> tuple[str, ...]:
    """The files of which another version of this one kept rows, by name."""
    return tuple(sorted(name for name, record in records.items() if record.keepers.get(filename) not in (None, sha256)))


def rows_in_tables(records: Mapping[str, FileRecord]) -> int:
    """Rows of all files, each counted where it is kept."""
    return sum(record.rows_in_table for record in records.values())
