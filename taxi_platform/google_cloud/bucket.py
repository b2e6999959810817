"""The bucket, and uploads to it that are verified by checksums."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from taxi_platform.errors import GoogleUnavailable, MissingRight, NotStaged
from taxi_platform.google_cloud.connection import STORAGE_ROLES, GoogleCloud
from taxi_platform.google_cloud.errors import read_options, write_options
from taxi_platform.google_cloud.libraries import exceptions, google_crc32c, storage

CHUNK_BYTES = 16 * 1024 * 1024
"""Part of a resumable upload, which the client uses above 8 MiB: what is in memory, and what is sent again if lost."""

PERMISSIONS = ("storage.objects.create", "storage.objects.delete", "storage.objects.get")


@dataclass(frozen=True)
class Uploaded:
    """An object that was verified to be equal to a local file."""

    blob: storage.Blob
    sent: bool
    """False if the object was equal to the file already."""


def object_uri(bucket: storage.Bucket, name: str) -> str:
    """Return the object's `gs://` address."""
    return f"gs://{bucket.name}/{name}"


def console_url(bucket: storage.Bucket, name: str) -> str:
    """Return the object's address in the Google Cloud console."""
    return f"https://console.cloud.google.com/storage/browser/_details/{bucket.name}/{quote(name)}"


def get_object(bucket: storage.Bucket, name: str, *, retry_seconds: float) -> storage.Blob | None:
    """Return the object's current version, None if it does not exist."""
    return bucket.get_blob(name, **read_options(retry_seconds))


def upload(
    bucket: storage.Bucket,
    path: Path,
    name: str,
    *,
    metadata: Mapping[str, str],
    content_type: str,
    retry_seconds: float,
) -> Uploaded:
    """Upload a local file as the object `name` with that metadata, unless the object is equal already.

    An upload replaces only the version of the object that was compared. Raise GoogleUnavailable if the object differs
    from the file afterwards, NotStaged if the bucket does not exist.
    """
    found = get_object(bucket, name, retry_seconds=retry_seconds)
    checksums = _Checksums.of(path)
    if found is not None and checksums.match(found):
        if found.metadata != metadata:
            # The same bytes, uploaded by another program.
            found.metadata = dict(metadata)
            found.patch(**read_options(retry_seconds))
        return Uploaded(found, sent=False)
    blob: storage.Blob | None = bucket.blob(name, chunk_size=CHUNK_BYTES)
    assert blob is not None
    blob.metadata = dict(metadata)
    try:
        # The response describes the new object.
        blob.upload_from_filename(
            str(path),
            content_type=content_type,
            checksum="crc32c",
            # It also makes repeating a request safe whose response was lost.
            if_generation_match=found.generation if found else 0,
            **write_options(retry_seconds),
        )
    except exceptions.PreconditionFailed:
        # Another run, or a first attempt whose response was lost, replaced that version.
        blob = get_object(bucket, name, retry_seconds=retry_seconds)
    except exceptions.NotFound as error:
        raise NotStaged(f"The bucket {bucket.name} does not exist.", "Materialize gcs_bucket first.") from error
    if blob is None or not checksums.match(blob) or blob.metadata != metadata:
        raise GoogleUnavailable(
            f"{object_uri(bucket, name)} differs in size, checksum or metadata from the file that was uploaded.",
            "Another upload may have replaced it.",
        )
    return Uploaded(blob, sent=True)


def ensure_bucket(cloud: GoogleCloud) -> tuple[storage.Bucket, bool]:
    """Return the bucket and whether it was created just now, in the location of the settings.

    Raise MissingRight if the account lacks a permission to read or write objects in it.
    """
    location, name = cloud.location_name, cloud.bucket_name
    with cloud.open_bucket("preparing the bucket") as bucket:
        client = bucket.client
        try:
            found = client.lookup_bucket(name, **read_options(cloud.retry_seconds))
            created = found is None
            if created:
                bucket.iam_configuration.uniform_bucket_level_access_enabled = True
                found = client.create_bucket(bucket, location=location, **read_options(cloud.retry_seconds))
        except (exceptions.Conflict, exceptions.Forbidden) as error:
            raise _foreign_bucket(name) from error
        granted = found.test_iam_permissions(list(PERMISSIONS), **read_options(cloud.retry_seconds))
    missing = [permission for permission in PERMISSIONS if permission not in granted]
    if missing:
        raise MissingRight(
            f"The account lacks these permissions on the bucket {name}: {', '.join(missing)}.",
            f"Grant it {STORAGE_ROLES}.",
        )
    return found, created


def _foreign_bucket(name: str) -> MissingRight:
    return MissingRight(
        f"The bucket {name} belongs to another project, or the account has no permission to see or create it.",
        "Bucket names are unique in all of Google Cloud: set GCP_BUCKET_NAME to another name, such as "
        f"<project>-taxi-lake. If the bucket is yours, grant the account {STORAGE_ROLES}.",
    )


@dataclass(frozen=True)
class _Checksums:
    """Size and checksums of a local file, as Google Cloud writes them."""

    size: int
    md5: str
    crc32c: str

    @classmethod
    def of(cls, path: Path) -> _Checksums:
        md5, crc32c, size = hashlib.md5(usedforsecurity=False), google_crc32c.Checksum(), 0
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                md5.update(block)
                crc32c.update(block)
                size += len(block)
        return cls(size, _base64(md5.digest()), _base64(crc32c.digest()))

    def match(self, blob: storage.Blob) -> bool:
        """Return whether the object is the file. Composed objects have no md5; encoded ones are served decompressed."""
        equal = blob.md5_hash == self.md5 if blob.md5_hash else blob.crc32c == self.crc32c
        return equal and blob.size == self.size and not blob.content_encoding


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
