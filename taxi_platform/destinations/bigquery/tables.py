"""Names, schemas and SQL parts of the BigQuery tables, derived from the column registry.

Days are constants in statements, because BigQuery prunes partitions only for constants.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from importlib.resources import files

from taxi_platform.google_cloud.identifiers import Sql, identifier
from taxi_platform.google_cloud.libraries import bigquery
from taxi_platform.trips.columns import FILENAME, UNIQUE_ROW_ID, Colour, Column, Kind
from taxi_platform.trips.partitions import TripMonth

_TYPES = {
    Kind.TEXT: "STRING",
    Kind.TIME: "TIMESTAMP",
    Kind.INTEGER: "INTEGER",
    Kind.CODE: "STRING",
    Kind.NUMBER: "NUMERIC",
}


def external_name(month: TripMonth) -> str:
    """Return the name of the month's external table."""
    return f"{month.colour.table}_{month.suffix}_ext"


def monthly_name(month: TripMonth) -> str:
    """Return the name of the month's own table."""
    return f"{month.colour.table}_{month.suffix}"


def table_columns(colour: Colour) -> tuple[Column, ...]:
    """Return the columns of the monthly and the merged table, in their order."""
    described = ", ".join(column.name for column in colour.short_row_id)
    row_id = replace(
        UNIQUE_ROW_ID, description=f"MD5 of {described}, concatenated as text with an empty string for a null."
    )
    return (row_id, FILENAME, *colour.columns)


def type_of(column: Column) -> str:
    """Return a column's type in the monthly and the merged table."""
    return "BYTES" if column.name == UNIQUE_ROW_ID.name else _TYPES[column.kind]


def schema_fields(colour: Colour) -> list[bigquery.SchemaField]:
    """Return the schema of the monthly and the merged table, with descriptions."""
    return [
        bigquery.SchemaField(column.name, type_of(column), description=column.description)
        for column in table_columns(colour)
    ]


def external_columns(header: Iterable[str], columns: Iterable[Column | None]) -> list[Column]:
    """Return the columns of an external table: an external CSV table is positional, so it follows the file's header.

    Columns that the registry does not have are text, and are not loaded into the other tables.
    """
    return [
        column or Column(f"unknown_{place}", Kind.TEXT, f"Not in the column registry; {name!r} in the file.")
        for place, (name, column) in enumerate(zip(header, columns, strict=True), 1)
    ]


def column_list(columns: Iterable[Column]) -> Sql:
    """Return the columns' names, separated by commas."""
    return Sql(", ".join(identifier(column.name) for column in columns))


def typed_columns(colour: Colour, in_file: Iterable[Column | None]) -> Sql:
    """Return the expressions that read a file's columns: an empty text is a null, and so is a column that it lacks."""
    found = set(in_file)
    return Sql(
        ",\n  ".join(f"{_typed(column, column in found)} AS {identifier(column.name)}" for column in colour.columns)
    )


def _typed(column: Column, in_file: bool) -> str:
    if not in_file:
        return f"CAST(NULL AS {type_of(column)})"
    name = identifier(column.name)
    return f"NULLIF({name}, '')" if column.kind in (Kind.TEXT, Kind.CODE) else name


def row_id_texts(colour: Colour) -> Sql:
    """Return the texts whose concatenation is hashed to the row id."""
    return Sql(", ".join(f"COALESCE(CAST({identifier(column.name)} AS STRING), '')" for column in colour.short_row_id))


def content_of_rows(colour: Colour) -> Sql:
    """Return the aggregate that identifies a set of rows: their number, the sums of the row ids and of the amounts.

    It is JSON, and does not depend on the order of rows. A row id is summed up in two parts of 32 bits, whose sums do
    not overflow.
    """
    halves = (f"SUM(CAST(CONCAT('0x', SUBSTR(TO_HEX({UNIQUE_ROW_ID.name}), {at}, 8)) AS INT64))" for at in (1, 9))
    ids = "CONCAT({}, ' ', {})".format(*(f"CAST({half} AS STRING)" for half in halves))
    amounts = [identifier(column.name) for column in colour.columns if column.kind is Kind.NUMBER]
    sums = "".join(f", CAST(SUM({name}) AS STRING) AS {name}" for name in amounts)
    return Sql(f"TO_JSON_STRING(STRUCT(COUNT(*) AS row_count, {ids} AS {UNIQUE_ROW_ID.name}{sums}))")


def on_days(column: Column, days: Iterable[date], *, undated: bool) -> Sql:
    """Return the condition that a time lies on one of the days or, with `undated`, is null."""
    name = identifier(column.name)
    conditions = [
        f"{name} BETWEEN TIMESTAMP '{first.isoformat()} 00:00:00+00' "
        f"AND TIMESTAMP '{last.isoformat()} 23:59:59.999999+00'"
        for first, last in day_ranges(days)
    ]
    if undated:
        conditions.append(f"{name} IS NULL")
    return Sql(f"({' OR '.join(conditions)})" if conditions else "FALSE")


def in_month(month: TripMonth) -> Sql:
    """Return the condition that a pickup lies inside the month, false for a null."""
    days = [month.start.date() + timedelta(days=n) for n in range((month.end - month.start).days)]
    return Sql(f"COALESCE({on_days(month.colour.pickup, days, undated=False)}, FALSE)")


def day_ranges(days: Iterable[date]) -> list[tuple[date, date]]:
    """Return the days as ranges without a gap: the first and last day of each."""
    ranges: list[tuple[date, date]] = []
    for day in sorted(set(days)):
        if ranges and ranges[-1][1] + timedelta(days=1) == day:
            ranges[-1] = (ranges[-1][0], day)
        else:
            ranges.append((day, day))
    return ranges


def statement(name: str, **parts: Sql) -> Sql:
    """Return the statement in `sql/<name>.sql` with its `{parts}`; its values are query parameters."""
    text = files("taxi_platform.destinations.bigquery.sql").joinpath(f"{name}.sql").read_text("utf-8")
    return Sql(text.format(**parts))
