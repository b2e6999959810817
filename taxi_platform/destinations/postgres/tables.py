"""Names and definitions of the tables, derived from the registry; and the look at what stands there already.

`public.<colour>_tripdata` is list-partitioned by `filename`. The partitions, and the tables that become partitions,
live in a schema of their own, so that a list of the tables in `public` stays short.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from taxi_platform.destinations.postgres.sql import statement
from taxi_platform.errors import ForeignTable
from taxi_platform.trips.columns import FILENAME, UNIQUE_ROW_ID, Colour, Column, Kind
from taxi_platform.trips.load_record import LoadRecord
from taxi_platform.trips.partitions import TripMonth

SCHEMA = "trip_months"
TYPES: dict[Kind, LiteralString] = {
    Kind.TEXT: "text",
    Kind.TIME: "timestamp",
    Kind.INTEGER: "integer",
    Kind.CODE: "integer",
    Kind.NUMBER: "double precision",
}
TIME_TEXT = sql.Identifier(SCHEMA, "time_text")


def parent_name(colour: Colour) -> str:
    """The table that analysts query."""
    return f"public.{colour.table}"


def parent_table(colour: Colour) -> sql.Identifier:
    return sql.Identifier("public", colour.table)


def partition_name(month: TripMonth) -> str:
    """The month's partition, without its schema."""
    return f"{month.colour.table}_{month.suffix}"


def partition_table(month: TripMonth) -> sql.Identifier:
    return sql.Identifier(SCHEMA, partition_name(month))


def staging_name(month: TripMonth) -> str:
    """The month's rows, whole and counted, before they are put in place; without its schema."""
    return f"{partition_name(month)}_staging"


def staging_table(month: TripMonth) -> sql.Identifier:
    return sql.Identifier(SCHEMA, staging_name(month))


def table_columns(colour: Colour) -> list[Column]:
    """The columns of `<colour>_tripdata`, in order."""
    return [UNIQUE_ROW_ID, FILENAME, *colour.columns]


def name_of(column: Column) -> sql.Identifier:
    return sql.Identifier(column.folded_name)


def definition(column: Column) -> sql.Composed:
    return sql.SQL("{} {}").format(name_of(column), sql.SQL(TYPES[column.kind]))


def row_id_expression(month: TripMonth) -> sql.Composed:
    """The MD5 that makes a unique_row_id, in a form that a generated column may have."""
    parts = []
    for column in month.colour.row_id:
        match column.kind:
            case Kind.TEXT:
                text = sql.SQL("{}").format(name_of(column))
            case Kind.TIME:
                text = _time_text(month, column)
            case _:
                text = sql.SQL("{}::text").format(name_of(column))
        parts.append(sql.SQL("coalesce({}, '')").format(text))
    return sql.SQL("md5({})").format(sql.SQL(" || ").join(parts))


def _time_text(month: TripMonth, column: Column) -> sql.Composed:
    """A time's text form. `timestamp::text` depends on DateStyle, so a generated column may not have it.

    `time::text` depends on nothing, and the month's days stand here as text. Only a time outside the month needs the
    function, which costs the server more.
    """
    days = [month.start + timedelta(days=day) for day in range((month.end - month.start).days + 1)]
    return sql.SQL("coalesce({days}[{at}::date - {before}] || {at}::time::text, {function}({at}))").format(
        days=sql.SQL("({}::text[])").format(sql.Literal([f"{day:%Y-%m-%d} " for day in days])),
        at=name_of(column),
        before=sql.SQL("{}::date").format(sql.Literal(f"{month.start - timedelta(days=1):%Y-%m-%d}")),
        function=TIME_TEXT,
    )


def is_stray(month: TripMonth | None, pickup: Column) -> sql.Composable:
    """The predicate of a row that lies outside its file's month. Without a month every row may lie anywhere."""
    if month is None:
        return sql.SQL("true")
    at = name_of(pickup)
    return sql.SQL("{at} is null or {at} < {start} or {at} >= {end}").format(
        at=at, start=timestamp(month.start), end=timestamp(month.end)
    )


def timestamp(moment: object) -> sql.Composed:
    return sql.SQL("{}::timestamp").format(sql.Literal(str(moment)))


@dataclass(frozen=True)
class Partition:
    """An attached partition as the catalog has it."""

    oid: int
    schema: str
    relname: str
    bound: str
    comment: str | None

    @property
    def filename(self) -> str:
        """The file whose rows it holds; for a bound that is not ours, the bound's text."""
        return self.bound.removeprefix("FOR VALUES IN ('").removesuffix("')")

    @property
    def record(self) -> LoadRecord | None:
        return LoadRecord.from_json(self.comment)

    @property
    def table(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.relname)


def attached(connection: psycopg.Connection, colour: Colour) -> dict[str, Partition]:
    """The partitions of a colour's table by file name; empty when there is no table."""
    query = statement("partitions").format()
    with connection.cursor(row_factory=class_row(Partition)) as cursor:
        found = cursor.execute(query, {"parent": parent_name(colour)}).fetchall()
    if not all(partition.bound for partition in found):
        # One was exchanged while the catalog was read: the server has no text for the bound of a table that is gone.
        return attached(connection, colour)
    return {partition.filename: partition for partition in found}


def records_of(partitions: dict[str, Partition]) -> dict[str, LoadRecord]:
    """What the partitions say of themselves, by file name."""
    return {name: partition.record for name, partition in partitions.items() if partition.record}


def record_on(table: sql.Identifier, record: LoadRecord) -> sql.Composed:
    """The statement that stores the record as the table's comment; DDL cannot bind values."""
    return sql.SQL("comment on table {} is {}").format(table, sql.Literal(record.to_json()))


def ensure_tables(connection: psycopg.Connection, colour: Colour) -> None:
    """Makes the schema, the function and the colour's table where they are missing.

    Raises ForeignTable when a table of that name is not ours; it is left as it is.
    """
    if _stands(connection, colour):
        return
    with connection.transaction():
        # Several first runs may come at once, and `create ... if not exists` alone lets them collide.
        connection.execute("select pg_advisory_xact_lock(hashtextextended('taxi_platform tables', 0))")
        if not _stands(connection, colour):
            for command in create_statements(connection, colour):
                connection.execute(command)


def _stands(connection: psycopg.Connection, colour: Colour) -> bool:
    found = connection.execute(
        "select relkind::text, pg_get_partkeydef(oid) from pg_class where oid = to_regclass(%s)", [parent_name(colour)]
    ).fetchone()
    if found is None:
        return False
    kind, key = found
    columns = connection.execute(
        "select attname::text, format_type(atttypid, null) from pg_attribute "
        "where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped order by attnum",
        [parent_name(colour)],
    ).fetchall()
    if kind == "r" and {name for name, _ in columns} >= {column.folded_name for column in table_columns(colour)}:
        raise _left_by_the_flow(connection, colour)
    if kind != "p":
        raise ForeignTable(
            f"{parent_name(colour)} is there, and is not ours: no table, or one with other columns. "
            "Nothing was changed.",
            "A rerun does not help. Rename it, and the next run makes the table.",
        )
    ours = [(column.folded_name, _full_name(TYPES[column.kind])) for column in table_columns(colour)]
    if key != "LIST (filename)" or columns != ours:
        raise ForeignTable(
            f"{parent_name(colour)} is a partitioned table with another key or other columns than ours.",
            "A rerun does not help. Rename it, and the next run makes a new one; nothing was changed.",
        )
    return connection.execute("select to_regproc(%s) is not null", [f"{SCHEMA}.time_text"]).fetchone() == (True,)


def _full_name(type_name: str) -> str:
    """A type's name as the catalog spells it."""
    return "timestamp without time zone" if type_name == "timestamp" else type_name


def create_statements(connection: psycopg.Connection, colour: Colour) -> list[sql.Composed]:
    """What makes a colour's table where nothing stands."""
    commands = [sql.SQL("create schema if not exists {}").format(sql.Identifier(SCHEMA))]
    if connection.execute("select to_regproc(%s)", [f"{SCHEMA}.time_text"]).fetchone() == (None,):
        commands.append(statement("time_text").format(function=TIME_TEXT))
    if connection.execute("select to_regclass(%s)", [parent_name(colour)]).fetchone() == (None,):
        commands += parent_statements(colour)
    return commands


def parent_statements(colour: Colour) -> list[sql.Composed]:
    """The table that analysts query, with its columns described."""
    create = sql.SQL("create table {} ({}) partition by list (filename)").format(
        parent_table(colour), sql.SQL(", ").join(definition(column) for column in table_columns(colour))
    )
    describe = [
        sql.SQL("comment on column {}.{} is {}").format(
            parent_table(colour), name_of(column), sql.Literal(column.description)
        )
        for column in table_columns(colour)
    ]
    return [create, *describe]


def _left_by_the_flow(connection: psycopg.Connection, colour: Colour) -> ForeignTable:
    """The refusal of a plain table that has our columns, with the statements that turn it into ours."""
    kept = sql.Identifier("public", f"{colour.table}_before")
    rename = sql.SQL("alter table {} rename to {}").format(
        parent_table(colour), sql.Identifier(f"{colour.table}_before")
    )
    names = sql.SQL(", ").join(name_of(column) for column in table_columns(colour))
    commands = [
        sql.SQL("begin"),
        rename,
        sql.SQL("create schema if not exists {}").format(sql.Identifier(SCHEMA)),
        parent_statements(colour)[0],
    ]
    files = connection.execute(
        sql.SQL("select distinct filename from {} order by 1").format(parent_table(colour))
    ).fetchall()
    for (filename,) in files:
        month = TripMonth.from_file(colour, filename or "")
        if month is None:
            continue
        commands += [
            sql.SQL("create table {} partition of {} for values in ({})").format(
                partition_table(month), parent_table(colour), sql.Literal(filename)
            ),
            sql.SQL("insert into {} ({names}) select {names} from {} where filename = {}").format(
                parent_table(colour), kept, sql.Literal(filename), names=names
            ),
        ]
    commands.append(sql.SQL("commit"))
    script = "".join(f"{command.as_string(connection)};\n" for command in commands)
    return ForeignTable(
        f"{parent_name(colour)} is a plain table, as the Kestra flow leaves it. Nothing was changed.",
        "A rerun does not help until it is a partitioned table. These statements turn it into ours and keep its rows; "
        f"a month is loaded from its file the next time it is run, and the old table stays as "
        f"{colour.table}_before:\n\n{script}",
    )
