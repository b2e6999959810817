"""Names and definitions of the tables, derived from the column registry.

`public.<colour>_tripdata` is list-partitioned by `filename`. The partitions, and the tables that become partitions, are
in a schema of their own, so that the list of tables in `public` stays short. Creating what is missing is in `ensure`.
"""

from datetime import datetime, timedelta
from typing import LiteralString

from psycopg import sql

from taxi_platform.trips.columns import Colour, Column, Kind
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
RECORD_CHANGE = "record_change"
"""Name of the trigger on rows, and of the function that both triggers call."""
RECORD_TRUNCATE = "record_truncate"
"""Name of the trigger on TRUNCATE, which each partition has of its own."""


def parent_name(colour: Colour) -> str:
    """Return the name of the table that analysts query."""
    return f"public.{colour.table}"


def parent_table(colour: Colour) -> sql.Identifier:
    """Return the table that analysts query."""
    return sql.Identifier("public", colour.table)


def partition_name(month: TripMonth) -> str:
    """Return the name of the month's partition, without its schema."""
    return f"{month.colour.table}_{month.suffix}"


def partition_table(month: TripMonth) -> sql.Identifier:
    """Return the month's partition."""
    return sql.Identifier(SCHEMA, partition_name(month))


def staging_name(month: TripMonth) -> str:
    """Return the name of the month's staging table, without its schema."""
    return f"{partition_name(month)}_staging"


def staging_table(month: TripMonth) -> sql.Identifier:
    """Return the month's staging table: its rows, complete and counted, before the merge."""
    return sql.Identifier(SCHEMA, staging_name(month))


def name_of(column: Column) -> sql.Identifier:
    """Return the column's name in Postgres."""
    return sql.Identifier(column.folded_name)


def definition(column: Column) -> sql.Composed:
    """Return the column's name and type."""
    return sql.SQL("{} {}").format(name_of(column), sql.SQL(TYPES[column.kind]))


def full_type(column: Column) -> str:
    """Return the column's type as the catalog spells it."""
    name = TYPES[column.kind]
    return "timestamp without time zone" if name == "timestamp" else name


def row_id_expression(month: TripMonth) -> sql.Composed:
    """Return the MD5 that is a row's unique_row_id, in a form that a generated column allows."""
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
    """Return the text form of a time without `timestamp::text`, which depends on DateStyle.

    `time::text` depends on nothing, and the month's days are literals. Only a time outside the month needs the
    function, which costs the server more.
    """
    days = [month.start + timedelta(days=day) for day in range((month.end - month.start).days + 1)]
    return sql.SQL("coalesce({days}[{at}::date - {before}] || {at}::time::text, {function}({at}))").format(
        days=sql.SQL("({}::text[])").format(sql.Literal([f"{day:%Y-%m-%d} " for day in days])),
        at=name_of(column),
        before=sql.SQL("{}::date").format(sql.Literal(f"{month.start - timedelta(days=1):%Y-%m-%d}")),
        function=TIME_TEXT,
    )


def is_out_of_month(month: TripMonth | None, pickup: Column) -> sql.Composable:
    """Return the condition of an out-of-month row. Without a month every row counts as one."""
    if month is None:
        return sql.SQL("true")
    return sql.SQL("{at} is null or {at} < {start} or {at} >= {end}").format(
        at=name_of(pickup), start=timestamp(month.start), end=timestamp(month.end)
    )


def timestamp(moment: datetime) -> sql.Composed:
    """Return the moment as a literal."""
    return sql.SQL("{}::timestamp").format(sql.Literal(str(moment)))
