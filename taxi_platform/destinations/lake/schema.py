"""The lake's columns as the web interface shows them."""

from collections.abc import Iterable
from dataclasses import replace

import dagster as dg

from taxi_platform.destinations.base import SOURCE
from taxi_platform.destinations.lake.lake_files import table_columns
from taxi_platform.destinations.lake.writer import TYPES
from taxi_platform.trips.columns import FILENAME, UNIQUE_ROW_ID, Colour, Column
from taxi_platform.trips.table_schema import schema_of


def lake_schema(columns: Iterable[Column]) -> dg.TableSchema:
    """Return the columns with their names and types in the lake."""
    folded = [replace(column, name=column.folded_name) for column in columns]
    return schema_of(folded, lambda column: TYPES[column.kind])


def column_metadata(colour: Colour) -> dict[str, dg.MetadataValue]:
    """Return a colour's columns, each with the columns of the published file that it is made of."""
    deps = {column.folded_name: [dg.TableColumnDep(SOURCE, column.name)] for column in colour.columns}
    deps[UNIQUE_ROW_ID.name] = [dg.TableColumnDep(SOURCE, column.name) for column in colour.row_id]
    deps[FILENAME.name] = []
    return {
        "dagster/column_schema": dg.MetadataValue.table_schema(lake_schema(table_columns(colour))),
        "dagster/column_lineage": dg.MetadataValue.column_lineage(dg.TableColumnLineage(deps)),
    }
