"""What the web interface shows of a table in Postgres: its first rows and its columns."""

from collections.abc import Iterable

import dagster as dg
import psycopg
from psycopg import sql

from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.destinations.postgres.tables import TYPES, name_of
from taxi_platform.trips.columns import Colour, Column
from taxi_platform.trips.table_schema import schema_of

PREVIEW_ROWS = 5


def preview(postgres: Postgres, colour: Colour, table: sql.Identifier) -> dg.TableMetadataValue:
    """Return the table's first rows as text; none if another run has replaced the table."""
    columns = colour.table_columns
    names = sql.SQL(", ").join(name_of(column) for column in columns)
    with postgres.connect("previews") as connection:
        try:
            query = sql.SQL("select {} from {} limit {}").format(names, table, PREVIEW_ROWS)
            rows = connection.execute(query).fetchall()
        except psycopg.errors.UndefinedTable:
            rows = []
    records = [
        dg.TableRecord(
            {
                column.folded_name: "" if value is None else str(value)
                for column, value in zip(columns, row, strict=True)
            }
        )
        for row in rows
    ]
    return dg.MetadataValue.table(records, schema=postgres_schema(columns))


def postgres_schema(columns: Iterable[Column]) -> dg.TableSchema:
    """Return the columns with their names and types in Postgres and their descriptions."""
    return schema_of(columns, lambda column: TYPES[column.kind], folded=True)
