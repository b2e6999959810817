"""Names and schemas of the BigQuery tables, derived from the registry, and SQL text made of checked parts.

Identifiers cannot be query parameters, so each one is checked here before it becomes a part of a statement. Days
stand in statements as constants made of dates: BigQuery leaves out partitions only for constants.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from importlib.resources import files
from typing import NewType

from taxi_platform.errors import BadSetting
from taxi_platform.google_cloud.libraries import bigquery
from taxi_platform.trips.columns import FILENAME, UNIQUE_ROW_ID, Colour, Column, Kind
from taxi_platform.trips.partitions import TripMonth

Sql = NewType("Sql", str)
"""Text that may stand in a statement: made only by the functions here."""

_TYPES = {
    Kind.TEXT: "STRING",
    Kind.TIME: "TIMESTAMP",
    Kind.INTEGER: "INTEGER",
    Kind.CODE: "STRING",
    Kind.NUMBER: "NUMERIC",
}

_PROJECT = re.compile(r"[a-z][a-z0-9.:-]{0,61}[a-z0-9]")
_DATASET = re.compile(r"[A-Za-z0-9_]{1,1024}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,299}")


def check_project(name: str) -> str:
    """The project's id, if it has the form of one."""
    if not _PROJECT.fullmatch(name):
        raise BadSetting(
            f"GCP_PROJECT_ID is not a project's id: {name!r}",
            "A rerun does not help. The id has lower case letters, digits and hyphens; the console shows it.",
        )
    return name


def check_dataset(name: str) -> str:
    """The dataset's name, if BigQuery accepts it."""
    if not _DATASET.fullmatch(name):
        raise BadSetting(
            f"GCP_DATASET is not a name for a dataset: {name!r}",
            "A rerun does not help. BigQuery allows letters, digits and underscores, and no hyphen: "
            f"for example {re.sub(r'[^A-Za-z0-9_]+', '_', name) or 'zoomcamp'}.",
        )
    return name


@dataclass(frozen=True)
class TableName:
    """A table's full name."""

    project: str
    dataset: str
    table: str

    def __str__(self) -> str:
        return f"{self.project}.{self.dataset}.{self.table}"

    @property
    def sql(self) -> Sql:
        check_project(self.project)
        check_dataset(self.dataset)
        if not _NAME.fullmatch(self.table):
            raise ValueError(f"not a table's name: {self.table!r}")
        return Sql(f"`{self}`")


def external_name(month: TripMonth) -> str:
    return f"{month.colour.table}_{month.suffix}_ext"


def monthly_name(month: TripMonth) -> str:
    return f"{month.colour.table}_{month.suffix}"


def merged_name(colour: Colour) -> str:
    return colour.table


def table_columns(colour: Colour) -> tuple[Column, ...]:
    """All columns of the monthly and the merged table, in their order."""
    described = ", ".join(column.name for column in row_id_columns(colour))
    row_id = replace(
        UNIQUE_ROW_ID, description=f"MD5 of {described}, put together as text; an empty string for a null."
    )
    return (row_id, FILENAME, *colour.columns)


def row_id_columns(colour: Colour) -> tuple[Column, ...]:
    """The columns that BigQuery's row id is made of."""
    return colour.short_row_id


def type_of(column: Column) -> str:
    """A column's type in the monthly and the merged table."""
    return "BYTES" if column.name == UNIQUE_ROW_ID.name else _TYPES[column.kind]


def schema_fields(colour: Colour) -> list[bigquery.SchemaField]:
    """The schema of the monthly and the merged table, with descriptions."""
    return [
        bigquery.SchemaField(column.name, type_of(column), description=column.description)
        for column in table_columns(colour)
    ]


def external_fields(header: Iterable[str], columns: Iterable[Column | None]) -> list[bigquery.SchemaField]:
    """The external table's schema: an external CSV table is positional, so it follows the file's own header.

    Columns that the registry does not know are text, and are left out of the tables made from it.
    """
    return [
        bigquery.SchemaField(column.name, type_of(column), description=column.description)
        if column
        else bigquery.SchemaField(
            f"unknown_{place}", "STRING", description=f"Not known to the registry; {name!r} in the file."
        )
        for place, (name, column) in enumerate(zip(header, columns, strict=True), 1)
    ]


def column_sql(column: Column) -> Sql:
    if not _NAME.fullmatch(column.name):
        raise ValueError(f"not a column's name: {column.name!r}")
    return Sql(column.name)


def column_list(columns: Iterable[Column]) -> Sql:
    return Sql(", ".join(column_sql(column) for column in columns))


def typed_columns(colour: Colour) -> Sql:
    """The file's columns as the external table gives them, an empty text made a null."""
    return Sql(
        ",\n  ".join(
            f"NULLIF({column_sql(column)}, '') AS {column_sql(column)}"
            if column.kind in (Kind.TEXT, Kind.CODE)
            else column_sql(column)
            for column in colour.columns
        )
    )


def row_id_texts(colour: Colour) -> Sql:
    """The texts that the row id is the MD5 of, put together without a separator."""
    return Sql(", ".join(f"COALESCE(CAST({column_sql(column)} AS STRING), '')" for column in row_id_columns(colour)))


def on_days(column: Column, days: Iterable[date], *, undated: bool) -> Sql:
    """The condition that a time lies on one of these days, as constants; `undated` also lets nulls in."""
    at = column_sql(column)
    conditions = [
        f"{at} BETWEEN TIMESTAMP '{first.isoformat()} 00:00:00+00' "
        f"AND TIMESTAMP '{last.isoformat()} 23:59:59.999999+00'"
        for first, last in _stretches(days)
    ]
    if undated:
        conditions.append(f"{at} IS NULL")
    return Sql(f"({' OR '.join(conditions)})" if conditions else "FALSE")


def _stretches(days: Iterable[date]) -> list[tuple[date, date]]:
    """The days as stretches without a gap: first and last day of each."""
    stretches: list[tuple[date, date]] = []
    for day in sorted(set(days)):
        if stretches and stretches[-1][1] + timedelta(days=1) == day:
            stretches[-1] = (stretches[-1][0], day)
        else:
            stretches.append((day, day))
    return stretches


def statement(name: str, **parts: Sql) -> Sql:
    """The statement in `sql/<name>.sql` with its `{parts}`; values are query parameters in it."""
    text = files("taxi_platform.destinations.bigquery.sql").joinpath(f"{name}.sql").read_text("utf-8")
    return Sql(text.format(**parts))
