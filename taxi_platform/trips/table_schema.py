"""Dagster's column schema, as the web interface shows it, derived from the column registry."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import dagster as dg

from taxi_platform.trips.columns import COLOURS, UNIQUE_ROW_ID, Colour, Column


def schema_of(columns: Iterable[Column], type_of: Callable[[Column], str], *, folded: bool = False) -> dg.TableSchema:
    """Return the schema with each column's description and type; names are in lower case if they are `folded`."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(column.folded_name if folded else column.name, type_of(column), column.description)
            for column in columns
        ]
    )


def column_metadata(
    schema: dg.TableSchema, colour: Colour, row_id: Iterable[Column], source: dg.AssetKey
) -> dict[str, dg.MetadataValue]:
    """Return the columns of a table as metadata, each with the columns of the asset `source` that it comes from."""
    origins = {column.folded_name: [column] for column in colour.columns} | {UNIQUE_ROW_ID.name: list(row_id)}
    lineage = {
        column.name: [dg.TableColumnDep(source, each.name) for each in origins.get(column.name.lower(), [])]
        for column in schema.columns
    }
    return {
        "dagster/column_schema": dg.MetadataValue.table_schema(schema),
        "dagster/column_lineage": dg.MetadataValue.column_lineage(dg.TableColumnLineage(lineage)),
    }


def union_columns() -> list[Column]:
    """Return the columns of all colours, each once, in the order of their first appearance.

    An asset has one definition for all colours, so the description of a column that only one of them has says so.
    """
    owners: dict[Column, list[str]] = {}
    for colour in COLOURS.values():
        for column in colour.columns:
            owners.setdefault(column, []).append(colour.name)
    return [
        replace(column, description=f"{names[0].capitalize()} only. {column.description}")
        if len(names) == 1
        else column
        for column, names in owners.items()
    ]
