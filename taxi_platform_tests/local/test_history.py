"""Dagster's history in PostgreSQL: few connections, and all events."""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from taxi_platform.local.embedded_postgres import EmbeddedPostgres
from taxi_platform_tests.conftest import new_database
from taxi_platform_tests.support.waiting import until

RUNS = 5


@dg.asset
def nothing() -> None:
    """An asset that does nothing."""


@pytest.fixture
def history(embedded: EmbeddedPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a new database for the history, which the settings in the folder name."""
    settings = files("taxi_platform.local").joinpath("instance.yaml").read_text()
    (tmp_path / "dagster.yaml").write_text(settings)
    monkeypatch.setenv("TAXI_RUNS_AT_ONCE", "2")
    with new_database(embedded.start()) as url:
        monkeypatch.setenv("TAXI_HISTORY_URL", f"{url}?options=-c%20synchronous_commit%3Doff")
        yield url


def test_runs_share_connections(history: str, tmp_path: Path) -> None:
    with (
        dg.DagsterInstance.from_config(str(tmp_path)) as instance,
        psycopg.connect(history, autocommit=True) as watcher,
    ):
        before = sessions(watcher)
        for _ in range(RUNS):
            assert dg.materialize([nothing], instance=instance).success
        # Without a pool each run has about 40 sessions.
        assert sessions(watcher) - before < 5 * RUNS
        assert len(instance.get_runs()) == RUNS


def test_events_are_stored_whole_and_in_order(history: str, tmp_path: Path) -> None:
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        result = dg.materialize([nothing], instance=instance)
        stored = instance.all_logs(result.run_id)
        materialization = instance.get_latest_materialization_event(nothing.key)
    # Those of the run itself are stored before the result is made.
    shown = [event.event_type for event in result.all_events]
    types = [entry.get_dagster_event().event_type for entry in stored if entry.is_dagster_event]
    assert [kind for kind in types if kind in shown] == shown
    assert types[-1] is dg.DagsterEventType.RUN_SUCCESS
    assert materialization
    assert materialization.run_id == result.run_id


def test_events_are_visible_to_others_before_the_step_ends(history: str, tmp_path: Path) -> None:
    seen: list[str] = []
    elsewhere = dg.DagsterInstance.from_config(str(tmp_path))

    @dg.op
    def watches(context: dg.OpExecutionContext) -> None:
        context.log.info("looks for itself")

        def is_visible() -> bool:
            return any(entry.user_message == "looks for itself" for entry in elsewhere.all_logs(context.run_id))

        until(is_visible)
        seen.append(context.run_id)

    @dg.job
    def watch() -> None:
        watches()

    with elsewhere, dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert watch.execute_in_process(instance=instance).run_id in seen


def sessions(connection: psycopg.Connection) -> int:
    """Return how many sessions the database has had."""
    row = connection.execute("select sessions from pg_stat_database where datname = current_database()").fetchone()
    return row[0] if row else 0
