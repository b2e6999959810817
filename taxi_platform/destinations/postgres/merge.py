"""The merge of a month: its staging table replaces the month's older version as a partition of `<colour>_tripdata`.

The steps and the argument why concurrent merges are right are in docs/architecture.md, "Postgres"; the numbers here are
the numbers there. Rows are only ever inserted into tables that no other session can read: a snapshot that is older than
the swap finds the month either whole or empty, never with duplicates.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import LiteralString, cast

import psycopg
from psycopg import sql

from taxi_platform.destinations.postgres.catalog import Partition, attached, is_intact, is_loaded, records_of
from taxi_platform.destinations.postgres.duplicates import (
    CREATE_DUPLICATES,
    Staged,
    count_duplicates,
    find_duplicates,
    find_duplicates_again,
    remove_duplicates,
)
from taxi_platform.destinations.postgres.ensure import ensure_tables, truncate_trigger
from taxi_platform.destinations.postgres.locks import (
    MERGE_LOCK_TIMEOUT,
    SWAP_TIMEOUT,
    TableReplacedError,
    retry_while_locked,
)
from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.destinations.postgres.staging import (
    not_staged,
    record_on,
    staged,
)
from taxi_platform.destinations.postgres.tables import (
    SCHEMA,
    parent_name,
    parent_table,
    partition_name,
    partition_table,
    staging_table,
)
from taxi_platform.errors import PermanentError
from taxi_platform.trips.load_record import (
    LoadRecord,
    MergeResult,
    Skipped,
    is_current,
    rows_in_tables,
    skipped_for_another_version,
)
from taxi_platform.trips.partitions import TripMonth


def merge(postgres: Postgres, month: TripMonth) -> MergeResult:
    """Attach the staged month; the guarantees of the contract hold when it returns.

    If nothing is staged and the month is loaded, change nothing. Raise NotStaged if it is neither, and TableBusy, with
    the sessions, if readers block the swap for longer than `postgres.merge_timeout` seconds.
    """
    with postgres.connect(f"merges {month}") as connection:
        ensure_tables(connection, month.colour, seconds=postgres.merge_timeout)
        connection.execute(CREATE_DUPLICATES)

        def waits_for() -> tuple[str, list[int], bool]:
            old = attached(connection, month.colour).get(month.filename)
            parent = connection.execute("select to_regclass(%s)::oid::int8", [parent_name(month.colour)]).fetchone()
            kept = "its older version stays loaded" if old else "it stays staged"
            what = f"{month} could not be attached to {parent_name(month.colour)} ({kept})"
            return what, [*(parent or ()), *([old.oid] if old else [])], old is not None

        record, replaced, changed = retry_while_locked(
            connection, lambda: _merge_once(connection, month), seconds=postgres.merge_timeout, waits_for=waits_for
        )
        records = records_of(attached(connection, month.colour))
    return MergeResult(
        record=record,
        changed=changed,
        replaced=replaced,
        rows_of_colour=rows_in_tables(records.values()),
        needs_reload=skipped_for_another_version(records, month.filename, record.sha256),
    )


def _merge_once(connection: psycopg.Connection, month: TripMonth) -> tuple[LoadRecord, LoadRecord | None, bool]:
    # Staging first: a partition that another run attaches between the two queries is found by the second.
    staging = _find_staged(connection, month)
    partitions = attached(connection, month.colour)
    if staging is None:
        return _loaded_record(connection, partitions, month), None, False
    # Step 5
    connection.execute("truncate pg_temp.duplicates")
    find_duplicates(connection, staging, partitions)
    with connection.transaction():
        # Step 6
        connection.execute(sql.SQL("set local lock_timeout = {}").format(MERGE_LOCK_TIMEOUT))
        connection.execute(
            sql.SQL("lock table only {} in share update exclusive mode").format(parent_table(month.colour))
        )
        _lock_staging(connection, staging)
        # Step 7
        now = attached(connection, month.colour)
        records, old = records_of(now), now.get(month.filename)
        if is_loaded(connection, now, month, staging.record.sha256):
            connection.execute(sql.SQL("drop table {}").format(staging_table(month)))
            return records[month.filename], None, False
        find_duplicates_again(connection, staging, partitions, now)
        # Step 8
        skipped = count_duplicates(connection, staging)
        record = _complete(staging.record, skipped, records)
        if old and old.record and _is_same(record, old.record, month) and is_intact(connection, old):
            connection.execute(sql.SQL("drop table {}").format(staging_table(month)))
            return old.record, None, False
        _add_columns_of_parent(connection, month)
        if skipped:
            remove_duplicates(connection, month)
        # Steps 9 and 10
        connection.execute(record_on(staging_table(month), record))
        _swap(connection, month, old)
    return record, records.get(month.filename), True


def _find_staged(connection: psycopg.Connection, month: TripMonth) -> Staged | None:
    oid, record = staged(connection, month)
    return Staged(month, oid, record) if record else None


def _lock_staging(connection: psycopg.Connection, staging: Staged) -> None:
    """Lock the staging table. Raise TableReplacedError if another run replaced it since it was found."""
    try:
        connection.execute(sql.SQL("lock table {}").format(staging_table(staging.month)))
    except psycopg.errors.UndefinedTable:
        raise TableReplacedError from None
    if _find_staged(connection, staging.month) != staging:
        raise TableReplacedError


def _loaded_record(connection: psycopg.Connection, partitions: Mapping[str, Partition], month: TripMonth) -> LoadRecord:
    """Return the record of a month with nothing staged. Raise NotStaged if it is not loaded, or not intact."""
    record = records_of(partitions).get(month.filename)
    if record and is_loaded(connection, partitions, month, record.sha256):
        return record
    if attached(connection, month.colour) != partitions:
        # Another run attached another version while the rows were counted.
        raise TableReplacedError
    raise not_staged(month)


def _is_same(record: LoadRecord, loaded: LoadRecord, month: TripMonth) -> bool:
    """Return whether the new record describes the same rows as the loaded one."""
    return loaded.skipped == record.skipped and is_current(
        {month.filename: replace(loaded, skipped={})}, month, record.sha256
    )


def _complete(record: LoadRecord, skipped: Counter[str], records: Mapping[str, LoadRecord]) -> LoadRecord:
    return replace(
        record,
        skipped={
            name: Skipped(rows, records[name].sha256 if name in records else "") for name, rows in skipped.items()
        },
        loaded_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _add_columns_of_parent(connection: psycopg.Connection, month: TripMonth) -> None:
    """Give the staging table the columns that the parent got after it was created; their values are null."""
    missing = connection.execute(
        "select attname::text, format_type(atttypid, atttypmod) from pg_attribute as of_parent "
        "where attrelid = to_regclass(%(parent)s) and attnum > 0 and not attisdropped and not exists ("
        "select from pg_attribute where attrelid = to_regclass(%(staging)s) and not attisdropped "
        "and attname = of_parent.attname) order by attnum",
        {"parent": parent_name(month.colour), "staging": staging_table(month).as_string(connection)},
    ).fetchall()
    for name, type_name in missing:
        # The catalog's own spelling of a type, which quotes what needs it.
        add = sql.SQL("alter table {} add column {} {}")
        kind = sql.SQL(cast(LiteralString, type_name))
        connection.execute(add.format(staging_table(month), sql.Identifier(name), kind))


def _swap(connection: psycopg.Connection, month: TripMonth, old: Partition | None) -> None:
    """Detach and drop the older version and attach the staging table."""
    parent, partition, staging = parent_table(month.colour), partition_table(month), staging_table(month)
    connection.execute(truncate_trigger(staging, month.filename))
    connection.execute(sql.SQL("set local lock_timeout = {}").format(SWAP_TIMEOUT))
    if old is not None:
        connection.execute(sql.SQL("alter table {} detach partition {}").format(parent, old.table))
        try:
            connection.execute(sql.SQL("drop table {}").format(old.table))
        except psycopg.errors.DependentObjectsStillExist as error:
            raise PermanentError(
                f"The older version of {month} cannot be dropped, because other objects depend on its partition: "
                f"{error.diag.message_detail}. Nothing was changed.",
                f"Drop them, and build on {parent_name(month.colour)} instead, whose partitions may be replaced.",
            ) from None
    try:
        connection.execute(
            sql.SQL("alter table {} rename to {}").format(staging, sql.Identifier(partition_name(month)))
        )
        connection.execute(
            sql.SQL("alter table {} attach partition {} for values in ({})").format(
                parent, partition, sql.Literal(month.filename)
            )
        )
    except _REFUSED as error:
        raise PermanentError(
            f"{month} cannot be attached to {parent_name(month.colour)}: {error.diag.message_primary}"
            f"{f' ({error.diag.message_detail})' if error.diag.message_detail else ''}. Nothing was changed.",
            _REMEDIES.get(type(error), "Undo what was added to the table by hand."),
        ) from error
    connection.execute(
        sql.SQL("delete from {} where filename = %s").format(sql.Identifier(SCHEMA, "changes")), [month.filename]
    )


_REMEDIES: dict[type[psycopg.Error], str] = {
    psycopg.errors.DuplicateTable: "A table of the partition's name is not attached: rename or drop it.",
    psycopg.errors.CheckViolation: "The default partition has rows of this file: delete them, or detach the partition.",
    psycopg.errors.InvalidObjectDefinition: "Detach the partition that was created by hand and overlaps this file's.",
    psycopg.errors.UniqueViolation: "Drop the unique index that was created by hand: rows of the file are equal in it.",
    psycopg.errors.NotNullViolation: "A column that was added to the table by hand must allow nulls.",
}
_REFUSED = (
    *_REMEDIES,
    psycopg.errors.DatatypeMismatch,
    psycopg.errors.InvalidTableDefinition,
    psycopg.errors.WrongObjectType,
)
