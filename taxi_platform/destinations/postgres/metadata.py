"""What the web interface shows of a table in Postgres: its first rows, its columns and where they come from."""

from collections.abc import Iterable
from dataclasses import replace

import dagster as dg
import psycopg
from psycopg import sql

from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.destinations.postgres.tables import TYPES, name_of, table_columns
from taxi_platform.trips.columns import FILENAME, UNIQUE_ROW_ID, Colour, Column
from taxi_platform.trips.table_schema import schema_of

PREVIEW_ROWS = 5


def preview(postgres: Postgres, colour: Colour, table: sql.Identifier) -> dg.TableMetadataValue:
    """Return the table's first rows as text; none if another run has replaced the table."""
    columns = table_columns(colour)
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
    folded = [replace(column, name=column.folded_name) for column in columns]
    return schema_of(folded, lambda column: TYPES[column.kind])


def column_metadata(colour: Colour) -> dict[str, dg.MetadataValue]:
    """Return the columns of a colour's table, each with its source in the published file."""
    source = dg.AssetKey("raw_csv")
    deps = {column.folded_name: [dg.TableColumnDep(source, column.name)] for column in colour.columns}
    deps[UNIQUE_ROW_ID.name] = [dg.TableColumnDep(source, column.name) for column in colour.row_id]
    deps[FILENAME.name] = []
    return {
        "dagster/column_schema": dg.MetadataValue.table_schema(postgres_schema(table_columns(colour))),
        "dagster/column_lineage": dg.MetadataValue.column_lineage(dg.TableColumnLineage(deps)),
    }
