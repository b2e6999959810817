"""How the fault suite reads and edits a destination's table by hand, past the platform."""

import os
import signal
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import LiteralString, Self, cast

import duckdb
import psycopg

from taxi_platform.destinations.base import Destination
from taxi_platform.destinations.lake.destination import LAKE
from taxi_platform.destinations.postgres.destination import POSTGRES
from taxi_platform.local.embedded_postgres import EmbeddedPostgres
from taxi_platform.trips.columns import Colour
from taxi_platform.trips.partitions import TripMonth

Rows = dict[str, Counter[tuple[str, ...]]]
"""By file name, each row (pickup, pickup zone, fare as text) with the number of its copies."""

EDITS = ("delete", "update", "double")
POLL_SECONDS = 0.02


class Table(ABC):
    """A destination's table of one colour, in the data directory `home`."""

    destination: Destination

    def __init__(self, home: Path, environment: Mapping[str, str] | None = None) -> None:
        """`environment` has the settings of the processes that load into the table."""
        self.home = home
        self.environment = environment or {}

    @classmethod
    @contextmanager
    def opened(cls, folder: Path) -> Iterator[Self]:
        """Yield the table of the data directory `data` in a folder, with the servers that the platform does not run."""
        yield cls(folder / "data")

    @abstractmethod
    def rows(self, colour: Colour) -> Rows:
        """Return the rows of all files."""

    @abstractmethod
    def edit(self, month: TripMonth, edit: str) -> bool:
        """Delete, update or double one row of the month by hand; return False if it has no row."""

    def disturb(self) -> None:
        """Break the connections to the destination, if there are any."""
        return

    def kill_server(self) -> None:
        """Kill the destination's server, if the platform runs one."""
        return

    def settle(self) -> None:
        """Wait for the end of what a killed process has started in the destination's server."""
        return


def grouped(found: list[tuple]) -> Rows:
    rows: Rows = {}
    for filename, *values in found:
        rows.setdefault(filename, Counter())[tuple(str(value) for value in values)] += 1
    return rows


def _columns(colour: Colour) -> str:
    return f"filename, coalesce(cast({colour.pickup.folded_name} as varchar), ''), pulocationid, fare_amount"


class PostgresTable(Table):
    """The table in the embedded server of the data directory."""

    destination = POSTGRES

    def _execute(self, text: str) -> psycopg.Cursor:
        server = EmbeddedPostgres(self.home / "postgres")
        server.start()
        with psycopg.connect(server.ensure_database(), autocommit=True) as connection:
            cursor = connection.execute(cast(LiteralString, text))
            return cursor if cursor.description is None else _Fetched(cursor.fetchall())  # pyright: ignore[reportReturnType]

    def rows(self, colour: Colour) -> Rows:
        if self._execute(f"select to_regclass('{colour.table}')").fetchall() == [(None,)]:
            return {}
        return grouped(self._execute(f"select {_columns(colour)} from {colour.table}").fetchall())

    def edit(self, month: TripMonth, edit: str) -> bool:
        if month.filename not in self.rows(month.colour):
            return False
        table, where = month.colour.table, f"filename = '{month.filename}'"
        first = f"ctid in (select ctid from {table} where {where} limit 1) and {where}"
        statements = {
            "delete": f"delete from {table} where {first}",
            "update": f"update {table} set fare_amount = fare_amount + 1 where {first}",
            "double": f"insert into {table} select * from {table} where {first}",
        }
        return self._execute(statements[edit]).rowcount > 0

    def disturb(self) -> None:
        """Terminate the platform's sessions."""
        self._execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'taxi_platform%'"
        )

    def settle(self) -> None:
        """Wait for the sessions of killed processes, which end after their statement."""
        query = "select 1 from pg_stat_activity where application_name like 'taxi_platform%'"
        while self._execute(query).fetchall():
            time.sleep(POLL_SECONDS)

    def kill_server(self) -> None:
        """Kill the server's first process; its others end with it, and the next connection starts it again."""
        with suppress(FileNotFoundError, ProcessLookupError):
            lines = (self.home / "postgres" / "server" / "data" / "postmaster.pid").read_text().splitlines()
            os.kill(int(lines[0]), signal.SIGKILL)


class _Fetched:
    def __init__(self, found: list[tuple]) -> None:
        self._found = found

    def fetchall(self) -> list[tuple]:
        return self._found


class LakeTable(Table):
    """The files below `lake` in the data directory."""

    destination = LAKE

    def rows(self, colour: Colour) -> Rows:
        files = sorted(str(path) for path in (self.home / "lake").glob(f"colour={colour.name}/*/*.parquet"))
        if not files:
            return {}
        with duckdb.connect() as connection:
            query = f"select {_columns(colour)} from read_parquet($files, union_by_name = true)"
            return grouped(connection.execute(query, {"files": files}).fetchall())

    def edit(self, month: TripMonth, edit: str) -> bool:
        """Rewrite the file; its load record stays, as if a tool had changed rows in place."""
        [*found] = (self.home / "lake").glob(f"colour={month.colour.name}/month={month.month}/*.parquet")
        if not found:
            return False
        path = found[0]
        with duckdb.connect() as connection:
            connection.execute("create table rows as select * from read_parquet($path)", {"path": str(path)})
            counted = connection.execute("select count(*) from rows").fetchone()
            if counted == (0,):
                return False
            first = "rowid = (select min(rowid) from rows)"
            connection.execute(
                {
                    "delete": f"delete from rows where {first}",
                    "update": f"update rows set fare_amount = fare_amount + 1 where {first}",
                    "double": f"insert into rows select * from rows where {first}",
                }[edit]
            )
            query = "select decode(key), decode(value) from parquet_kv_metadata($path)"
            kept = dict(connection.execute(query, {"path": str(path)}).fetchall())
            metadata = ", ".join(f"'{key}': '{value}'" for key, value in kept.items())
            options = f"format parquet, kv_metadata {{{metadata}}}" if kept else "format parquet"
            connection.execute(f"copy rows to '{path}' ({options})")
        return True
