"""JSON files as the storage of DataFrames."""

from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from taxi_platform.errors import NotStaged
from taxi_platform.getting_started.json_files import JsonFiles

ROWS = [{"brand": "Änne & Söhne", "price": 19.99, "tags": ["a"]}, {"brand": "N/A", "price": "N/A"}]


def write(manager: JsonFiles, rows: list[dict[str, Any]]) -> None:
    with dg.build_output_context(asset_key=dg.AssetKey("things")) as context:
        manager.handle_output(context, pd.DataFrame(rows))


def read(manager: JsonFiles) -> pd.DataFrame:
    with dg.build_input_context(asset_key=dg.AssetKey("things")) as context:
        return manager.load_input(context)


def test_frame_is_read_as_it_was_written(tmp_path: Path) -> None:
    manager = JsonFiles(folder=str(tmp_path / "new"))
    write(manager, ROWS)
    assert '"price": 19.99,' in (tmp_path / "new" / "things.json").read_text(encoding="utf-8")
    # JSON has null, and no NaN.
    pd.testing.assert_frame_equal(read(manager), pd.DataFrame([ROWS[0], {**ROWS[1], "tags": None}]))


def test_failed_write_keeps_old_file_only(tmp_path: Path) -> None:
    manager = JsonFiles(folder=str(tmp_path))
    write(manager, ROWS)
    before = (tmp_path / "things.json").read_bytes()
    with pytest.raises(UnicodeEncodeError):
        write(manager, [{"brand": "half of a surrogate pair: \ud800"}])
    assert (tmp_path / "things.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["things.json"]


def test_missing_file_names_its_asset(tmp_path: Path) -> None:
    with pytest.raises(NotStaged, match=r"things\.json does not exist\.\nMaterialize things first\."):
        read(JsonFiles(folder=str(tmp_path)))


def test_default_folder_is_the_setting_at_time_of_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = JsonFiles()
    monkeypatch.setenv("TAXI_HOME", str(tmp_path / "home"))
    write(manager, ROWS)
    assert (tmp_path / "home" / "products" / "things.json").exists()
