"""JSON files as the storage of small assets."""

import json
from pathlib import Path

import dagster as dg
import pytest

from taxi_platform.errors import NotStaged
from taxi_platform.getting_started.json_files import JsonFiles

ROWS = [{"brand": "Änne & Söhne", "price": 1.5}, {"brand": "N/A", "price": 2}]


def written(folder: Path, value: object) -> dg.OutputContext:
    with dg.build_output_context(asset_key=dg.AssetKey("things")) as context:
        JsonFiles(folder=str(folder)).handle_output(context, value)
        return context


def read(folder: Path) -> object:
    with dg.build_input_context(asset_key=dg.AssetKey("things")) as context:
        return JsonFiles(folder=str(folder)).load_input(context)


def test_a_value_comes_back_as_it_was(tmp_path: Path) -> None:
    context = written(tmp_path / "new", ROWS)
    assert read(tmp_path / "new") == ROWS
    assert context.get_logged_metadata()["dagster/uri"].value == (tmp_path / "new" / "things.json").as_uri()


def test_a_value_that_cannot_be_written_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    written(tmp_path, ROWS)
    with pytest.raises(TypeError):
        written(tmp_path, [*ROWS, object()])
    assert json.loads((tmp_path / "things.json").read_text(encoding="utf-8")) == ROWS
    assert [path.name for path in tmp_path.iterdir()] == ["things.json"]


def test_a_file_that_is_gone_is_named_with_the_asset_that_writes_it(tmp_path: Path) -> None:
    with pytest.raises(NotStaged, match=r"things\.json is not there.*\n.*asset things"):
        read(tmp_path)


def test_the_folder_is_under_the_home_of_the_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = JsonFiles()
    monkeypatch.setenv("TAXI_HOME", str(tmp_path / "home"))
    with dg.build_output_context(asset_key=dg.AssetKey("things")) as context:
        manager.handle_output(context, ROWS)
    assert (tmp_path / "home" / "products" / "things.json").exists()
