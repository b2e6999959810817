"""A file in the lake: sent once, whole, checked, and found again with what is known of it."""

import gzip
import hashlib
import random
from base64 import b64encode

import pytest
from google.cloud import storage

from taxi_platform.errors import GoogleUnavailable, NotStaged
from taxi_platform.google_cloud.object_storage import LakeObject, find, object_name, put
from taxi_platform.google_cloud.resources import GoogleStorage
from taxi_platform.source.raw_file import RawFile
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.destinations.bigquery.conftest import Write
from taxi_platform_tests.support.trip_files import trip
from taxi_platform_tests.support.unreliable_google import Asked, UnreliableGoogle, error

APRIL = TripMonth.from_key("green|2020-04")
NAME = "raw/green/2020/green_tripdata_2020-04.csv.gz"


def is_upload(asked: Asked) -> bool:
    return asked.path.startswith("/upload/")


def uploads(front: UnreliableGoogle) -> list[Asked]:
    return [asked for asked in front.requests if is_upload(asked)]


@pytest.fixture
def file(write: Write) -> RawFile:
    return write(APRIL, [trip(APRIL), trip(APRIL, "02 02:00:00")])


def test_the_object_is_the_file_as_published(bucket: storage.Bucket, file: RawFile) -> None:
    found, sent = put(bucket, file, seconds=10)
    assert sent
    content = bucket.blob(NAME).download_as_bytes(raw_download=True)
    assert content == file.path.read_bytes()
    assert found == LakeObject(
        month=APRIL,
        uri=f"gs://{bucket.name}/{NAME}",
        generation=found.generation,
        size=file.size,
        md5=b64encode(hashlib.md5(content).digest()).decode(),
        sha256=file.sha256,
        rows=2,
        header=file.header,
    )
    assert find(bucket, APRIL, seconds=10) == found


def test_it_is_stored_without_a_content_encoding(
    bucket: storage.Bucket, file: RawFile, storage_front: UnreliableGoogle
) -> None:
    """With one, Google would unpack it on the way to whoever reads it, and BigQuery is told that it is gzip."""
    put(bucket, file, seconds=10)
    blob = bucket.get_blob(NAME)
    assert blob is not None
    assert (blob.content_encoding, blob.content_type) == (None, "application/gzip")


def test_the_same_file_is_not_sent_again(
    bucket: storage.Bucket, file: RawFile, storage_front: UnreliableGoogle
) -> None:
    first, _ = put(bucket, file, seconds=10)
    storage_front.requests.clear()
    second, sent = put(bucket, file, seconds=10)
    assert not sent
    assert second == first
    assert uploads(storage_front) == []


def test_another_version_is_sent_in_its_place(bucket: storage.Bucket, write: Write, file: RawFile) -> None:
    first, _ = put(bucket, file, seconds=10)
    newer = write(APRIL, [trip(APRIL)])
    found, sent = put(bucket, newer, seconds=10)
    assert sent
    assert found.generation != first.generation
    assert (found.sha256, found.rows) == (newer.sha256, 1)


def test_the_same_bytes_put_there_by_somebody_else_are_taken_over(
    bucket: storage.Bucket, file: RawFile, storage_front: UnreliableGoogle
) -> None:
    bucket.blob(NAME).upload_from_filename(str(file.path))
    assert find(bucket, APRIL, seconds=10) is None, "nobody has said what is in it"
    storage_front.requests.clear()
    found, sent = put(bucket, file, seconds=10)
    assert not sent
    assert uploads(storage_front) == []
    assert found.sha256 == file.sha256


def test_only_the_version_that_was_looked_at_is_replaced(
    bucket: storage.Bucket, write: Write, file: RawFile, storage_front: UnreliableGoogle
) -> None:
    first, _ = put(bucket, file, seconds=10)
    put(bucket, write(APRIL, [trip(APRIL)]), seconds=10)
    conditions = [asked.path.partition("ifGenerationMatch=")[2].partition("&")[0] for asked in uploads(storage_front)]
    assert conditions == ["0", str(first.generation)]


def test_a_large_file_goes_up_in_pieces(bucket: storage.Bucket, write: Write, storage_front: UnreliableGoogle) -> None:
    """Resumable, so that a break costs one piece and memory holds one piece."""
    file = write(APRIL, [trip(APRIL)])
    noise = random.Random(1).randbytes(40 * 1024 * 1024)
    file.path.write_bytes(gzip.compress(noise, compresslevel=0))
    packed = file.path.read_bytes()
    large = RawFile(**{**vars(file), "size": len(packed), "sha256": hashlib.sha256(packed).hexdigest()})
    found, sent = put(bucket, large, seconds=10)
    assert sent
    assert found.size == len(packed)
    pieces = [asked for asked in uploads(storage_front) if asked.method == "PUT"]
    assert len(pieces) == 3
    assert max(len(asked.body) for asked in pieces) == 16 * 1024 * 1024


@pytest.mark.parametrize("answer", [error(503, "backendError"), error(429, "rateLimitExceeded")])
def test_answers_that_pass_are_waited_out(
    bucket: storage.Bucket, file: RawFile, storage_front: UnreliableGoogle, answer: tuple
) -> None:
    storage_front.fail(1, answer, is_upload)
    storage_front.fail(1, answer, lambda asked: asked.method == "GET")
    assert put(bucket, file, seconds=30)[1]


def test_a_lost_answer_is_no_second_version(
    bucket: storage.Bucket, file: RawFile, storage_front: UnreliableGoogle
) -> None:
    """The object is there, and the answer to a repeated request is that it is not the version that was looked at."""
    put(bucket, file, seconds=10)
    storage_front.fail(1, error(404, "notFound"), lambda asked: asked.method == "GET")
    storage_front.fail(1, error(412, "conditionNotMet"), is_upload)
    found, _ = put(bucket, file, seconds=10)
    assert found.sha256 == file.sha256


def test_an_object_that_is_not_what_was_sent_is_told(
    bucket: storage.Bucket, file: RawFile, storage_front: UnreliableGoogle
) -> None:
    bucket.blob(NAME).upload_from_string(b"something else")
    storage_front.fail(1, error(412, "conditionNotMet"), is_upload)
    with pytest.raises(GoogleUnavailable, match="another size or checksum"):
        put(bucket, file, seconds=10)


def test_without_a_bucket_the_first_step_is_named(gcs: GoogleStorage, file: RawFile) -> None:
    with gcs.lake("tested") as bucket, pytest.raises(NotStaged, match="materialize gcs_bucket first"):
        put(bucket, file, seconds=10)


def test_objects_lie_where_the_contract_says() -> None:
    assert object_name(APRIL) == NAME
    assert object_name(TripMonth.from_key("yellow|2019-01")) == "raw/yellow/2019/yellow_tripdata_2019-01.csv.gz"
