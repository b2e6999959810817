"""The definitions as a whole: descriptions and metadata of all assets, and imports without side effects."""

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

import taxi_platform
from taxi_platform.definitions import build_defs, defs
from taxi_platform.source.mirror import Mirror
from taxi_platform.trips.partitions import trip_partitions

SPECS = {spec.key.to_user_string(): spec for spec in sorted(defs.resolve_all_asset_specs(), key=lambda spec: spec.key)}
PACKAGE = Path(taxi_platform.__file__).parent
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_asset_is_described(spec: dg.AssetSpec) -> None:
    assert spec.description, "a docstring"
    assert spec.group_name not in (None, "default"), "a group"
    assert spec.kinds, "kinds"
    assert spec.owners, "owners"
    assert spec.code_version, "a code version"
    assert {"dagster/table_name", "dagster/uri"} & spec.metadata.keys(), "its place"
    if spec.key != dg.AssetKey("report"):
        assert isinstance(spec.metadata.get("dagster/column_schema"), dg.TableSchema), "its columns"


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_columns_of_asset_are_described(spec: dg.AssetSpec) -> None:
    schema = spec.metadata.get("dagster/column_schema")
    columns = schema.columns if schema else []
    assert [column.name for column in columns if not column.description] == []


def test_assets_have_documented_names_and_partitions() -> None:
    trips = {
        "raw_csv": "source",
        "postgres_staging": "postgres",
        "postgres_tripdata": "postgres",
        "lake_parquet": "lake",
    }
    trips |= dict.fromkeys(("gcs_csv", "bigquery_external", "bigquery_monthly", "bigquery_tripdata"), "bigquery")
    for name, group in trips.items():
        assert SPECS[name].group_name == group
        assert SPECS[name].partitions_def == trip_partitions
    for name in ("gcs_bucket", "bigquery_dataset"):
        assert (SPECS[name].group_name, SPECS[name].partitions_def) == ("bigquery", None)
    for name in ("products_raw", "products", "products_by_brand", "docker_image_pulls", "github_stars"):
        assert SPECS[name].group_name == "getting_started"
        assert SPECS[name].partitions_def is None


def test_partition_key_has_colour_first() -> None:
    assert "yellow|2020-03" in trip_partitions.get_partition_keys()
    assert trip_partitions.get_partition_keys()[0] == "yellow|2019-01"


def test_given_resource_replaces_default() -> None:
    mirror = Mirror(base_url="file:///nowhere")
    given = build_defs(mirror=mirror).resources
    assert given is not None
    assert given["mirror"] is mirror
    assert given["raw_files"].mirror is mirror


def test_definitions_are_loadable() -> None:
    dg.Definitions.validate_loadable(defs)


def test_import_does_no_io(tmp_path: Path) -> None:
    """The import runs in a new interpreter, with an empty environment and folder."""
    program = f"""
import socket, sys, threading
sys.path.insert(0, {str(PACKAGE.parent)!r})
def refuse(*args, **kwargs):
    raise AssertionError("an import opens a connection")
socket.socket.connect = refuse
import os
asked = []
real = os.environ.__class__.__getitem__
def note(self, name):
    if name.startswith(("TAXI", "GCP", "BIGQUERY", "STORAGE_EM")):
        asked.append(name)
    return real(self, name)
os.environ.__class__.__getitem__ = note
import importlib
for module in {MODULES!r}:
    importlib.import_module(module)
assert not asked, asked
assert threading.active_count() == 1, threading.enumerate()
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", program],
        cwd=tmp_path,
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


def test_definitions_import_no_heavy_library() -> None:
    """Each run imports the definitions, so an import costs time and memory for each month."""
    heavy = ("pandas", "pyarrow", "google.cloud", "google.auth", "google.api_core", "grpc._channel")
    program = f"import sys, taxi_platform.definitions; print([name for name in {heavy} if name in sys.modules])"

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PACKAGE.parent, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"
