"""Uploads to the bucket: sent once, complete, compared with the local file; and the creation of the bucket."""

import hashlib
import json
import random
from base64 import b64encode
from pathlib import Path

import pytest
from google.cloud import storage

from taxi_platform.errors import BadSetting, GoogleUnavailable, MissingRight, NotStaged
from taxi_platform.google_cloud.bucket import Uploaded, ensure_bucket, get_object, upload
from taxi_platform.google_cloud.connection import GoogleCloud
from taxi_platform_tests.support.unreliable_google import Request, UnreliableGoogle, error

NAME = "folder/data.bin"


def is_upload(request: Request) -> bool:
    return request.path.startswith("/upload/")


def uploads(front: UnreliableGoogle) -> list[Request]:
    return [request for request in front.requests if is_upload(request)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "data.bin"
    path.write_bytes(b"one version")
    return path


def send(bucket: storage.Bucket, path: Path, **metadata: str) -> Uploaded:
    return upload(
        bucket, path, NAME, metadata={"rows": "2", **metadata}, content_type="application/gzip", retry_seconds=10
    )


def test_object_is_equal_to_the_file(bucket: storage.Bucket, file: Path) -> None:
    done = send(bucket, file)
    assert done.sent
    assert bucket.blob(NAME).download_as_bytes(raw_download=True) == file.read_bytes()
    for blob in (done.blob, get_object(bucket, NAME, retry_seconds=10)):
        assert blob is not None
        assert (blob.size, blob.generation) == (11, done.blob.generation)
        assert blob.md5_hash == b64encode(hashlib.md5(b"one version").digest()).decode()
        assert blob.metadata == {"rows": "2"}
        assert (blob.content_encoding, blob.content_type) == (None, "application/gzip")


def test_equal_file_is_not_sent_again(bucket: storage.Bucket, file: Path, storage_front: UnreliableGoogle) -> None:
    first = send(bucket, file)
    storage_front.requests.clear()
    second = send(bucket, file)
    assert not second.sent
    assert second.blob.generation == first.blob.generation
    assert [request.method for request in storage_front.requests] == ["GET"]


def test_upload_takes_two_requests(bucket: storage.Bucket, file: Path, storage_front: UnreliableGoogle) -> None:
    storage_front.requests.clear()
    send(bucket, file)
    assert [request.method for request in storage_front.requests] == ["GET", "POST"]


def test_another_version_replaces_the_object(bucket: storage.Bucket, file: Path) -> None:
    first = send(bucket, file)
    file.write_bytes(b"another version")
    second = send(bucket, file)
    assert second.sent
    assert second.blob.generation != first.blob.generation
    assert bucket.blob(NAME).download_as_bytes() == b"another version"


def test_equal_object_of_another_program_gets_metadata(
    bucket: storage.Bucket, file: Path, storage_front: UnreliableGoogle
) -> None:
    bucket.blob(NAME).upload_from_filename(str(file))
    storage_front.requests.clear()
    done = send(bucket, file)
    assert not done.sent
    assert uploads(storage_front) == []
    found = get_object(bucket, NAME, retry_seconds=10)
    assert found is not None
    assert found.metadata == {"rows": "2"}


def test_only_the_compared_version_is_replaced(
    bucket: storage.Bucket, file: Path, storage_front: UnreliableGoogle
) -> None:
    first = send(bucket, file)
    file.write_bytes(b"another version")
    send(bucket, file)
    conditions = [each.path.partition("ifGenerationMatch=")[2].partition("&")[0] for each in uploads(storage_front)]
    assert conditions == ["0", str(first.blob.generation)]


def test_large_file_is_uploaded_in_parts(bucket: storage.Bucket, file: Path, storage_front: UnreliableGoogle) -> None:
    file.write_bytes(random.Random(1).randbytes(40 * 1024 * 1024))
    assert send(bucket, file).blob.size == 40 * 1024 * 1024
    parts = [request for request in uploads(storage_front) if request.method == "PUT"]
    assert len(parts) == 3
    assert max(len(request.body) for request in parts) == 16 * 1024 * 1024


@pytest.mark.parametrize("response", [error(503, "backendError"), error(429, "rateLimitExceeded")], ids=["503", "429"])
def test_transient_errors_of_an_upload_are_retried(
    bucket: storage.Bucket, file: Path, storage_front: UnreliableGoogle, response: tuple
) -> None:
    storage_front.fail(1, response, is_upload)
    storage_front.fail(1, response, lambda request: request.method == "GET")
    assert send(bucket, file).sent


def test_lost_response_is_no_second_version(
    bucket: storage.Bucket, file: Path, storage_front: UnreliableGoogle
) -> None:
    """The object exists, and the response to the repeated request is that it is not the compared version."""
    first = send(bucket, file)
    storage_front.fail(1, error(404, "notFound"), lambda request: request.method == "GET")
    storage_front.fail(1, error(412, "conditionNotMet"), is_upload)
    assert send(bucket, file).blob.generation == first.blob.generation


def test_object_that_differs_after_upload_is_an_error(
    bucket: storage.Bucket, file: Path, storage_front: UnreliableGoogle
) -> None:
    bucket.blob(NAME).upload_from_string(b"something else")
    storage_front.fail(1, error(412, "conditionNotMet"), is_upload)
    with pytest.raises(GoogleUnavailable, match="differs in size, checksum or metadata"):
        send(bucket, file)


def test_upload_without_bucket_names_the_asset_to_run(cloud: GoogleCloud, file: Path) -> None:
    with cloud.open_bucket("testing") as bucket, pytest.raises(NotStaged, match="Materialize gcs_bucket first"):
        send(bucket, file)


def test_missing_bucket_is_created_in_the_location(cloud: GoogleCloud, storage_front: UnreliableGoogle) -> None:
    bucket, created = ensure_bucket(cloud)
    assert (bucket.name, created) == (cloud.bucket, True)
    (sent,) = [json.loads(request.body) for request in storage_front.requests if request.method == "POST"]
    assert sent["location"].lower() == "us-central1"
    storage_front.requests.clear()
    assert not ensure_bucket(cloud)[1]
    assert [request.method for request in storage_front.requests] == ["GET", "GET"]


@pytest.mark.parametrize("name", ["UPPER", "a", "with space", "-x-", "a/b"])
def test_invalid_bucket_name_is_refused_at_once(name: str) -> None:
    with pytest.raises(BadSetting, match="GCP_BUCKET_NAME"):
        ensure_bucket(GoogleCloud(project="p-1", bucket=name, storage_endpoint="http://127.0.0.1:1"))


@pytest.mark.parametrize(
    "response",
    [
        error(403, "forbidden", "does not have storage.buckets.get access"),
        error(409, "conflict", "The requested bucket name is not available."),
    ],
    ids=["forbidden", "taken"],
)
def test_bucket_of_another_project_is_an_error(
    cloud: GoogleCloud, storage_front: UnreliableGoogle, response: tuple
) -> None:
    taken = response[0] == 409
    storage_front.fail(1, response, lambda request: request.method == "POST" if taken else True)
    with pytest.raises(MissingRight, match=r"(?s)belongs to another project.*set GCP_BUCKET_NAME to another"):
        ensure_bucket(cloud)
    assert len(storage_front.requests) == (2 if taken else 1), "not retried"


def test_read_only_bucket_is_refused_before_any_upload(cloud: GoogleCloud, storage_front: UnreliableGoogle) -> None:
    ensure_bucket(cloud)
    only_reading = (200, {"kind": "storage#testIamPermissionsResponse", "permissions": ["storage.objects.get"]})
    storage_front.fail(1, only_reading, lambda request: "testPermissions" in request.path)
    with pytest.raises(MissingRight, match=r"(?s)storage.objects.create, storage.objects.delete.*objectAdmin"):
        ensure_bucket(cloud)
