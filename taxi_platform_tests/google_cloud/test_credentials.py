"""Credentials: which are used, and that no key is written to a file, the environment, a log or an error."""

import json
import logging
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr

from taxi_platform.errors import BadSetting
from taxi_platform.google_cloud.bucket import ensure_bucket
from taxi_platform.google_cloud.connection import GoogleCloud
from taxi_platform.google_cloud.credentials import find_credentials
from taxi_platform.google_cloud.dataset import ensure_dataset
from taxi_platform_tests.support.unreliable_google import UnreliableGoogle


@pytest.fixture(scope="session")
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@pytest.fixture
def service_account(private_key: str) -> dict[str, str]:
    """Return a service account's key in the console's form, of an account that does not exist."""
    return {
        "type": "service_account",
        "project_id": "test-project",
        "private_key_id": "0123456789abcdef",
        "private_key": private_key,
        "client_email": "loader@test-project.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": "http://127.0.0.1:1/token",
    }


def email_of(creds: str | None) -> str | None:
    found = find_credentials(None if creds is None else SecretStr(creds))
    return getattr(found, "service_account_email", None)


def test_key_is_accepted_as_text_and_as_path(service_account: dict[str, str], tmp_path: Path) -> None:
    text = json.dumps(service_account)
    (tmp_path / "key.json").write_text(text)
    for given in (text, f"\n{json.dumps(service_account, indent=2)}\n", str(tmp_path / "key.json")):
        assert email_of(given) == service_account["client_email"]


def test_invalid_credentials_are_not_quoted(service_account: dict[str, str], private_key: str, tmp_path: Path) -> None:
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
        "NUL": f"\0{line}",
    }
    for case, given in cases.items():
        with pytest.raises(BadSetting, match="GCP_CREDS is n") as caught:
            find_credentials(SecretStr(given))
        message = f"{caught.value} {caught.value.__cause__} {caught.value.description}"
        assert line not in message, case
        assert caught.value.__suppress_context__, "the cause may quote the key"


def test_missing_credentials_name_the_setting() -> None:
    with pytest.raises(BadSetting, match=r"(?s)GCP_CREDS.*gcloud auth application-default login"):
        find_credentials(None)


def test_application_default_credentials_are_used(
    service_account: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "adc.json").write_text(json.dumps(service_account))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "adc.json"))
    assert email_of(None) == service_account["client_email"]


def test_refused_key_is_reported_and_never_shown(
    service_account: dict[str, str],
    private_key: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    storage_front: UnreliableGoogle,
) -> None:
    """The key signs a request for a token, and Google does not know the account."""
    refused = {"error": "invalid_grant", "error_description": "Invalid grant: account not found"}
    storage_front.fail(100, (400, refused))
    monkeypatch.setenv("GCP_CREDS", json.dumps(service_account | {"token_uri": f"{storage_front.url}/token"}))
    caplog.set_level(logging.DEBUG)
    cloud = GoogleCloud(project="test-project", bucket="some-lake")
    for prepare in (ensure_bucket, ensure_dataset):
        with pytest.raises(BadSetting, match="account not found") as caught:
            prepare(cloud)
        message = str(caught.value) + caplog.text
        assert not [line for line in private_key.splitlines() if line in message]
    assert not [path for path in tmp_path.rglob("*") if path.is_file()], "nothing is written"


def test_environment_is_not_changed(
    service_account: dict[str, str], monkeypatch: pytest.MonkeyPatch, cloud: GoogleCloud
) -> None:
    monkeypatch.setenv("GCP_CREDS", json.dumps(service_account))
    before = dict(os.environ)
    ensure_bucket(cloud)
    ensure_dataset(cloud)
    assert dict(os.environ) == before
