"""A staged month into its place in `<colour>_tripdata`, in exchange for what stood there, in one short transaction.

The rows that other files have already are looked up before the transaction; inside it only partitions that changed
since are looked up again. Months of a colour pass one after another through a lock on the table that readers do not
notice. A first load only attaches. An exchange has to detach, which waits for readers: never longer than a second and
a half at a time, because every new reader queues behind it.
"""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import psycopg
from psycopg import sql
from psycopg.rows import class_row
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from taxi_platform.destinations.postgres.catalog import is_whole
from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.destinations.postgres.sql import statement
from taxi_platform.destinations.postgres.staging import staged
from taxi_platform.destinations.postgres.tables import (
    Partition,
    attached,
    ensure_tables,
    is_stray,
    name_of,
    parent_name,
    parent_table,
    partition_name,
    partition_table,
    record_on,
    records_of,
    staging_table,
    timestamp,
)
from taxi_platform.errors import NotStaged, PermanentError, TableBusy
from taxi_platform.trips.load_record import (
    LoadRecord,
    MergeResult,
    Skipped,
    is_current,
    rows_in_tables,
    skipped_for_another_version,
)
from taxi_platform.trips.partitions import TripMonth

DOOR_TIMEOUT = "60s"
"""For the lock that lets one month of a colour through at a time. Others hold it for milliseconds, ANALYZE longer."""

EXCHANGE_TIMEOUT = "1500ms"
"""For the lock that an exchange needs: readers that come later wait behind it as long.

It must be longer than the server's deadlock_timeout, a second, after which an autovacuum is sent out of the way.
"""

FEW = 1000
"""Up to so many pickups are looked up one by one through the BRIN index; a join serves for more."""


@dataclass(frozen=True)
class _Staged:
    """The staging table that is being merged; another run may put another in its place until it is locked."""

    month: TripMonth
    oid: int
    record: LoadRecord


class _StagingReplacedError(Exception):
    """Another run staged the month again meanwhile."""


def merge(postgres: Postgres, month: TripMonth) -> MergeResult:
    """Puts the staged month in its place; the five points of the contract hold when it returns.

    With nothing staged and the month in place there is nothing to do. Raises NotStaged when neither is there, and
    TableBusy, naming the sessions, when readers hold up an exchange for longer than `postgres.patience` seconds.
    """
    with postgres.connect(f"merges {month}") as connection:
        ensure_tables(connection, month.colour)
        connection.execute("create temp table rows_kept (unique_row_id text, pickup timestamp, keeper text)")
        attempts = Retrying(
            retry=retry_if_exception_type((psycopg.errors.LockNotAvailable, _StagingReplacedError)),
            wait=wait_random_exponential(multiplier=0.5, max=10),
            stop=stop_after_delay(postgres.patience),
            retry_error_callback=lambda state: _give_up(connection, month, state),
        )
        record, replaced, changed = attempts(_merge_once, connection, month)
        records = records_of(attached(connection, month.colour))
    return MergeResult(
        record=record,
        changed=changed,
        replaced=replaced,
        rows_of_colour=rows_in_tables(records.values()),
        needs_reload=skipped_for_another_version(records, month.filename, record.sha256),
    )


def _merge_once(connection: psycopg.Connection, month: TripMonth) -> tuple[LoadRecord, LoadRecord | None, bool]:
    # In this order: a month that another run puts in place between the two looks is seen by the second.
    staging = _find_staged(connection, month)
    partitions = attached(connection, month.colour)
    if staging is None:
        return _already_there(connection, partitions, month), None, False
    connection.execute("truncate pg_temp.rows_kept")
    _look_up(connection, staging, partitions)
    with connection.transaction():
        connection.execute(sql.SQL("set local lock_timeout = {}").format(DOOR_TIMEOUT))
        connection.execute(
            sql.SQL("lock table only {} in share update exclusive mode").format(parent_table(month.colour))
        )
        _hold(connection, staging)
        now = attached(connection, month.colour)
        records = records_of(now)
        current = is_current(records, month, staging.record.sha256)
        if current and is_whole(connection, month, records[month.filename]):
            connection.execute(sql.SQL("drop table {}").format(staging_table(month)))
            return records[month.filename], None, False
        _look_up_again(connection, staging, partitions, now)
        record = _complete(staging.record, _drop_rows_kept(connection, staging), records)
        _put_in_place(connection, month, record, now.get(month.filename))
    return record, records.get(month.filename), True


def _find_staged(connection: psycopg.Connection, month: TripMonth) -> _Staged | None:
    oid, record = staged(connection, month)
    return _Staged(month, oid, record) if record else None


def _hold(connection: psycopg.Connection, staging: _Staged) -> None:
    """Locks the staging table, and makes sure that it is still the one that was looked at."""
    try:
        connection.execute(sql.SQL("lock table {}").format(staging_table(staging.month)))
    except psycopg.errors.UndefinedTable:
        raise _StagingReplacedError from None
    if _find_staged(connection, staging.month) != staging:
        raise _StagingReplacedError


def _already_there(connection: psycopg.Connection, partitions: dict[str, Partition], month: TripMonth) -> LoadRecord:
    record = records_of(partitions).get(month.filename)
    if record and is_whole(connection, month, record):
        return record
    if records_of(attached(connection, month.colour)).get(month.filename) != record:
        # Another run put another version in its place while the rows were counted.
        raise _StagingReplacedError
    raise not_staged(month)


def not_staged(month: TripMonth) -> NotStaged:
    """The refusal to go on from a staging table that is not there."""
    return NotStaged(
        f"Nothing is staged for {month}, and {parent_name(month.colour)} does not hold it, or not all of it.",
        "A rerun of this asset alone does not help: materialize it with what it is made from, "
        f"--select '+key:postgres_tripdata' --partition '{month}'.",
    )


def _look_up(connection: psycopg.Connection, staging: _Staged, partitions: dict[str, Partition]) -> None:
    """Notes the rows that these partitions have already; the month's own older version is not asked."""
    for partition in partitions.values():
        if partition.filename != staging.month.filename:
            try:
                with connection.transaction():
                    _look_up_in(connection, staging, partition)
            except psycopg.errors.UndefinedTable:
                # Exchanged meanwhile: it is seen as changed, and looked up again, behind the lock.
                continue


def _look_up_in(connection: psycopg.Connection, staging: _Staged, partition: Partition) -> None:
    month = staging.month
    pickup = month.colour.pickup
    at, dropoff, strays = name_of(pickup), name_of(month.colour.dropoff), is_stray(month, pickup)
    times = sql.SQL("select coalesce(staged.{}, staged.{}) from {} as staged where {}").format(
        at, dropoff, staging_table(month), strays
    )
    other_month = TripMonth.from_file(month.colour, partition.filename)
    pickups = sql.SQL("other.{} in ({})")
    if staging.record.out_of_month <= FEW:
        # Without statistics for a new table the planner would rather read it all.
        connection.execute("set local enable_seqscan = off")
        pickups = sql.SQL("other.{} = any(array({}))")
    connection.execute(
        statement("rows_kept").format(
            pickup=at,
            dropoff=dropoff,
            keeper=sql.Literal(partition.filename),
            other=partition.table,
            other_strays=is_stray(other_month, pickup),
            start=timestamp(month.start),
            end=timestamp(month.end),
            staging=staging_table(month),
            staged_strays=strays,
            at_these_pickups=pickups.format(at, times),
        )
    )


def _look_up_again(
    connection: psycopg.Connection, staging: _Staged, before: dict[str, Partition], now: dict[str, Partition]
) -> None:
    """Behind the lock: looks up what was attached, exchanged or detached since the first look."""
    changed = [name for name in before | now if getattr(before.get(name), "oid", 0) != getattr(now.get(name), "oid", 0)]
    connection.execute("delete from pg_temp.rows_kept where keeper = any(%s)", [changed])
    _look_up(connection, staging, {name: now[name] for name in changed if name in now})


def _drop_rows_kept(connection: psycopg.Connection, staging: _Staged) -> Counter[str]:
    """Takes the rows that other files have out of the staged month; how many, by that file's name."""
    counted = connection.execute("select count(*) from pg_temp.rows_kept").fetchone()
    candidates = counted[0] if counted else 0
    if not candidates:
        return Counter()
    at_these_pickups = sql.SQL("true")
    with connection.transaction():
        if candidates <= FEW:
            connection.execute("set local enable_seqscan = off")
            at_these_pickups = sql.SQL(
                "(staged.{at} = any(array(select pickup from pg_temp.rows_kept)) or staged.{at} is null)"
            ).format(at=name_of(staging.month.colour.pickup))
        dropped = connection.execute(
            statement("drop_rows_kept").format(staging=staging_table(staging.month), at_these_pickups=at_these_pickups)
        )
        kept = Counter(keeper for (keeper,) in dropped)
        connection.execute("set local enable_seqscan = default")
    return kept


def _complete(record: LoadRecord, skipped: Counter[str], records: dict[str, LoadRecord]) -> LoadRecord:
    return replace(
        record,
        skipped={
            name: Skipped(rows, records[name].sha256 if name in records else "") for name, rows in skipped.items()
        },
        loaded_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _put_in_place(connection: psycopg.Connection, month: TripMonth, record: LoadRecord, old: Partition | None) -> None:
    parent, partition = parent_table(month.colour), partition_table(month)
    staging = staging_table(month)
    connection.execute(record_on(staging, record))
    connection.execute(sql.SQL("set local lock_timeout = {}").format(EXCHANGE_TIMEOUT))
    if old is not None:
        connection.execute(sql.SQL("alter table {} detach partition {}").format(parent, old.table))
        try:
            connection.execute(sql.SQL("drop table {}").format(old.table))
        except psycopg.errors.DependentObjectsStillExist as error:
            raise PermanentError(
                f"The older version of {month} cannot be dropped, because something was built on its partition: "
                f"{error.diag.message_detail}",
                f"A rerun does not help until that is gone. Build on {parent_name(month.colour)} instead, whose "
                "partitions may be replaced. Nothing was changed.",
            ) from None
    connection.execute(sql.SQL("alter table {} rename to {}").format(staging, sql.Identifier(partition_name(month))))
    connection.execute(
        sql.SQL("alter table {} attach partition {} for values in ({})").format(
            parent, partition, sql.Literal(month.filename)
        )
    )


@dataclass(frozen=True)
class _Blocker:
    pid: int
    usename: str | None
    application_name: str | None
    state: str | None
    since: str | None


def _give_up(connection: psycopg.Connection, month: TripMonth, state: RetryCallState) -> None:
    """Names the sessions that hold the table."""
    partition = attached(connection, month.colour).get(month.filename)
    parent = connection.execute("select to_regclass(%s)::oid::int8", [parent_name(month.colour)]).fetchone()
    tables = [table for table in (parent and parent[0], partition and partition.oid) if table]
    with connection.cursor(row_factory=class_row(_Blocker)) as cursor:
        given = {"tables": tables, "exchanges": partition is not None}
        blockers = cursor.execute(statement("blockers").format(), given).fetchall()
    named = "; ".join(
        f"pid {b.pid} ({b.usename}, {b.application_name or 'no name'}, {b.state}, since {b.since})" for b in blockers
    )
    stands = "The older version of the month is still in place, whole." if partition else "The month stays staged."
    pids = ", ".join(str(blocker.pid) for blocker in blockers) or "none any more"
    raise TableBusy(
        f"{month.colour.table} was in use for {state.seconds_since_start:.0f} s, so {month} could not be put in its "
        f"place: {named or 'nobody holds it any more'}.",
        f"A rerun helps once these sessions have ended their transactions (blocking pids: {pids}); "
        f"select pg_terminate_backend(pid) ends one. {stands}",
    )
