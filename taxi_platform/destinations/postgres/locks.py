"""Waiting for locks: short timeouts that are retried, and the error that names the sessions in the way."""

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
"""For the merge lock. Other merges hold it for milliseconds, or for seconds if they skip duplicates; ANALYZE longer."""

SWAP_TIMEOUT = "1500ms"
"""For locks that readers block; readers that come later wait behind it as long.

It must be longer than the server's deadlock_timeout, one second, after which the server cancels an autovacuum that
is in the way.
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
    """Call until it gets its locks. Raise TableBusy after so many seconds.

    `waits_for` returns what could not be done, the tables to be locked, and whether readers are in the way.
    """

    def give_up(state: RetryCallState) -> Result:
        what, tables, readers = waits_for()
        with connection.cursor(row_factory=class_row(_Blocker)) as cursor:
            blockers = cursor.execute(
                statement("blockers").format(), {"tables": list(tables), "readers": readers}
            ).fetchall()
        named = "; ".join(map(str, blockers)) or "no session any more"
        pids = ", ".join(str(blocker.pid) for blocker in blockers) or "none any more"
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
