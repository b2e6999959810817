"""The zones: fetched from TLC, the shipped copy, files that are something else."""

import json
import os
from pathlib import Path

import dagster as dg
import pytest

from taxi_platform.analytics.zone_shapes import SHIPPED
from taxi_platform.analytics.zones import taxi_zones, zone_shapes, zone_table
from taxi_platform.errors import BadFile
from taxi_platform_tests.conftest import REPO, ServeFolder


@pytest.fixture
def published() -> Path:
    folder = Path(os.environ.get("TAXI_REAL_ZONES", REPO.parent / "shared" / "zones"))
    if not folder.is_dir():
        pytest.skip(f"no zone files: {folder} does not exist; TAXI_REAL_ZONES names another folder")
    return folder


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TAXI_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def fetch() -> dict[str, object]:
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([taxi_zones], instance=instance)
    (event,) = result.asset_materializations_for_node("taxi_zones")
    return {name: value.value for name, value in event.metadata.items()}


def test_published_zones_equal_shipped_copy(
    published: Path, serve_folder: ServeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = [zone_table(), zone_shapes()]
    with serve_folder(published) as mirror:
        monkeypatch.setenv("TAXI_ZONES_URL", mirror.url)
        assert fetch() == {"source": "TAXI_ZONES_URL", "zones": 265, "shapes": 263}
    for ours, fetched in zip(shipped, [zone_table(), zone_shapes()], strict=True):
        assert ours != fetched
        assert ours.read_text() == fetched.read_text()


def test_shipped_copy_is_used_without_response(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAXI_ZONES_URL", (home / "nothing").as_uri())
    assert fetch() == {"source": "shipped copy"}
    assert zone_shapes() == SHIPPED


def test_other_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "taxi_zone_lookup.csv").write_text("LocationID,Borough,Zone,service_zone\n1,EWR,Newark Airport,EWR\n")
    (tmp_path / "taxi_zones.zip").write_text("<html>")
    monkeypatch.setenv("TAXI_ZONES_URL", tmp_path.as_uri())
    with pytest.raises(BadFile, match=r"taxi_zones.zip: this is not TLC's zipped shapefile"):
        fetch()
    (tmp_path / "taxi_zone_lookup.csv").write_text("<html>")
    with pytest.raises(BadFile, match=r"taxi_zone_lookup.csv: this is not TLC's zone table"):
        fetch()


def test_shipped_shapes_are_small() -> None:
    features = json.loads(SHIPPED.read_text())["features"]
    assert len(features) == 263
    assert SHIPPED.stat().st_size < 160_000
