"""Small files in the form of the published ones: rows with chosen fields."""

import gzip
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from taxi_platform.source.raw_file import RawFile
from taxi_platform.trips.partitions import TripMonth

Row = Mapping[str, str]

_DEFAULTS = {
    "VendorID": "2",
    "store_and_fwd_flag": "N",
    "RatecodeID": "1",
    "PULocationID": "42",
    "DOLocationID": "41",
    "passenger_count": "1",
    "trip_distance": "1.68",
    "fare_amount": "8",
    "extra": "0.5",
    "mta_tax": "0.5",
    "tip_amount": "0",
    "tolls_amount": "0",
    "improvement_surcharge": "0.3",
    "total_amount": "9.3",
    "payment_type": "1",
    "congestion_surcharge": "0",
}


def trip(month: TripMonth, pickup: str | None = None, /, **fields: str) -> dict[str, str]:
    """Return a row of the month's file. `pickup` is `DD HH:MM:SS` within the month, or a complete time."""
    at = pickup or "01 00:00:00"
    at = at if len(at) in (0, 19) else f"{month.month}-{at}"
    row = {column.name: _DEFAULTS.get(column.name, "") for column in month.published_columns}
    row[month.colour.pickup.name] = at
    row[month.colour.dropoff.name] = at
    unknown = fields.keys() - {column.name for column in month.colour.columns}
    assert not unknown, unknown
    return row | fields


def csv_text(month: TripMonth, rows: Iterable[Row], header: Iterable[str] | None = None) -> bytes:
    """Return the rows as the text of a published file, with CRLF line ends."""
    names = list(header or [column.name for column in month.published_columns])
    lines = [",".join(names), *[",".join(row.get(name, "") for name in names) for row in rows]]
    return "".join(f"{line}\r\n" for line in lines).encode()


def publish(folder: Path, month: TripMonth, content: bytes) -> Path:
    """Write the content, compressed reproducibly, where a mirror has the month's file; return the path."""
    path = folder / month.colour.name / month.gz_name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, mtime=0))
    return path


def raw_file(folder: Path, month: TripMonth, content: bytes) -> RawFile:
    """Return the file as the value of `raw_csv`, without validation, so that invalid values reach the database."""
    path = publish(folder, month, content)
    packed = path.read_bytes()
    return RawFile(
        month=month,
        path=path,
        url=path.as_uri(),
        sha256=hashlib.sha256(packed).hexdigest(),
        size=len(packed),
        rows=content.count(b"\n") - 1,
        uncompressed_size=len(content),
        header=tuple(content.split(b"\r\n", 1)[0].decode().split(",")),
    )
