"""The connection to Google Cloud: where settings come from, and what is reported if they are missing or wrong."""

import pytest

from taxi_platform.errors import BadSetting, GoogleUnavailable
from taxi_platform.google_cloud.bucket import ensure_bucket
from taxi_platform.google_cloud.connection import GoogleCloud
from taxi_platform.google_cloud.dataset import ensure_dataset
from taxi_platform.local.emulators.servers import Emulators
from taxi_platform.local.ports import free_port


def test_missing_settings_are_named(emulators: Emulators) -> None:
    assert GoogleCloud().missing_settings == ["GCP_PROJECT_ID", "GCP_BUCKET_NAME"]
    assert GoogleCloud(project="p-1", bucket="lake").missing_settings == []
    with pytest.raises(BadSetting, match="GCP_BUCKET_NAME is not set"):
        ensure_bucket(GoogleCloud(project="test-project", storage_endpoint=emulators.storage_url))
    with pytest.raises(BadSetting, match="GCP_PROJECT_ID is not set"):
        ensure_bucket(GoogleCloud(bucket="lake", storage_endpoint=emulators.storage_url))
    with pytest.raises(BadSetting, match="GCP_PROJECT_ID is not set"):
        ensure_dataset(GoogleCloud(bigquery_endpoint=emulators.bigquery_url))


def test_settings_come_from_the_environment(emulators: Emulators, own: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GCP_PROJECT_ID", "other-project")
    monkeypatch.setenv("GCP_LOCATION", "europe-west3")
    monkeypatch.setenv("GCP_BUCKET_NAME", own)
    monkeypatch.setenv("GCP_DATASET", own)
    for name, value in emulators.environment.items():
        # Google's variables may leave the scheme out.
        monkeypatch.setenv(name, value.removeprefix("http://"))
    assert ensure_bucket(GoogleCloud())[0].name == own
    dataset, _ = ensure_dataset(GoogleCloud())
    assert (dataset.project, dataset.dataset_id, dataset.location) == ("other-project", own, "europe-west3")


def test_unreachable_endpoint_is_reported(own: str) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    cloud = GoogleCloud(project="test-project", bucket=own, storage_endpoint=nowhere, bigquery_endpoint=nowhere)
    for prepare in (ensure_bucket, ensure_dataset):
        with pytest.raises(GoogleUnavailable, match=f"{nowhere} did not respond"):
            prepare(cloud)
