"""Dagster's column schema, as the web interface shows it, derived from the column registry."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import dagster as dg

from taxi_platform.trips.columns import COLOURS, Column


def schema_of(columns: Iterable[Column], type_of: Callable[[Column], str]) -> dg.TableSchema:
    """Return the schema with each column's description and the type that `type_of` returns for it."""
    return dg.TableSchema(
        columns=[dg.TableColumn(column.name, type_of(column), column.description) for column in columns]
    )


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
