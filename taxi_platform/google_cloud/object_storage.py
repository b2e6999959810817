"""The lake: published files as objects in the bucket, each as it was published, with what the check found beside it.

Not here: the bucket itself and the client (`resources.gcp`).
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from urllib.parse import quote

from taxi_platform.errors import GoogleUnavailable, NotStaged
from taxi_platform.google_cloud.errors import ANSWER_SECONDS, LOOK_SECONDS, patience
from taxi_platform.google_cloud.libraries import exceptions, google_crc32c, storage
from taxi_platform.source.raw_file import RawFile, columns_of
from taxi_platform.trips.columns import Column
from taxi_platform.trips.partitions import TripMonth

CHUNK_BYTES = 16 * 1024 * 1024
"""Of a resumable upload, which the client uses above 8 MiB: what is in memory, and what is sent again after a break."""

CONTENT_TYPE = "application/gzip"


@dataclass(frozen=True)
class LakeObject:
    """A published file in the lake."""

    month: TripMonth
    uri: str
    generation: int
    """Google's number of this version of the object."""
    size: int
    """In bytes."""
    md5: str
    """Base64, as Google shows it."""
    sha256: str
    """Hexadecimal, of the gzip file."""
    rows: int
    """Lines without the header."""
    header: tuple[str, ...]

    @property
    def columns(self) -> tuple[Column | None, ...]:
        return columns_of(self.month.colour, self.header)


def object_name(month: TripMonth) -> str:
    """`raw/<colour>/<YYYY>/<colour>_tripdata_<YYYY-MM>.csv.gz`"""
    return f"raw/{month.colour.name}/{month.month[:4]}/{month.gz_name}"


def object_uri(bucket: str, month: TripMonth) -> str:
    return f"gs://{bucket}/{object_name(month)}"


def console_url(bucket: str, month: TripMonth) -> str:
    return f"https://console.cloud.google.com/storage/browser/_details/{bucket}/{quote(object_name(month))}"


def find(bucket: storage.Bucket, month: TripMonth, *, seconds: float) -> LakeObject | None:
    """The month's object, or None when there is none that was put there with its facts."""
    blob = _look(bucket, month, seconds)
    return _described(blob, bucket, month) if blob else None


def put(bucket: storage.Bucket, file: RawFile, *, seconds: float) -> tuple[LakeObject, bool]:
    """Sees to it that the object is this file; whether anything was sent.

    An object with the same size and checksum stays. Otherwise the file goes up in one stream, only in the place of
    the version that was looked at, and is looked at again afterwards.
    """
    there = _look(bucket, file.month, seconds)
    checksums = _Checksums.of(file)
    sent = there is None or not checksums.fit(there)
    if sent:
        _send(bucket, file, there, seconds)
    elif there and there.metadata != _facts(file):
        # The same bytes, put there by somebody else.
        there.metadata = _facts(file)
        there.patch(timeout=LOOK_SECONDS, retry=patience(seconds))
    now = _look(bucket, file.month, seconds)
    found = _described(now, bucket, file.month) if now and checksums.fit(now) else None
    if found is None:
        raise GoogleUnavailable(
            f"{object_uri(str(bucket.name), file.month)} is not the file that was sent: another size or checksum.",
            "A rerun helps: it sends the file again. Nothing was made from the object.",
        )
    return found, sent


def _look(bucket: storage.Bucket, month: TripMonth, seconds: float) -> storage.Blob | None:
    return bucket.get_blob(object_name(month), timeout=LOOK_SECONDS, retry=patience(seconds))


def _send(bucket: storage.Bucket, file: RawFile, there: storage.Blob | None, seconds: float) -> None:
    blob = bucket.blob(object_name(file.month), chunk_size=CHUNK_BYTES)
    blob.metadata = _facts(file)
    try:
        blob.upload_from_filename(
            str(file.path),
            content_type=CONTENT_TYPE,
            checksum="crc32c",
            # Also makes it safe to send a request again whose answer was lost.
            if_generation_match=there.generation if there else 0,
            timeout=ANSWER_SECONDS,
            retry=patience(seconds),
        )
    except exceptions.PreconditionFailed:
        # Another run, or a first try whose answer was lost, was there before: the look afterwards tells.
        pass
    except exceptions.NotFound as error:
        raise NotStaged(
            f"There is no bucket {bucket.name}.", "A rerun alone does not help: materialize gcs_bucket first."
        ) from error


def _facts(file: RawFile) -> dict[str, str]:
    return {"sha256": file.sha256, "rows": str(file.rows), "header": json.dumps(file.header)}


def _described(blob: storage.Blob, bucket: storage.Bucket, month: TripMonth) -> LakeObject | None:
    facts = blob.metadata or {}
    try:
        return LakeObject(
            month=month,
            uri=object_uri(str(bucket.name), month),
            generation=int(blob.generation or 0),
            size=int(blob.size or 0),
            md5=blob.md5_hash or "",
            sha256=facts["sha256"],
            rows=int(facts["rows"]),
            header=tuple(json.loads(facts["header"])),
        )
    except (KeyError, ValueError, TypeError):
        return None


@dataclass(frozen=True)
class _Checksums:
    """What an object has to be to be this file."""

    size: int
    md5: str
    crc32c: str

    @classmethod
    def of(cls, file: RawFile) -> _Checksums:
        md5, crc32c = hashlib.md5(usedforsecurity=False), google_crc32c.Checksum()
        with file.path.open("rb") as stream:
            while block := stream.read(1 << 20):
                md5.update(block)
                crc32c.update(block)
        return cls(file.size, _base64(md5.digest()), _base64(crc32c.digest()))

    def fit(self, blob: storage.Blob) -> bool:
        """A composed object has no md5; an object that is unpacked when it is read is not the file."""
        same = blob.md5_hash == self.md5 if blob.md5_hash else blob.crc32c == self.crc32c
        return same and blob.size == self.size and not blob.content_encoding


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
