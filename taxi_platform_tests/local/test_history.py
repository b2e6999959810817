"""Dagster's history in PostgreSQL with a connection pool."""

from importlib.resources import files
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from taxi_platform.local.embedded_postgres import EmbeddedPostgres
from taxi_platform_tests.conftest import new_database

RUNS = 5


@dg.asset
def nothing() -> None:
    """An asset that does nothing."""


def test_runs_share_connections(embedded: EmbeddedPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = files("taxi_platform.local").joinpath("instance.yaml").read_text()
    (tmp_path / "dagster.yaml").write_text(settings)
    monkeypatch.setenv("TAXI_RUNS_AT_ONCE", "2")
    with new_database(embedded.start()) as url:
        monkeypatch.setenv("TAXI_HISTORY_URL", f"{url}?options=-c%20synchronous_commit%3Doff")
        with (
            dg.DagsterInstance.from_config(str(tmp_path)) as instance,
            psycopg.connect(url, autocommit=True) as watcher,
        ):
            before = sessions(watcher)
            for _ in range(RUNS):
                assert dg.materialize([nothing], instance=instance).success
            # Without a pool each run has about 40 sessions.
            assert sessions(watcher) - before < 5 * RUNS
            assert len(instance.get_runs()) == RUNS


def sessions(connection: psycopg.Connection) -> int:
    """Return how many sessions the database has had."""
    row = connection.execute("select sessions from pg_stat_database where datname = current_database()").fetchone()
    return row[0] if row else 0
