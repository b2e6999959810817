"""Parquet files with the schemas that TLC has published, from the same rows as the sample CSVs."""

import io
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from taxi_platform.trips.columns import Kind
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.support.sample_files import header_of, rows_of

GREEN_LATE = TripMonth.from_key("green|2023-05")
YELLOW_LATE = TripMonth.from_key("yellow|2021-08")

_WHOLE = {"VendorID", "RatecodeID", "PULocationID", "DOLocationID", "passenger_count", "payment_type", "trip_type"}


def table_of(month: TripMonth, count: int = 60, seed: int = 1) -> pa.Table:
    """Return a month's sample rows with the types of 2023: whole numbers with nulls as doubles, times in us."""
    rows = list(zip(*rows_of(month, count, seed), strict=True))
    columns = {}
    for column, texts in zip(month.published_columns, rows, strict=True):
        if column.kind is Kind.TIME:
            columns[column.name] = pa.array([_time(text) for text in texts], pa.timestamp("us"))
        elif column.name in _WHOLE or column.kind is Kind.NUMBER:
            columns[column.name] = pa.array([float(text) if text else None for text in texts], pa.float64())
        else:
            columns[column.name] = pa.array([text or None for text in texts], pa.string())
    return pa.table(columns)


def _time(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def with_types(table: pa.Table, types: Mapping[str, pa.DataType]) -> pa.Table:
    """Return the table with other types for some columns, by name or by `whole`, `number`, `time` and `text`."""
    for name in table.column_names:
        wanted = types.get(name) or types.get(_family(table.schema.field(name)))
        if wanted is not None:
            place = table.schema.get_field_index(name)
            table = table.set_column(place, name, table.column(name).cast(wanted))
    return table


def _family(field: pa.Field) -> str:
    if pa.types.is_timestamp(field.type):
        return "time"
    if pa.types.is_string(field.type):
        return "text"
    return "whole" if field.name in _WHOLE else "number"


def parquet_bytes(table: pa.Table, **options: Any) -> bytes:
    """Return the table as a Parquet file of several row groups, written with these options of `write_table`."""
    target = io.BytesIO()
    pq.write_table(table, target, **{"row_group_size": 25, **options})
    return target.getvalue()


def csv_lines(month: TripMonth, count: int = 60, seed: int = 1) -> list[str]:
    """Return the lines of the same rows in a published CSV, with numbers in their shortest form."""
    whole = {index for index, column in enumerate(month.published_columns) if column.kind is Kind.NUMBER}
    rows = [
        [_shortest(value) if place in whole else value for place, value in enumerate(row)]
        for row in rows_of(month, count, seed)
    ]
    return [",".join(row) for row in [header_of(month), *rows]]


def _shortest(text: str) -> str:
    return repr(float(text)).removesuffix(".0") if text else ""
