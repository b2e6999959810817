"""Load records: what a destination stores with the rows of a file, and what follows from it.

A record names the version of a file that is loaded and counts its rows in the table and those that were skipped as
duplicates of a file that was loaded earlier. Each destination stores and removes it together with the rows, so a month
is loaded if and only if its record exists. How it is stored is up to the destination.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from taxi_platform.trips.columns import Column
from taxi_platform.trips.partitions import TripMonth

VERSION = 2
"""Version of the record's form. Version 1, of release 0.1, had no `version`, `columns` and `content`."""


@dataclass(frozen=True)
class Skipped:
    """Rows that were not loaded because they are duplicates of rows of one other file."""

    rows: int
    sha256: str
    """Version of that file at the time, empty if it had no record."""


@dataclass(frozen=True, kw_only=True)
class LoadRecord:
    """The record of one loaded file."""

    sha256: str
    """Of the gzip file that the rows come from, in hexadecimal."""
    rows: int
    """Rows in the file."""
    out_of_month: int
    """Rows of the file whose pickup lies outside its month or is empty."""
    columns: tuple[str, ...] = ()
    """Names of the table's columns when the file was loaded; empty in records of version 1."""
    skipped: Mapping[str, Skipped] = field(default_factory=dict)
    """Duplicate rows by the file that has them."""
    content: Mapping[str, str | int] = field(default_factory=dict)
    """What the destination compares to notice that rows were changed by hand."""
    loaded_at: str | None = None
    """When the rows became visible, in ISO 8601; None until then."""
    version: int = VERSION

    @property
    def rows_skipped(self) -> int:
        """Duplicate rows of all other files."""
        return sum(each.rows for each in self.skipped.values())

    @property
    def rows_in_table(self) -> int:
        """Rows of the file that the table has."""
        return self.rows - self.rows_skipped

    def to_json(self) -> str:
        """Return the record as JSON text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | None) -> Self | None:
        """Return the record in a JSON text, None for any other text. Fields that this version lacks are ignored."""
        try:
            found: dict[str, Any] = json.loads(text or "")
            if "version" not in found:
                found = _from_version_1(found)
            found["columns"] = tuple(found["columns"])
            found["skipped"] = {name: Skipped(each["rows"], each["sha256"]) for name, each in found["skipped"].items()}
            names = {each.name for each in fields(cls)}
            return cls(**{name: value for name, value in found.items() if name in names})
        except (ValueError, TypeError, KeyError, AttributeError):
            return None


def _from_version_1(found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "sha256": found["sha256"],
        "rows": found["rows"],
        "out_of_month": found["strays"],
        "columns": (),
        "skipped": {
            name: {"rows": rows, "sha256": found["keepers"].get(name, "")} for name, rows in found["kept_by"].items()
        },
        "loaded_at": found["loaded_at"],
        "version": 1,
    }


@dataclass(frozen=True, kw_only=True)
class MergeResult:
    """The outcome of a merge."""

    record: LoadRecord
    changed: bool
    """False if the month was loaded from the same file already."""
    replaced: LoadRecord | None
    """Record of the version that was replaced."""
    rows_of_colour: int
    """Rows in the table, of all files, as recorded."""
    needs_reload: tuple[str, ...]
    """Files whose rows were skipped as duplicates of the version that was replaced."""


@dataclass(frozen=True)
class LoadedMonth:
    """A month in a destination's table, with its load record."""

    month: TripMonth
    record: LoadRecord


def is_current(records: Mapping[str, LoadRecord], month: TripMonth, sha256: str) -> bool:
    """Return whether the month is loaded from this version of its file and a reload would change nothing.

    A reload changes something if a file that has its duplicates was replaced or removed since, or if the table has got
    a column since that the file has. `records` holds the records of the month's colour by file name.
    """
    record = records.get(month.filename)
    if record is None or record.sha256 != sha256 or missing_columns(month, record):
        return False
    return all(
        (records[name].sha256 if name in records else "") == skipped.sha256 for name, skipped in record.skipped.items()
    )


def missing_columns(month: TripMonth, record: LoadRecord) -> list[Column]:
    """Return the columns that the month's published file has and that the table did not have when it was loaded."""
    loaded = {name.lower() for name in record.columns}
    return [column for column in month.published_columns if column.optional and column.folded_name not in loaded]


def months_to_reload(loaded: Mapping[TripMonth, LoadRecord]) -> list[TripMonth]:
    """Return the months that a reload would change; `loaded` holds all loaded months of a colour."""
    records = {month.filename: record for month, record in loaded.items()}
    return [month for month, record in loaded.items() if not is_current(records, month, record.sha256)]


def skipped_for_another_version(records: Mapping[str, LoadRecord], filename: str, sha256: str) -> tuple[str, ...]:
    """Return the files whose rows were skipped as duplicates of another version of this file, by name."""
    return tuple(
        sorted(
            name
            for name, record in records.items()
            if filename in record.skipped and record.skipped[filename].sha256 != sha256
        )
    )


def rows_in_tables(records: Iterable[LoadRecord]) -> int:
    """Return the number of rows that the table has of all files, as recorded."""
    return sum(record.rows_in_table for record in records)
