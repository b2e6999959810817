"""Connections of the DuckDB file."""

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from taxi_platform.getting_started.duckdb_file import DuckDBFile


def count_in_another_process(path: Path) -> str:
    """Return the table's number of rows. Fails while this process holds the file open."""
    code = "import duckdb, sys; print(duckdb.connect(sys.argv[1]).execute('select count(*) from t').fetchone()[0])"
    return subprocess.run(
        [sys.executable, "-c", code, str(path)], check=True, capture_output=True, text=True
    ).stdout.strip()


def fail(resource: DuckDBFile, connections: list[duckdb.DuckDBPyConnection]) -> None:
    with resource.get_connection() as connection:
        connections.append(connection)
        connection.execute("create or replace table t as select error('no') as n from range(3)")


def test_error_releases_file_and_keeps_old_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAXI_HOME", str(tmp_path / "home"))
    resource = DuckDBFile()
    with resource.get_connection() as connection:
        connection.execute("create table t as select 1 as n")
    connections: list[duckdb.DuckDBPyConnection] = []
    with pytest.raises(duckdb.Error):
        fail(resource, connections)
    assert count_in_another_process(tmp_path / "home" / "products.duckdb") == "1"
