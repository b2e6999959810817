"""Sample files: generated trips in files with the form, the layout and the quirks of the published ones.

Equal months and numbers of rows give equal bytes. The quirks, as measured on the published files: CRLF line ends;
distances like `.86`, whole numbers never `1.0`, money without trailing zeros; refunds, which repeat a trip with
negative amounts; a last block of trips without a meter record, with empty columns and times in whole minutes; pickups
far outside the month. Published files may, and these do, repeat rows and share rows with a neighbouring month's file.

Columns of the registry that are not known here are generated from their kind, with nulls among them.
"""

import filecmp
import gzip
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from zlib import crc32

import numpy as np

from taxi_platform.trips.columns import COLOURS, Column, Kind
from taxi_platform.trips.partitions import TripMonth

MONTHS = ("2020-03", "2020-04", "2020-05")
ROWS = 3_000
"""Default number of rows of a sample file."""
REPEATED_ROWS = 3
SHARED_ROWS = 4
"""Rows of a file that a neighbouring month's file has too: two inside the month, two out-of-month rows."""

_LINES_AT_ONCE = 100_000
_FAR_PICKUPS = ("2008-12-31 23:05:26", "2009-01-01 00:03:41", "2041-08-17 16:24:38")

Numbers = dict[str, np.ndarray]
"""Trips as whole numbers: seconds since 1970, cents, hundredths of a mile. Vendor 0 marks trips of the last block."""


@dataclass(frozen=True)
class _Block:
    """The block of trips without a meter record: its share of the rows, and the columns that are empty in it."""

    share: float
    empty: frozenset[str]


_BLOCK_COLUMNS = frozenset({"VendorID", "passenger_count", "RatecodeID", "store_and_fwd_flag", "payment_type"})
_BLOCKS = {"green": _Block(0.31, _BLOCK_COLUMNS | {"trip_type", "congestion_surcharge"})}
_DEFAULT_BLOCK = _Block(0.08, _BLOCK_COLUMNS)


def write_samples(
    folder: Path, months: Iterable[str] = MONTHS, rows: int = ROWS, *, optional: bool | None = None
) -> list[Path]:
    """Write a sample file of each colour and month, laid out in `folder` like the mirror, and return their paths."""
    return [
        write_sample(folder, TripMonth(colour, month), rows, optional=optional)
        for month in months
        for colour in COLOURS.values()
    ]


def write_sample(
    folder: Path, month: TripMonth, rows: int = ROWS, *, optional: bool | None = None, shared: bool = True
) -> Path:
    """Write one sample file of at least 50 rows and return its path. A file with the same content is left alone.

    `optional` includes all optional columns or none of them; by default those that the month's published file has.
    `shared` includes rows that the neighbouring months' files have too.
    """
    if rows < 50:
        raise ValueError(f"a sample file has at least 50 rows, not {rows}")
    colour = month.colour
    columns = {None: month.published_columns, True: colour.columns, False: colour.required_columns}[optional]
    path = folder / month.colour.name / month.gz_name
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.new")
    with unfinished.open("wb") as raw, gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as file:
        _write(file, month, columns, _trips(month, rows, shared=shared))
    # An unchanged file keeps its modification time, by which readers recognize it.
    if path.exists() and filecmp.cmp(unfinished, path, shallow=False):
        unfinished.unlink()
    else:
        unfinished.replace(path)
    return path


def _trips(month: TripMonth, rows: int, *, shared: bool) -> Numbers:
    """Return all trips of the file in its order."""
    random = np.random.default_rng(_seed(month))
    in_block = round(rows * _block(month).share)
    refunds = max(1, rows // 250)
    metered = rows - in_block - refunds - REPEATED_ROWS - (SHARED_ROWS if shared else 0) - len(_FAR_PICKUPS)

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
    of_neighbours = [_shared(month), _shared(_neighbour(month, -1), 0), _shared(_neighbour(month, 1), 1)]
    parts = [trips, _refunds(refunded), repeated, *(of_neighbours if shared else [])]
    return _concatenate([*parts, _block_trips(random, month, in_block)])


def _metered(random: np.random.Generator, month: TripMonth, count: int) -> Numbers:
    """Return trips inside the month that have a meter record, at random times."""
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
    """Return the last block: trips without a meter record, with agreed fares and times in whole minutes."""
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
    """Return the trips with negative amounts and no tip; their row ids differ only in the sign of the fare."""
    negative = {name: -trips[name] for name in ("fare", "extra", "mta", "improvement", "congestion", "tolls")}
    count = len(trips["fare"])
    return _with_total({**trips, **negative, "tip": np.zeros(count, np.int64), "payment": np.full(count, 4)})


def _shared(month: TripMonth, which: int | None = None) -> Numbers:
    """Return the month's trips that the next month's file (0) or the previous month's file (1) has too, or both.

    They depend on the month alone, so that a file can contain its neighbours' without generating these.
    """
    trips = _metered(np.random.default_rng([*_seed(month), 1]), month, 2)
    return trips if which is None else {name: values[which : which + 1] for name, values in trips.items()}


def _neighbour(month: TripMonth, step: int) -> TripMonth:
    return TripMonth(month.colour, str(np.datetime64(month.month, "M") + np.timedelta64(step, "M")))


def _seed(month: TripMonth) -> list[int]:
    names = list(COLOURS)
    number = names.index(month.colour.name) if month.colour.name in names else crc32(month.colour.name.encode())
    return [number, month.start.year, month.start.month]


def _block(month: TripMonth) -> _Block:
    return _BLOCKS.get(month.colour.name, _DEFAULT_BLOCK)


def _with_total(trips: Numbers) -> Numbers:
    parts = ("fare", "extra", "mta", "tip", "tolls", "improvement", "congestion")
    return {**trips, "total": sum((trips[part] for part in parts), np.zeros(len(trips["fare"]), np.int64))}


def _concatenate(parts: list[Numbers]) -> Numbers:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _write(file: gzip.GzipFile, month: TripMonth, columns: Sequence[Column], trips: Numbers) -> None:
    file.write((",".join(column.name for column in columns) + "\r\n").encode())
    for start in range(0, len(trips["fare"]), _LINES_AT_ONCE):
        piece = {name: values[start : start + _LINES_AT_ONCE] for name, values in trips.items()}
        texts = [_text(column, month, piece).tolist() for column in columns]
        file.write("".join(f"{line}\r\n" for line in map(",".join, zip(*texts, strict=True))).encode())


def _text(column: Column, month: TripMonth, trips: Numbers) -> np.ndarray:
    """Return the column's text as the published files write it."""
    if column == month.colour.pickup:
        return _times(trips["pickup"])
    if column == month.colour.dropoff:
        return _times(trips["dropoff"])
    if column.name not in _KNOWN:
        return _from_kind(column, trips)
    name, texts = _KNOWN[column.name]
    text = texts()[trips[name]]
    return np.where(trips["vendor"] == 0, "", text) if column.name in _block(month).empty else text


def _from_kind(column: Column, trips: Numbers) -> np.ndarray:
    """Return values of the column's kind that depend on the trip alone: a repeated or shared row repeats them."""
    noise = (trips["pickup"] * 2_654_435_761 + trips["distance"] * 40_503 + crc32(column.name.encode())) % 1_000_003
    match column.kind:
        case Kind.TIME:
            text = _times(trips["pickup"] - noise % 3600)
        case Kind.NUMBER:
            text = _money()[noise % 4 * 125]
        case Kind.TEXT:
            text = np.array(["A", "B", "C", "D"], object)[noise % 4]
        case Kind.INTEGER | Kind.CODE:
            text = _whole()[noise % 4 + 1]
    return np.where(noise % 10 == 0, "", text)


def _times(seconds: np.ndarray) -> np.ndarray:
    stamps = np.datetime_as_string(seconds.astype("datetime64[s]"), unit="s").tolist()
    return np.array([stamp.replace("T", " ") for stamp in stamps], object)


@cache
def _whole() -> np.ndarray:
    return np.array([str(number) for number in range(300)], object)


@cache
def _distance() -> np.ndarray:
    """Return the texts of hundredths of a mile: `1.68`, `.86` and `.00`."""
    return np.array([f"{number // 100 or ''}.{number % 100:02}" for number in range(6001)], object)


@cache
def _money() -> np.ndarray:
    """Return the texts of cents: `8`, `6.5`, `16.72` and `-0.5`; those of negative amounts by negative index."""
    largest = 50_000
    return np.array([f"{cents / 100:g}" for cents in (*range(largest + 1), *range(-largest, 0))], object)


@cache
def _flag() -> np.ndarray:
    return np.array(["N", "Y"], object)


@cache
def _empty() -> np.ndarray:
    return np.full(3, "", object)


_KNOWN: dict[str, tuple[str, Callable[[], np.ndarray]]] = {
    "VendorID": ("vendor", _whole),
    "store_and_fwd_flag": ("stored", _flag),
    "RatecodeID": ("rate", _whole),
    "PULocationID": ("from", _whole),
    "DOLocationID": ("to", _whole),
    "passenger_count": ("passengers", _whole),
    "trip_distance": ("distance", _distance),
    "fare_amount": ("fare", _money),
    "extra": ("extra", _money),
    "mta_tax": ("mta", _money),
    "tip_amount": ("tip", _money),
    "tolls_amount": ("tolls", _money),
    "ehail_fee": ("vendor", _empty),
    "improvement_surcharge": ("improvement", _money),
    "total_amount": ("total", _money),
    "payment_type": ("payment", _whole),
    "trip_type": ("trip_type", _whole),
    "congestion_surcharge": ("congestion", _money),
}
"""For each column that is known here the numbers that it shows and their texts."""
