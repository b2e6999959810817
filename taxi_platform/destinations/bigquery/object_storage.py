"""A month's object: the published file in the bucket, byte for byte, with what validation found as its metadata."""

from __future__ import annotations

import json
from dataclasses import dataclass

from taxi_platform.google_cloud.bucket import get_object, object_uri, upload
from taxi_platform.google_cloud.libraries import storage
from taxi_platform.source.raw_file import RawFile, columns_of
from taxi_platform.trips.columns import Column
from taxi_platform.trips.partitions import TripMonth


@dataclass(frozen=True)
class CsvObject:
    """A published file in the bucket."""

    month: TripMonth
    uri: str
    generation: int
    """Google's number of this version of the object."""
    size: int
    """Bytes of the object."""
    md5: str
    """MD5 of the object in base64, as Google shows it."""
    sha256: str
    """SHA-256 of the gzip file in hexadecimal."""
    rows: int
    """Rows in the file."""
    header: tuple[str, ...]

    @property
    def columns(self) -> tuple[Column | None, ...]:
        """The registry's column for each name of the header, None for one that it does not have."""
        return columns_of(self.month.colour, self.header)


def object_name(month: TripMonth) -> str:
    """Return `raw/<colour>/<YYYY>/<colour>_tripdata_<YYYY-MM>.csv.gz`."""
    return f"raw/{month.colour.name}/{month.month[:4]}/{month.gz_name}"


def find_csv(bucket: storage.Bucket, month: TripMonth, *, retry_seconds: float) -> CsvObject | None:
    """Return the month's object, None if there is none with the metadata of an upload."""
    blob = get_object(bucket, object_name(month), retry_seconds=retry_seconds)
    return _described(blob, bucket, month) if blob else None


def upload_csv(bucket: storage.Bucket, file: RawFile, *, retry_seconds: float) -> tuple[CsvObject, bool]:
    """Upload a published file, unless the object is equal already. Return the object and whether anything was sent."""
    done = upload(
        bucket,
        file.path,
        object_name(file.month),
        metadata={"sha256": file.sha256, "rows": str(file.rows), "header": json.dumps(file.header)},
        # No content encoding: with one, Google would decompress the object for its readers.
        content_type="application/gzip",
        retry_seconds=retry_seconds,
    )
    found = _described(done.blob, bucket, file.month)
    assert found is not None
    return found, done.sent


def _described(blob: storage.Blob, bucket: storage.Bucket, month: TripMonth) -> CsvObject | None:
    metadata = blob.metadata or {}
    try:
        return CsvObject(
            month=month,
            uri=object_uri(bucket, object_name(month)),
            generation=int(blob.generation or 0),
            size=int(blob.size or 0),
            md5=blob.md5_hash or "",
            sha256=metadata["sha256"],
            rows=int(metadata["rows"]),
            header=tuple(json.loads(metadata["header"])),
        )
    except (KeyError, ValueError, TypeError):
        return None
