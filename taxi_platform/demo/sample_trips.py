"""Sample files: invented trips in files that have the form, the layout and the quirks of the published ones.

The same month and number of rows give the same bytes each time. The quirks, as measured on the published files: CRLF
line ends; distances like `.86`, whole numbers never `1.0`, money without zeros at its end; refunds, which repeat a
trip with negative amounts; a block of trips without a meter record at the end, with empty columns and times at whole
minutes; pickups far outside the month; and, which the published files do not have but may, repeated rows and rows
that stand in a neighbouring month's file too.

Not here: anything that knows about real trips, and where samples are served from.
"""

import filecmp
import gzip
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from taxi_platform.trips.columns import COLOURS
from taxi_platform.trips.partitions import TripMonth

MONTHS = ("2020-03", "2020-04", "2020-05")
ROWS = 3_000
"""In each sample file, unless told otherwise."""
REPEATED_ROWS = 3
SHARED_ROWS = 4
"""Rows of a file that a neighbouring month's file has too: two inside the month, two strays."""

_LINES_AT_ONCE = 100_000
_FAR_PICKUPS = ("2008-12-31 23:05:26", "2009-01-01 00:03:41", "2041-08-17 16:24:38")

Numbers = dict[str, np.ndarray]
"""Trips as whole numbers: seconds since 1970, cents, hundredths of a mile. Vendor 0 marks the block at the end."""


@dataclass(frozen=True)
class _Block:
    """The block at the end of a file: its share of the rows, and the columns that are empty in it."""

    share: float
    empty: frozenset[str]


_BLOCK_COLUMNS = frozenset({"VendorID", "passenger_count", "RatecodeID", "store_and_fwd_flag", "payment_type"})
_BLOCKS = {
    "yellow": _Block(0.08, _BLOCK_COLUMNS),
    "green": _Block(0.31, _BLOCK_COLUMNS | {"trip_type", "congestion_surcharge"}),
}


def write_samples(folder: Path, months: Iterable[str] = MONTHS, rows: int = ROWS) -> list[Path]:
    """Writes a sample file of each colour and month, laid out in `folder` as the mirror is; returns their paths."""
    return [write_sample(folder, TripMonth(colour, month), rows) for month in months for colour in COLOURS.values()]


def write_sample(folder: Path, month: TripMonth, rows: int = ROWS) -> Path:
    """Writes one sample file of at least 50 rows; a file that is there with the same content is left alone."""
    if rows < 50:
        raise ValueError(f"a sample file has at least 50 rows, not {rows}")
    path = folder / month.colour.name / month.gz_name
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.new")
    with unfinished.open("wb") as raw, gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as file:
        _write(file, month, _trips(month, rows))
    # An unchanged file keeps its time, by which a reader sees that it is unchanged.
    if path.exists() and filecmp.cmp(unfinished, path, shallow=False):
        unfinished.unlink()
    else:
        unfinished.replace(path)
    return path


def _trips(month: TripMonth, rows: int) -> Numbers:
    """All trips of the file, in its order."""
    random = np.random.default_rng(_seed(month))
    block = _BLOCKS[month.colour.name]
    in_block = round(rows * block.share)
    refunds = max(1, rows // 250)
    metered = rows - in_block - refunds - REPEATED_ROWS - SHARED_ROWS - len(_FAR_PICKUPS)

    trips = _metered(random, month, metered + len(_FAR_PICKUPS))
    # In order of the hour only, as the published files are at best.
    order = np.argsort(trips["pickup"][:metered] // 3600 + random.integers(0, 2, metered), kind="stable")
    trips = {name: np.concatenate([values[:metered][order], values[metered:]]) for name, values in trips.items()}
    far = np.array(_FAR_PICKUPS, "datetime64[s]").astype(np.int64)
    trips["dropoff"][metered:] += far - trips["pickup"][metered:]
    trips["pickup"][metered:] = far

    paid = np.flatnonzero((trips["fare"] > 0) & (np.arange(len(trips["fare"])) < metered))
    chosen = random.choice(paid, refunds + REPEATED_ROWS, replace=False)
    refunded = {name: values[chosen[:refunds]] for name, values in trips.items()}
    repeated = {name: values[chosen[refunds:]] for name, values in trips.items()}
    shared = [_shared(month), _shared(_neighbour(month, -1), 0), _shared(_neighbour(month, 1), 1)]
    return _put_together([trips, _refunds(refunded), repeated, *shared, _block_trips(random, month, in_block)])


def _metered(random: np.random.Generator, month: TripMonth, count: int) -> Numbers:
    """Trips inside the month that have a meter record, at random times."""
    start, end = (int(np.datetime64(moment, "s").astype(np.int64)) for moment in (month.start, month.end))
    distance = np.minimum(random.lognormal(5.2, 0.9, count), 6000).astype(np.int64)
    distance[random.random(count) < 0.03] = 0
    pickup = random.integers(start, end, count)
    distance_fare = distance * 250 // 100 + 350
    card = random.random(count) < 0.6
    crossing = random.random(count) < 0.05
    manhattan = random.random(count) < 0.4
    dispatched = random.random(count) < 0.03
    trips = {
        "vendor": random.choice([1, 2], count, p=[0.2, 0.8]),
        "pickup": pickup,
        "dropoff": pickup + 120 + distance * 3 + random.integers(0, 600, count),
        "passengers": random.choice([0, 1, 2, 3, 4, 5, 6], count, p=[0.01, 0.81, 0.09, 0.03, 0.01, 0.03, 0.02]),
        "distance": distance,
        "rate": np.where(dispatched, 5, random.choice([1, 2, 3, 4], count, p=[0.985, 0.01, 0.003, 0.002])),
        "stored": (random.random(count) < 0.004).astype(np.int64),
        "from": 1 + (265 * random.random(count) ** 1.5).astype(np.int64),
        "to": 1 + (265 * random.random(count)).astype(np.int64),
        "payment": np.where(card, 1, random.choice([2, 3, 4], count, p=[0.97, 0.02, 0.01])),
        "fare": distance_fare // 50 * 50,
        "extra": random.choice([0, 50, 100, 275], count, p=[0.55, 0.25, 0.15, 0.05]),
        "mta": np.full(count, 50),
        "tolls": np.where(crossing, 612, 0),
        "improvement": np.full(count, 30),
        "trip_type": np.where(dispatched, 2, 1),
        "congestion": np.where(manhattan, 250, 0),
    }
    trips["tip"] = np.where(card, trips["fare"] * random.integers(0, 6, count) // 20, 0)
    return _with_total(trips)


def _block_trips(random: np.random.Generator, month: TripMonth, count: int) -> Numbers:
    """The block at the end: fares agreed beforehand, times at whole minutes, no meter record."""
    trips = _metered(random, month, count)
    day = trips["pickup"] // 86_400
    order = np.argsort(day, kind="stable")
    trips = {name: values[order] for name, values in trips.items()}
    for name in ("pickup", "dropoff"):
        trips[name] = trips[name] // 60 * 60
    trips["vendor"] = np.zeros(count, np.int64)
    trips["fare"] = trips["fare"] + random.integers(500, 2500, count)
    trips["mta"] = np.where(random.random(count) < 0.5, 50, 0)
    trips["tip"] = np.where(random.random(count) < 0.5, 275, 0)
    return _with_total(trips)


def _refunds(trips: Numbers) -> Numbers:
    """The same trips with negative amounts and no tip: on the row id they differ only in the sign of the fare."""
    negative = {name: -trips[name] for name in ("fare", "extra", "mta", "improvement", "congestion", "tolls")}
    count = len(trips["fare"])
    return _with_total({**trips, **negative, "tip": np.zeros(count, np.int64), "payment": np.full(count, 4)})


def _shared(month: TripMonth, which: int | None = None) -> Numbers:
    """The trips of the month that the file after it (0) and the file before it (1) have too; both when None.

    They depend on the month alone, so that each file can have its neighbours' without making those.
    """
    trips = _metered(np.random.default_rng([*_seed(month), 1]), month, 2)
    return trips if which is None else {name: values[which : which + 1] for name, values in trips.items()}


def _neighbour(month: TripMonth, step: int) -> TripMonth:
    there = np.datetime64(month.month, "M") + np.timedelta64(step, "M")
    return TripMonth(month.colour, str(there))


def _seed(month: TripMonth) -> list[int]:
    return [list(COLOURS).index(month.colour.name), month.start.year, month.start.month]


def _with_total(trips: Numbers) -> Numbers:
    parts = ("fare", "extra", "mta", "tip", "tolls", "improvement", "congestion")
    return {**trips, "total": sum((trips[part] for part in parts), np.zeros(len(trips["fare"]), np.int64))}


def _put_together(parts: list[Numbers]) -> Numbers:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _write(file: gzip.GzipFile, month: TripMonth, trips: Numbers) -> None:
    file.write((",".join(column.name for column in month.colour.columns) + "\r\n").encode())
    for start in range(0, len(trips["fare"]), _LINES_AT_ONCE):
        piece = {name: values[start : start + _LINES_AT_ONCE] for name, values in trips.items()}
        file.write("".join(f"{line}\r\n" for line in _lines(month, piece)).encode())


def _lines(month: TripMonth, trips: Numbers) -> Iterator[str]:
    text = _as_text(trips)
    in_block = trips["vendor"] == 0
    for name in _BLOCKS[month.colour.name].empty:
        text[name] = np.where(in_block, "", text[name])
    # Pickup and dropoff are the columns whose names differ between the colours.
    renamed = {column.name: column.name.split("_", 1)[-1] for column in (month.colour.pickup, month.colour.dropoff)}
    columns = [text[renamed.get(column.name, column.name)].tolist() for column in month.colour.columns]
    return map(",".join, zip(*columns, strict=True))


def _as_text(trips: Numbers) -> dict[str, np.ndarray]:
    """The columns' text by name, as the published files write it."""
    money, distance, whole = _money(), _distance(), _whole()
    return {
        "VendorID": whole[trips["vendor"]],
        "pickup_datetime": _times(trips["pickup"]),
        "dropoff_datetime": _times(trips["dropoff"]),
        "store_and_fwd_flag": np.array(["N", "Y"], object)[trips["stored"]],
        "RatecodeID": whole[trips["rate"]],
        "PULocationID": whole[trips["from"]],
        "DOLocationID": whole[trips["to"]],
        "passenger_count": whole[trips["passengers"]],
        "trip_distance": distance[trips["distance"]],
        "fare_amount": money[trips["fare"]],
        "extra": money[trips["extra"]],
        "mta_tax": money[trips["mta"]],
        "tip_amount": money[trips["tip"]],
        "tolls_amount": money[trips["tolls"]],
        "ehail_fee": np.full(len(trips["fare"]), "", object),
        "improvement_surcharge": money[trips["improvement"]],
        "total_amount": money[trips["total"]],
        "payment_type": whole[trips["payment"]],
        "trip_type": whole[trips["trip_type"]],
        "congestion_surcharge": money[trips["congestion"]],
    }


def _times(seconds: np.ndarray) -> np.ndarray:
    stamps = np.datetime_as_string(seconds.astype("datetime64[s]"), unit="s").tolist()
    return np.array([stamp.replace("T", " ") for stamp in stamps], object)


@cache
def _whole() -> np.ndarray:
    return np.array([str(number) for number in range(300)], object)


@cache
def _distance() -> np.ndarray:
    """Hundredths of a mile as `1.68`, `.86` and `.00`."""
    return np.array([f"{number // 100 or ''}.{number % 100:02}" for number in range(6001)], object)


@cache
def _money() -> np.ndarray:
    """Cents as `8`, `6.5`, `16.72` and `-0.5`. Negative amounts are found from the end, as negative indexes are."""
    largest = 50_000
    return np.array([f"{cents / 100:g}" for cents in (*range(largest + 1), *range(-largest, 0))], object)
