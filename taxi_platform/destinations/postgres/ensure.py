"""Create the tables, triggers and views that are missing, and add columns to tables of an earlier version.

No row is read or rewritten. A table that differs by more than missing columns is refused and left as it is.
"""

from collections.abc import Iterator, Mapping

import psycopg
from psycopg import sql

from taxi_platform.destinations.postgres.catalog import attached, records_of
from taxi_platform.destinations.postgres.locks import SWAP_TIMEOUT, TableReplacedError, retry_while_locked
from taxi_platform.destinations.postgres.sql import statement
from taxi_platform.destinations.postgres.tables import (
    RECORD_CHANGE,
    RECORD_TRUNCATE,
    SCHEMA,
    definition,
    full_type,
    name_of,
    parent_name,
    parent_table,
)
from taxi_platform.errors import ForeignTable
from taxi_platform.trips.columns import FILENAME, UNIQUE_ROW_ID, Colour, Column

DOCS = "docs/from-kestra.md#a-table-that-the-flow-has-filled"


def ensure_tables(connection: psycopg.Connection, colour: Colour, *, seconds: float = 60) -> None:
    """Create what is missing of a colour's table and of what all colours share. Step 1 in docs/architecture.md.

    Raise ForeignTable if a table of that name was not created by the platform, and TableBusy if its readers block a
    change for `seconds`.
    """
    if not list(_missing(connection, colour)):
        return

    def create() -> None:
        with connection.transaction():
            # Several first runs may start at once, and `create ... if not exists` alone lets them collide.
            connection.execute("select pg_advisory_xact_lock(hashtextextended('taxi_platform tables', 0))")
            connection.execute(sql.SQL("set local lock_timeout = {}").format(SWAP_TIMEOUT))
            try:
                for command in _missing(connection, colour):
                    connection.execute(command)
            except psycopg.errors.UndefinedTable as error:
                raise TableReplacedError from error

    def waits_for() -> tuple[str, list[int], bool]:
        tables = [partition.oid for partition in attached(connection, colour).values()]
        parent = connection.execute("select to_regclass(%s)::oid::int8", [parent_name(colour)]).fetchone()
        return f"{parent_name(colour)} could not be altered", [*tables, *(parent or ())], True

    retry_while_locked(connection, create, seconds=seconds, waits_for=waits_for)


def _missing(connection: psycopg.Connection, colour: Colour) -> Iterator[sql.Composed]:
    """Yield the statements that create what is missing, each computed when the ones before have run."""
    schema = sql.Identifier(SCHEMA)
    existing = {name for (name,) in connection.execute(statement("existing").format(), {"schema": SCHEMA}).fetchall()}
    if SCHEMA not in existing:
        yield sql.SQL("create schema {}").format(schema)
    for name in ("time_text", "changes", RECORD_CHANGE, "load_record", "taxi_loads"):
        if name not in existing:
            yield statement(name).format(schema=schema)
    columns = _columns_of_parent(connection, colour)
    if columns is None:
        yield from create_parent(colour)
    else:
        yield from _missing_columns(colour, columns)
    yield from _missing_triggers(connection, colour)


def _columns_of_parent(connection: psycopg.Connection, colour: Colour) -> dict[str, str] | None:
    """Return the types of the table's columns by name, None if it does not exist. Raise ForeignTable."""
    found = connection.execute(
        "select relkind::text, pg_get_partkeydef(oid) from pg_class where oid = to_regclass(%s)", [parent_name(colour)]
    ).fetchone()
    if found is None:
        return None
    kind, key = found
    columns = dict(
        connection.execute(
            "select attname::text, format_type(atttypid, null) from pg_attribute "
            "where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped",
            [parent_name(colour)],
        ).fetchall()
    )
    if kind == "r" and columns.keys() >= {column.folded_name for column in colour.table_columns if not column.optional}:
        raise ForeignTable(
            f"{parent_name(colour)} is a plain table, as the Kestra flow creates it. Nothing was changed.",
            f"Convert it with the statements in {DOCS}; they keep its rows.",
        )
    differing = [
        f"{column.folded_name} is {columns[column.folded_name]} and not {full_type(column)}"
        for column in colour.table_columns
        if columns.get(column.folded_name, full_type(column)) != full_type(column)
    ]
    if kind != "p" or key != "LIST (filename)" or not columns.keys() >= {UNIQUE_ROW_ID.name, FILENAME.name}:
        differing.insert(0, "it is not a table with unique_row_id and filename that is partitioned by list of filename")
    if differing:
        raise ForeignTable(
            f"{parent_name(colour)} was not created by the platform: {'; '.join(differing)}. Nothing was changed.",
            "Rename it; the next run creates the table.",
        )
    return columns


def create_parent(colour: Colour) -> Iterator[sql.Composed]:
    """Yield the statements that create the table that analysts query, with its columns described."""
    columns = colour.table_columns
    yield sql.SQL("create table {} ({}) partition by list (filename)").format(
        parent_table(colour), sql.SQL(", ").join(definition(column) for column in columns)
    )
    yield from (_describe(colour, column) for column in columns)


def _describe(colour: Colour, column: Column) -> sql.Composed:
    return sql.SQL("comment on column {}.{} is {}").format(
        parent_table(colour), name_of(column), sql.Literal(column.description)
    )


def _missing_columns(colour: Colour, columns: Mapping[str, str]) -> Iterator[sql.Composed]:
    missing = [column for column in colour.table_columns if column.folded_name not in columns]
    if missing:
        # A change of the catalog alone, in the partitions too: their rows get a null.
        additions = [sql.SQL("add column {}").format(definition(column)) for column in missing]
        yield sql.SQL("alter table {} {}").format(parent_table(colour), sql.SQL(", ").join(additions))
        yield from (_describe(colour, column) for column in missing)


def _missing_triggers(connection: psycopg.Connection, colour: Colour) -> Iterator[sql.Composed]:
    """Yield the statements for triggers that record changes by hand, which tables of an earlier version lack."""
    found = connection.execute(
        "select tgenabled::text from pg_trigger where tgrelid = to_regclass(%s) and tgname = %s",
        [parent_name(colour), RECORD_CHANGE],
    ).fetchone()
    trigger, function = sql.Identifier(RECORD_CHANGE), sql.Identifier(SCHEMA, RECORD_CHANGE)
    if found is None:
        # The server creates a row trigger of a partitioned table in each partition, also when one is attached.
        yield sql.SQL(
            "create trigger {} after insert or update or delete on {} for each row execute function {}()"
        ).format(trigger, parent_table(colour), function)
    elif found[0] not in ("O", "A"):
        # Changes while it was disabled are not known, so all loaded months count as changed.
        yield sql.SQL("alter table {} enable trigger {}").format(parent_table(colour), trigger)
        for filename in records_of(attached(connection, colour)):
            yield sql.SQL(
                "insert into {} values ({}, 'DISABLE TRIGGER', 'a user', now()) on conflict do nothing"
            ).format(sql.Identifier(SCHEMA, "changes"), sql.Literal(filename))
    # Partitions first: one that is attached meanwhile has its trigger already.
    partitions = attached(connection, colour)
    with_trigger = {
        oid
        for (oid,) in connection.execute(
            "select tgrelid from pg_trigger where tgname = %s", [RECORD_TRUNCATE]
        ).fetchall()
    }
    for partition in partitions.values():
        if partition.schema == SCHEMA and partition.oid not in with_trigger:
            yield truncate_trigger(partition.table, partition.filename)


def truncate_trigger(table: sql.Identifier, filename: str) -> sql.Composed:
    """Return the statement for a table's trigger on TRUNCATE, which a partition does not get from its parent."""
    return sql.SQL("create trigger {} after truncate on {} for each statement execute function {}({})").format(
        sql.Identifier(RECORD_TRUNCATE), table, sql.Identifier(SCHEMA, RECORD_CHANGE), sql.Literal(filename)
    )
