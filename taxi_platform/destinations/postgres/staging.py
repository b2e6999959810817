"""Loads a file's rows into the month's staging table, which the merge attaches. Steps 2 to 4 in docs/architecture.md.

Rows are written once: the table's `unique_row_id` is a generated column while they are copied. Only a complete and
counted table gets the month's staging name; the next run drops the tables of killed runs.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql

from taxi_platform.destinations.postgres.catalog import attached, is_loaded, records_of
from taxi_platform.destinations.postgres.copy_rows import copy_rows, extra_columns
from taxi_platform.destinations.postgres.ensure import ensure_tables
from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.destinations.postgres.tables import (
    SCHEMA,
    definition,
    is_out_of_month,
    name_of,
    parent_name,
    partition_name,
    row_id_expression,
    staging_name,
    staging_table,
)
from taxi_platform.errors import BadFile, NotStaged
from taxi_platform.source.raw_file import RawFile
from taxi_platform.trips.columns import FILENAME, UNIQUE_ROW_ID, Colour
from taxi_platform.trips.load_record import LoadRecord
from taxi_platform.trips.partitions import TripMonth


@dataclass(frozen=True)
class StagedMonth:
    """A month whose rows are in its staging table, or loaded from the same file already."""

    month: TripMonth
    record: LoadRecord
    is_loaded: bool


def stage(postgres: Postgres, file: RawFile) -> StagedMonth:
    """Load the file's rows into the month's staging table.

    A month that is loaded from this file, with nothing changed since, is not staged. A table that an earlier run staged
    from the same file is used as it is. Raise BadFile for a value that Postgres rejects, with its line; then nothing is
    staged and what was staged before stays.
    """
    month = file.month
    with postgres.connect(f"stages {month}") as connection:
        ensure_tables(connection, month.colour, seconds=postgres.merge_timeout)
        drop_orphans(connection)
        partitions = attached(connection, month.colour)
        if is_loaded(connection, partitions, month, file.sha256):
            connection.execute(sql.SQL("drop table if exists {}").format(staging_table(month)))
            return StagedMonth(month, records_of(partitions)[month.filename], is_loaded=True)
        _, before = staged(connection, month)
        if before and before.sha256 == file.sha256 and before.columns == _recorded_columns(month.colour):
            return StagedMonth(month, before, is_loaded=False)
        with _loading_table(connection, file) as name:
            rows = copy_rows(postgres, file, sql.Identifier(SCHEMA, name))
            if rows != file.rows:
                raise BadFile(
                    f"{rows:,} rows arrived in Postgres, {file.rows:,} were counted during validation",
                    "Nothing was staged. Please report the file.",
                    filename=month.filename,
                )
            return StagedMonth(month, _finish(connection, file, name), is_loaded=False)


def staged(connection: psycopg.Connection, month: TripMonth) -> tuple[int, LoadRecord | None]:
    """Return the oid and the record of the month's staging table, or (0, None) if nothing is staged."""
    found = connection.execute(
        "select oid, obj_description(oid, 'pg_class') from pg_class where relnamespace = to_regnamespace(%s) "
        "and relname = %s",
        [SCHEMA, staging_name(month)],
    ).fetchone()
    return (found[0], LoadRecord.from_json(found[1])) if found else (0, None)


def find_staged(postgres: Postgres, month: TripMonth) -> StagedMonth:
    """Return the month as `stage` left it. Raise NotStaged if it is neither staged nor loaded."""
    with postgres.connect(f"looks up {month}") as connection:
        _, record = staged(connection, month)
        if record is not None:
            return StagedMonth(month, record, is_loaded=False)
        partition = attached(connection, month.colour).get(month.filename)
    if partition is None or partition.record is None:
        raise not_staged(month)
    return StagedMonth(month, partition.record, is_loaded=True)


def not_staged(month: TripMonth) -> NotStaged:
    """Return the error for a month that is neither staged nor completely loaded."""
    return NotStaged(
        f"Nothing is staged for {month}, and {parent_name(month.colour)} does not have all of its rows unchanged.",
        f"Materialize it with its upstream assets: --select '+key:postgres_tripdata' --partition '{month}'.",
    )


def drop_orphans(connection: psycopg.Connection) -> None:
    """Drop the loading tables of killed runs: those whose advisory lock is free."""
    tables = connection.execute(
        "select relname from pg_class where relnamespace = to_regnamespace(%s) and relkind = 'r' "
        "and relname ~ '_loading_[0-9a-f]{8}$'",
        [SCHEMA],
    ).fetchall()
    for (name,) in tables:
        if connection.execute("select pg_try_advisory_lock(hashtextextended(%s, 0))", [name]).fetchone() == (True,):
            connection.execute(sql.SQL("drop table if exists {}").format(sql.Identifier(SCHEMA, name)))
            connection.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", [name])


def loading_name(month: TripMonth) -> str:
    """Return a new name for a table of this run's own."""
    return f"{partition_name(month)}_loading_{secrets.token_hex(4)}"


@contextmanager
def _loading_table(connection: psycopg.Connection, file: RawFile) -> Iterator[str]:
    """Create a table of this run's own and yield its name; drop it if the block fails.

    The session's advisory lock marks the table as in use.
    """
    name = loading_name(file.month)
    table = sql.Identifier(SCHEMA, name)
    connection.execute("select pg_advisory_lock(hashtextextended(%s, 0))", [name])
    connection.execute(_create_statement(file, table))
    try:
        # Out-of-month rows are few: filling their index during the copy costs less than reading the table for it later.
        index_out_of_month(connection, file.month, name)
        yield name
    except BaseException:
        connection.execute(sql.SQL("drop table if exists {}").format(table))
        raise
    finally:
        connection.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", [name])


STORAGE = sql.SQL("with (autovacuum_vacuum_insert_threshold = -1)")
"""Rows of a month are never changed, so there is nothing to vacuum. Without this the server reads each table after it
was filled, while the next one is being loaded. It analyzes it all the same."""


def _create_statement(file: RawFile, table: sql.Identifier) -> sql.Composed:
    colour = file.month.colour
    filename = sql.Literal(file.month.filename)
    columns = [
        sql.SQL("{} generated always as ({}) stored").format(definition(UNIQUE_ROW_ID), row_id_expression(file.month)),
        sql.SQL("{} default {}").format(definition(FILENAME), filename),
        *[definition(column) for column in colour.columns],
        *[sql.SQL("{} text").format(sql.Identifier(name)) for name in extra_columns(file)],
        # With this constraint ATTACH need not read the rows.
        sql.SQL("constraint of_this_file check (filename is not null and filename = {})").format(filename),
    ]
    return sql.SQL("create table {} ({}) {}").format(table, sql.SQL(", ").join(columns), STORAGE)


def index_out_of_month(connection: psycopg.Connection, month: TripMonth, name: str) -> None:
    """Create the partial index on a month's out-of-month rows."""
    # Indexes are named here: two runs could choose the same name, of which Postgres keeps 63 bytes.
    pickup = month.colour.pickup
    create = sql.SQL("create index {} on {} ({}, unique_row_id) where {}").format(
        sql.Identifier(f"{name}_out_of_month"),
        sql.Identifier(SCHEMA, name),
        name_of(pickup),
        is_out_of_month(month, pickup),
    )
    connection.execute(create)


def index_pickups(connection: psycopg.Connection, month: TripMonth, name: str) -> None:
    """Create the BRIN index on a month's pickups."""
    create = sql.SQL("create index {} on {} using brin ({})").format(
        sql.Identifier(f"{name}_pickups"), sql.Identifier(SCHEMA, name), name_of(month.colour.pickup)
    )
    connection.execute(create)


def _recorded_columns(colour: Colour) -> tuple[str, ...]:
    return tuple(column.name for column in colour.table_columns)


def record_on(table: sql.Identifier, record: LoadRecord) -> sql.Composed:
    """Return the statement that stores the record as the table's comment; DDL cannot bind values."""
    return sql.SQL("comment on table {} is {}").format(table, sql.Literal(record.to_json()))


def _finish(connection: psycopg.Connection, file: RawFile, name: str) -> LoadRecord:
    """Prepare the loading table for ATTACH and give it its record and the month's staging name."""
    month = file.month
    table, out_of_month = sql.Identifier(SCHEMA, name), is_out_of_month(month, month.colour.pickup)
    with connection.transaction():
        # Version 15 attaches a table whose column is still generated, and then cannot drop the expression.
        alterations = [
            sql.SQL("alter column unique_row_id drop expression"),
            sql.SQL("alter column filename drop default"),
            *[sql.SQL("drop column {}").format(sql.Identifier(name)) for name in extra_columns(file)],
        ]
        connection.execute(sql.SQL("alter table {} {}").format(table, sql.SQL(", ").join(alterations)))
        index_pickups(connection, month, name)
        # Without statistics for a new table the planner would read it whole instead of the partial index.
        connection.execute("set local enable_seqscan = off")
        counted = connection.execute(sql.SQL("select count(*) from {} where {}").format(table, out_of_month)).fetchone()
        record = LoadRecord(
            sha256=file.sha256,
            rows=file.rows,
            out_of_month=counted[0] if counted else 0,
            columns=_recorded_columns(month.colour),
        )
        connection.execute(record_on(table, record))
        # Two runs of one month may rename their tables at once.
        connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [staging_name(month)])
        connection.execute(sql.SQL("drop table if exists {}").format(staging_table(month)))
        connection.execute(sql.SQL("alter table {} rename to {}").format(table, sql.Identifier(staging_name(month))))
    return record
