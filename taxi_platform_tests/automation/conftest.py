"""Schedules and sensors need an instance on disk, and no Google Cloud project unless a test sets one."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """A Dagster instance on disk."""
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        yield instance


@pytest.fixture(autouse=True)
def no_google_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GCP_PROJECT_ID", "GCP_BUCKET_NAME"):
        monkeypatch.delenv(name, raising=False)
