"""Dagster's history in PostgreSQL with fewer round trips than dagster-postgres has.

A run that loads one month opened 113 connections and sent 230 statements, which took half of its processor time. Here
connections stay open, as in Dagster's web server; what the history's tables have is looked up once; and events that
only tell what happened are written several at a time, at most `_DELAY_SECONDS` late. Events that Dagster acts on (of
runs, assets and checks) are written at once, after those that came before them.
"""

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from typing import Any

import dagster as dg
from dagster_postgres import PostgresEventLogStorage, PostgresRunStorage, PostgresScheduleStorage
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

_RECYCLE_SECONDS = 3600
_OVERFLOW = 20
_DELAY_SECONDS = 0.5
_MOST_EVENTS = 50

_TYPE = dg.DagsterEventType
_TOLD = {
    _TYPE.ENGINE_EVENT.value,
    _TYPE.HANDLED_OUTPUT.value,
    _TYPE.LOADED_INPUT.value,
    _TYPE.LOGS_CAPTURED.value,
    _TYPE.RESOURCE_INIT_STARTED.value,
    _TYPE.RESOURCE_INIT_SUCCESS.value,
    _TYPE.STEP_INPUT.value,
    _TYPE.STEP_OUTPUT.value,
    _TYPE.STEP_START.value,
    _TYPE.STEP_SUCCESS.value,
}
"""Types of events that only tell what happened."""


class _Pooled:
    """A storage with a connection pool, which asks once for what is there."""

    def __init__(self, **options: Any) -> None:
        self._found: set[str] = set()
        super().__init__(**options)

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Mapping[str, Any]) -> Any:
        """Return the storage that is configured in `dagster.yaml`."""
        storage: Any = cls(inst_data=inst_data, postgres_url=config_value["postgres_url"])
        storage.optimize_for_webserver(statement_timeout=0, pool_recycle=_RECYCLE_SECONDS, max_overflow=_OVERFLOW)
        return storage

    def _finds(self, name: str, look: Callable[[], bool]) -> bool:
        if name not in self._found and look():
            self._found.add(name)
        return name in self._found


class ScheduleStorage(_Pooled, PostgresScheduleStorage):
    """The state of schedules and sensors."""


class RunStorage(_Pooled, PostgresRunStorage):
    """The runs."""

    def has_run_stats_index_cols(self) -> bool:
        """Return whether the table of runs has the columns of its statistics."""
        return self._finds("run statistics", super().has_run_stats_index_cols)

    def has_backfill_id_column(self) -> bool:
        """Return whether the table of runs has the column of the backfill."""
        return self._finds("backfill", super().has_backfill_id_column)


class EventLogStorage(_Pooled, PostgresEventLogStorage):
    """The events of runs, and the newest ones of each asset and check."""

    def __init__(self, **options: Any) -> None:
        self._lock = threading.RLock()
        self._unwritten: list[dg.EventLogEntry] = []
        self._timer = threading.Timer(_DELAY_SECONDS, self._write_later)
        super().__init__(**options)

    def has_table(self, table_name: str) -> bool:
        """Return whether the table exists."""
        look = super().has_table
        return self._finds(f"table {table_name}", lambda: look(table_name))

    def has_asset_key_col(self, column_name: str) -> bool:
        """Return whether the table of assets has the column."""
        look = super().has_asset_key_col
        return self._finds(f"column {column_name}", lambda: look(column_name))

    def store_event(self, event: dg.EventLogEntry) -> None:
        """Store an event, at once or with those that follow."""
        if event.is_dagster_event and event.get_dagster_event().event_type_value not in _TOLD:
            self.write()
            super().store_event(event)
            return
        with self._lock:
            self._unwritten.append(event)
            if len(self._unwritten) >= _MOST_EVENTS:
                self.write()
            elif len(self._unwritten) == 1:
                # The process does not end before the timer.
                self._timer = threading.Timer(_DELAY_SECONDS, self._write_later)
                self._timer.start()

    def write(self) -> None:
        """Write the events that are not written yet."""
        with self._lock:
            if self._unwritten:
                with super().run_connection() as connection:
                    connection.execute(self.prepare_insert_event_batch(self._unwritten))
                self._unwritten = []
                self._timer.cancel()

    def _write_later(self) -> None:
        with suppress(SQLAlchemyError):  # the next event tries again, and raises the error
            self.write()

    def run_connection(self, run_id: str | None = None) -> AbstractContextManager[Connection]:
        """Return a connection that sees all events of this process."""
        self.write()
        return super().run_connection(run_id)

    def index_connection(self) -> AbstractContextManager[Connection]:
        """Return a connection that sees all events of this process."""
        self.write()
        return super().index_connection()

    def dispose(self) -> None:
        """Write what is left."""
        self.write()
        super().dispose()
