"""The DuckDB file's connections."""

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from taxi_platform.getting_started.duckdb_file import DuckDBFile


def rows_seen_by_another_process(path: Path) -> str:
    """Fails if this process still holds the file."""
    code = "import duckdb, sys; print(duckdb.connect(sys.argv[1]).execute('select count(*) from t').fetchone()[0])"
    return subprocess.run(
        [sys.executable, "-c", code, str(path)], check=True, capture_output=True, text=True
    ).stdout.strip()


def break_off(resource: DuckDBFile, held: list[duckdb.DuckDBPyConnection]) -> None:
    with resource.get_connection() as connection:
        held.append(connection)
        connection.execute("create or replace table t as select error('no') as n from range(3)")


def test_after_an_error_the_file_is_free_and_has_what_was_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAXI_HOME", str(tmp_path / "home"))
    resource = DuckDBFile()
    with resource.get_connection() as connection:
        connection.execute("create table t as select 1 as n")
    held: list[duckdb.DuckDBPyConnection] = []
    with pytest.raises(duckdb.Error):
        break_off(resource, held)
    assert rows_seen_by_another_process(tmp_path / "home" / "products.duckdb") == "1"
