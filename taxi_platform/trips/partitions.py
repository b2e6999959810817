"""The two partition dimensions, colour and month, and `TripMonth`, the partition that they select.

A month's names (of its file, its tables, its partition key) are properties of `TripMonth`, so that every module uses
the same ones.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby

import dagster as dg

from taxi_platform.errors import BadPartition
from taxi_platform.trips.columns import COLOURS, Colour, Column

FIRST_MONTH = "2019-01"
PARTITION_TAG = "dagster/partition"
"""Tag of a run that holds its partition key."""

colour_partitions = dg.StaticPartitionsDefinition(list(COLOURS))
month_partitions = dg.MonthlyPartitionsDefinition(start_date=FIRST_MONTH, fmt="%Y-%m")
trip_partitions = dg.MultiPartitionsDefinition({"colour": colour_partitions, "month": month_partitions})


@dataclass(frozen=True)
class TripMonth:
    """One colour's trips of one month: a partition of every asset that has trips.

    A month's file also contains a few out-of-month rows, whose pickup lies outside the month.
    """

    colour: Colour
    month: str
    """`YYYY-MM`"""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", self.month):
            raise ValueError(f"not a month in the form YYYY-MM: {self.month!r}")

    @classmethod
    def from_key(cls, key: str) -> "TripMonth":
        """Return the month that a partition key such as `yellow|2020-03` names. Raise BadPartition if there is none."""
        colour, _, month = key.partition("|")
        if colour not in COLOURS:
            raise BadPartition(
                f"There is no partition {key!r}: {colour!r} is not a taxi colour.",
                f"Choose one of these colours: {', '.join(COLOURS)}.",
            )
        if not month_partitions.has_partition_key(month):
            raise BadPartition(
                f"There is no partition {key!r}: {month!r} is not one of its months.",
                f"Choose a month from {FIRST_MONTH} to {month_partitions.get_last_partition_key()}.",
            )
        return cls(COLOURS[colour], month)

    @classmethod
    def from_file(cls, colour: Colour, filename: str) -> "TripMonth | None":
        """Return the month whose published file has this uncompressed name, or None for a name of another form."""
        match = re.fullmatch(rf"{colour.table}_(\d{{4}}-(?:0[1-9]|1[0-2]))\.csv", filename)
        return cls(colour, match[1]) if match else None

    @property
    def key(self) -> str:
        return f"{self.colour.name}|{self.month}"

    @property
    def partition_key(self) -> dg.MultiPartitionKey:
        return dg.MultiPartitionKey({"colour": self.colour.name, "month": self.month})

    @property
    def published_columns(self) -> tuple[Column, ...]:
        """The columns that the month's published file has, according to the registry."""
        return tuple(column for column in self.colour.columns if column.since is None or column.since <= self.month)

    @property
    def filename(self) -> str:
        """Uncompressed name of the file, as in the column `filename`."""
        return f"{self.colour.table}_{self.month}.csv"

    @property
    def gz_name(self) -> str:
        """Name of the published file."""
        return f"{self.filename}.gz"

    @property
    def parquet_name(self) -> str:
        """Name of the file that TLC publishes itself."""
        return f"{self.colour.table}_{self.month}.parquet"

    @property
    def suffix(self) -> str:
        """The month in table names: `2020_03`."""
        return self.month.replace("-", "_")

    @property
    def start(self) -> datetime:
        """First moment of the month, New York local time."""
        return datetime.strptime(self.month, "%Y-%m")  # noqa: DTZ007 - trips carry local time without a zone

    @property
    def end(self) -> datetime:
        """First moment after the month."""
        start = self.start
        return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)

    def has(self, day: date) -> bool:
        """Return whether the day lies in the month."""
        return self.start.date() <= day < self.end.date()

    def __str__(self) -> str:
        return self.key


def months_between(colour: Colour, first: str, last: str) -> list[TripMonth]:
    """Return the months from `first` to `last`, both `YYYY-MM` and included. Raise BadPartition if there are none."""
    known = month_partitions.get_partition_keys()
    for month in (first, last):
        if month not in known:
            raise BadPartition(
                f"There is no partition of the month {month!r}.",
                f"Choose a month from {known[0]} to {known[-1]}, in the form YYYY-MM.",
            )
    if first > last:
        raise BadPartition(f"The first month, {first}, is after the last, {last}.", "Swap them.")
    return [TripMonth(colour, month) for month in known if first <= month <= last]


def month_ranges(months: Iterable[str]) -> str:
    """Return months, `YYYY-MM`, as text with three or more in sequence shortened: `2020-03..2020-10, 2020-12`."""
    numbered = enumerate(sorted(months))
    runs = [
        [month for _, month in run]
        for _, run in groupby(numbered, lambda pair: int(pair[1][:4]) * 12 + int(pair[1][5:]) - pair[0])
    ]
    return ", ".join(f"{run[0]}..{run[-1]}" if len(run) > 2 else ", ".join(run) for run in runs)
