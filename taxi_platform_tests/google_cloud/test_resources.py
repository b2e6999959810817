"""Bucket, dataset, settings and credentials: what is made, what is left alone, and what is said when it cannot be."""

import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from taxi_platform.errors import BadSetting, GoogleUnavailable, MissingRight
from taxi_platform.google_cloud.resources import GoogleBigQuery, GoogleStorage, find_credentials
from taxi_platform.local.emulators.servers import Emulators
from taxi_platform.local.ports import free_port
from taxi_platform_tests.support.unreliable_google import Asked, UnreliableGoogle, error

Setting = Callable[[str], GoogleStorage | GoogleBigQuery]


@pytest.fixture(scope="session")
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@pytest.fixture
def service_account(private_key: str) -> dict[str, str]:
    """A service account's key as the console gives it out, of an account that there is not."""
    return {
        "type": "service_account",
        "project_id": "test-project",
        "private_key_id": "0123456789abcdef",
        "private_key": private_key,
        "client_email": "loader@test-project.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": "http://127.0.0.1:1/token",
    }


def test_what_is_missing_is_made_in_the_location(gcs: GoogleStorage, bigquery: GoogleBigQuery) -> None:
    bucket, made = gcs.ensure_bucket()
    assert made
    dataset, made = bigquery.ensure_dataset()
    assert made
    assert dataset.location == "us-central1"
    assert bucket.name == gcs.bucket


def test_the_location_is_asked_for(
    gcs: GoogleStorage,
    bigquery: GoogleBigQuery,
    storage_front: UnreliableGoogle,
    bigquery_front: UnreliableGoogle,
) -> None:
    gcs.ensure_bucket()
    bigquery.ensure_dataset()
    (bucket,) = [json.loads(asked.body) for asked in storage_front.requests if asked.method == "POST"]
    assert bucket["location"].lower() == "us-central1"
    (dataset,) = [json.loads(asked.body) for asked in bigquery_front.requests if _makes_a_dataset(asked)]
    assert dataset["location"] == "us-central1"


def test_what_is_there_is_left_alone(
    gcs: GoogleStorage,
    bigquery: GoogleBigQuery,
    storage_front: UnreliableGoogle,
    bigquery_front: UnreliableGoogle,
) -> None:
    gcs.ensure_bucket()
    bigquery.ensure_dataset()
    storage_front.requests.clear()
    bigquery_front.requests.clear()
    assert not gcs.ensure_bucket()[1]
    assert not bigquery.ensure_dataset()[1]
    assert [asked.method for asked in storage_front.requests] == ["GET", "GET"]
    assert [asked.statement for asked in bigquery_front.requests if asked.method != "GET"] == ["SELECT 1"]


@pytest.mark.parametrize(
    ("name", "message"),
    [("my-data", "my_data"), ("a b", "a_b"), ("d`; DROP", "no hyphen")],
)
def test_a_dataset_s_name_that_bigquery_refuses_is_refused_at_once(name: str, message: str) -> None:
    with pytest.raises(BadSetting, match=message):
        GoogleBigQuery(project="p-1", dataset=name, endpoint="http://127.0.0.1:1").ensure_dataset()


@pytest.mark.parametrize("name", ["UPPER", "a", "with space", "-x-", "a/b"])
def test_a_bucket_s_name_that_google_refuses_is_refused_at_once(name: str) -> None:
    with pytest.raises(BadSetting, match="GCP_BUCKET_NAME"):
        GoogleStorage(project="p-1", bucket=name, endpoint="http://127.0.0.1:1").ensure_bucket()


def test_settings_that_are_not_set_are_named(emulators: Emulators) -> None:
    with pytest.raises(BadSetting, match="GCP_BUCKET_NAME is not set"):
        GoogleStorage(project="test-project", endpoint=emulators.storage_url).ensure_bucket()
    with pytest.raises(BadSetting, match="GCP_PROJECT_ID is not set"):
        GoogleStorage(bucket="lake", endpoint=emulators.storage_url).ensure_bucket()
    with pytest.raises(BadSetting, match="GCP_PROJECT_ID is not set"):
        GoogleBigQuery(endpoint=emulators.bigquery_url).ensure_dataset()


def test_settings_come_from_the_environment(emulators: Emulators, own: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GCP_PROJECT_ID", "other-project")
    monkeypatch.setenv("GCP_LOCATION", "europe-west3")
    monkeypatch.setenv("GCP_BUCKET_NAME", own)
    monkeypatch.setenv("GCP_DATASET", own)
    for name, value in emulators.environment.items():
        # Also without the scheme, as some write it.
        monkeypatch.setenv(name, value.removeprefix("http://"))
    assert GoogleStorage().ensure_bucket()[0].name == own
    dataset, _ = GoogleBigQuery().ensure_dataset()
    assert (dataset.project, dataset.dataset_id, dataset.location) == ("other-project", own, "europe-west3")


@pytest.mark.parametrize(
    "answer",
    [
        error(403, "forbidden", "does not have storage.buckets.get access"),
        error(409, "conflict", "The requested bucket name is not available."),
    ],
    ids=["forbidden", "taken"],
)
def test_a_bucket_that_belongs_to_somebody_else_is_told(
    gcs: GoogleStorage, storage_front: UnreliableGoogle, answer: tuple
) -> None:
    taken = answer[0] == 409
    storage_front.fail(1, answer, lambda asked: asked.method == "POST" if taken else True)
    with pytest.raises(MissingRight, match=r"(?s)belongs to somebody else.*set GCP_BUCKET_NAME to another"):
        gcs.ensure_bucket()
    assert len(storage_front.requests) == (2 if taken else 1), "not tried again"


def test_a_bucket_that_may_not_be_written_to_is_told_before_any_upload(
    gcs: GoogleStorage, storage_front: UnreliableGoogle
) -> None:
    gcs.ensure_bucket()
    only_reading = (200, {"kind": "storage#testIamPermissionsResponse", "permissions": ["storage.objects.get"]})
    storage_front.fail(1, only_reading, lambda asked: "testPermissions" in asked.path)
    with pytest.raises(MissingRight, match=r"(?s)lacks storage.objects.create, storage.objects.delete.*objectAdmin"):
        gcs.ensure_bucket()


def _makes_a_job(asked: Asked) -> bool:
    return bool(asked.statement)


def _makes_a_dataset(asked: Asked) -> bool:
    return asked.method == "POST" and "/datasets?" in asked.path


@pytest.mark.parametrize("when", [_makes_a_job, _makes_a_dataset])
def test_rights_that_are_missing_in_bigquery_are_told(
    bigquery: GoogleBigQuery, bigquery_front: UnreliableGoogle, when: Callable[[Asked], bool]
) -> None:
    bigquery_front.fail(1, error(403, "accessDenied", "Access Denied: User does not have the permission"), when)
    with pytest.raises(MissingRight, match=r"(?s)Access Denied.*does not help. Grant the account roles/bigquery.user"):
        bigquery.ensure_dataset()


def test_a_dataset_in_another_location_is_told(bigquery: GoogleBigQuery) -> None:
    bigquery.ensure_dataset()
    elsewhere = bigquery.model_copy(update={"location": "EU"})
    with pytest.raises(BadSetting, match="lies in us-central1, and GCP_LOCATION is EU"):
        elsewhere.ensure_dataset()


def test_an_endpoint_that_is_not_there_is_told_within_seconds(own: str) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    began = time.monotonic()
    with pytest.raises(GoogleUnavailable, match=f"{nowhere} does not answer"):
        GoogleStorage(project="test-project", bucket=own, endpoint=nowhere).ensure_bucket()
    with pytest.raises(GoogleUnavailable, match=f"{nowhere} does not answer"):
        GoogleBigQuery(project="test-project", endpoint=nowhere).ensure_dataset()
    # Google's clients would try for ten minutes.
    assert time.monotonic() - began < 60


def test_credentials_are_taken_as_text_and_as_a_path(
    service_account: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = json.dumps(service_account)
    (tmp_path / "key.json").write_text(text)
    for given in (text, f"\n{json.dumps(service_account, indent=2)}\n", str(tmp_path / "key.json")):
        monkeypatch.setenv("GCP_CREDS", given)
        found = find_credentials()
        assert getattr(found, "service_account_email", None) == service_account["client_email"]


def test_credentials_that_cannot_be_used_are_told_without_being_shown(
    service_account: dict[str, str], private_key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = private_key.splitlines()[3]
    whole = json.dumps(service_account)
    (tmp_path / "broken.json").write_text(whole[:-40])
    cases = {
        "cut off": whole[:-40],
        "another key": json.dumps(service_account | {"private_key": private_key[:300]}),
        "no key": json.dumps({"type": "service_account"}),
        "another kind": json.dumps({"type": "authorized_user", "refresh_token": line}),
        "not an object": "{}",
        "no such file": f"/nowhere/{line}",
        "a broken file": str(tmp_path / "broken.json"),
        "a folder": str(tmp_path),
        "NUL": f"{line}",
    }
    for case, given in cases.items():
        monkeypatch.setenv("GCP_CREDS", given)
        with pytest.raises(BadSetting, match="GCP_CREDS is n") as caught:
            find_credentials()
        told = f"{caught.value} {caught.value.__cause__} {caught.value.description}"
        assert line not in told, case
        assert caught.value.__suppress_context__, "what caused it may quote the key"


def test_missing_credentials_are_told() -> None:
    with pytest.raises(BadSetting, match=r"(?s)GCP_CREDS.*gcloud auth application-default login"):
        find_credentials()


def test_application_default_credentials_are_used(
    service_account: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "adc.json").write_text(json.dumps(service_account))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "adc.json"))
    assert getattr(find_credentials(), "service_account_email", None) == service_account["client_email"]


def test_a_key_that_google_refuses_is_told_and_never_shown(
    service_account: dict[str, str],
    private_key: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    storage_front: UnreliableGoogle,
) -> None:
    """The key signs a request for a token, and Google does not know the account (any more)."""
    refused = {"error": "invalid_grant", "error_description": "Invalid grant: account not found"}
    storage_front.fail(100, (400, refused))
    monkeypatch.setenv("GCP_CREDS", json.dumps(service_account | {"token_uri": f"{storage_front.url}/token"}))
    caplog.set_level(logging.DEBUG)
    for ask in (
        GoogleStorage(project="test-project", bucket="some-lake").ensure_bucket,
        GoogleBigQuery(project="test-project").ensure_dataset,
    ):
        with pytest.raises(BadSetting, match="account not found") as caught:
            ask()
        told = str(caught.value) + caplog.text
        assert not [line for line in private_key.splitlines() if line in told]
    assert not [path for path in tmp_path.rglob("*") if path.is_file()], "nothing is written"


def test_the_environment_is_not_touched(
    service_account: dict[str, str], monkeypatch: pytest.MonkeyPatch, gcs: GoogleStorage, bigquery: GoogleBigQuery
) -> None:
    monkeypatch.setenv("GCP_CREDS", json.dumps(service_account))
    before = dict(os.environ)
    gcs.ensure_bucket()
    bigquery.ensure_dataset()
    find_credentials()
    assert dict(os.environ) == before
