"""Files and folders in the data directory."""

from pathlib import Path

import pytest

from taxi_platform.data_directory import make_folder, shown, write_whole
from taxi_platform.errors import BadSetting


def test_folder_is_created_with_its_parents(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_impossible_folder_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadSetting, match=r"file/a cannot be created: Not a directory\.\nSet TAXI_LAKE_PATH to"):
        make_folder(tmp_path / "file" / "a", setting="TAXI_LAKE_PATH")


def test_path_below_working_directory_is_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert shown(tmp_path / "here" / ".taxi") == ".taxi"
    assert shown(tmp_path / "elsewhere") == str(tmp_path / "elsewhere")


def test_text_file_is_replaced_whole(tmp_path: Path) -> None:
    for text in ("old", "new"):
        write_whole(tmp_path / "file", text)
    assert (tmp_path / "file").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
