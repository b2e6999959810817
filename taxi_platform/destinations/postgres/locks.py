"""Lock timeouts that are retried, and the error that names the blocking sessions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import psycopg
from psycopg.rows import class_row
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from taxi_platform.destinations.postgres.sql import statement
from taxi_platform.errors import TableBusy

Result = TypeVar("Result")

MERGE_LOCK_TIMEOUT = "5min"
"""For the merge lock. A merge holds it for milliseconds, or seconds if it skips duplicates; ANALYZE holds it longer."""

SWAP_TIMEOUT = "1500ms"
"""For locks that running queries block. Queries that start later wait behind them, so the timeout is short.

It must be longer than the server's deadlock_timeout, one second, after which the server cancels an autovacuum that
blocks the lock.
"""


class TableReplacedError(Exception):
    """Another run replaced a table between two steps."""


@dataclass(frozen=True)
class _Blocker:
    pid: int
    usename: str | None
    application_name: str | None
    state: str | None
    since: str | None

    def __str__(self) -> str:
        name, state, since = self.application_name or "no name", self.state or "state unknown", self.since or "unknown"
        return f"pid {self.pid} ({self.usename}, {name}, {state}, since {since})"


def retry_while_locked(
    connection: psycopg.Connection,
    call: Callable[[], Result],
    *,
    seconds: float,
    waits_for: Callable[[], tuple[str, Sequence[int], bool]],
) -> Result:
    """Return what `call` returns, called again after each lock timeout. Raise TableBusy after `seconds`.

    `waits_for` returns what could not be done, the tables to be locked, and whether readers block the locks.
    """

    def give_up(state: RetryCallState) -> Result:
        what, tables, readers = waits_for()
        with connection.cursor(row_factory=class_row(_Blocker)) as cursor:
            blockers = cursor.execute(
                statement("blockers").format(), {"tables": list(tables), "readers": readers}
            ).fetchall()
        named = "; ".join(map(str, blockers)) or "none at present"
        pids = ", ".join(str(blocker.pid) for blocker in blockers) or "none at present"
        raise TableBusy(
            f"{what} for {state.seconds_since_start:.0f} s, because other sessions lock the table: {named}.",
            f"End their transactions first (blocking pids: {pids}; select pg_terminate_backend(pid) ends one).",
        )

    retrying = Retrying(
        retry=retry_if_exception_type(
            (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected, TableReplacedError)
        ),
        wait=wait_random_exponential(multiplier=0.5, max=10),
        stop=stop_after_delay(seconds),
        retry_error_callback=give_up,
    )
    return retrying(call)
