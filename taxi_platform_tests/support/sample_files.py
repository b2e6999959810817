"""Small files in the form of the published ones: rows generated from the registry, reproducible by seed."""

import gzip
import random
from dataclasses import replace

from taxi_platform.trips.columns import Column, Kind
from taxi_platform.trips.partitions import TripMonth

GREEN = TripMonth.from_key("green|2020-04")
YELLOW = TripMonth.from_key("yellow|2020-03")


def with_column(month: TripMonth, name: str, since: str) -> TripMonth:
    """Return the month with a colour whose files have one more column from the month `since` on."""
    column = Column(name, Kind.NUMBER, "A column that only newer files have.", since)
    return TripMonth(replace(month.colour, columns=(*month.colour.columns, column)), month.month)


def header_of(month: TripMonth) -> list[str]:
    return [column.name for column in month.published_columns]


def rows_of(month: TripMonth, count: int, seed: int = 1) -> list[list[str]]:
    """Return generated rows; the last third has no meter record."""
    chance = random.Random(seed)
    return [
        [_value(column, month, chance, index >= count * 2 // 3) for column in month.published_columns]
        for index in range(count)
    ]


def _value(column: Column, month: TripMonth, chance: random.Random, bare: bool) -> str:
    number = chance.randrange(1, 10**4)
    match column.kind:
        case Kind.TIME:
            return f"{month.month}-{number % 28 + 1:02} {number % 24:02}:{number % 60:02}:{number % 59:02}"
        case Kind.NUMBER:
            return ["0", ".86", "-3.5", f"{number / 100:.2f}", "1.", "12"][number % 6]
        case _ if bare:
            return ""
        case Kind.TEXT if column.name == "store_and_fwd_flag":
            return "NY"[number % 2]
        case _:
            return str(number % 300)


def csv_of(header: list[str], rows: list[list[str]], end: str = "\r\n") -> bytes:
    return "".join(",".join(line) + end for line in [header, *rows]).encode()


def sample_csv(month: TripMonth, count: int = 50, seed: int = 1) -> bytes:
    return csv_of(header_of(month), rows_of(month, count, seed))


def sample_gz(month: TripMonth, count: int = 50, seed: int = 1) -> bytes:
    """Return a valid file. It is barely compressed, so that it is large enough to be cut."""
    return gzip.compress(sample_csv(month, count, seed), compresslevel=1, mtime=0)
