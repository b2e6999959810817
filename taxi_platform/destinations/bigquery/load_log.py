"""`taxi_loads`: what is in the merged tables, a row for each file, and one for each colour that merges take turns by.

The rows of a file and its row here change in one transaction. A month is loaded when this table says so, whatever
Dagster's history holds. `table_mark` ties a row to the merged table that it speaks of: that table carries the same
mark as a label, so that rows about a table that was dropped and made anew count for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from taxi_platform.destinations.bigquery.tables import Sql
from taxi_platform.google_cloud.dataset import Warehouse
from taxi_platform.google_cloud.libraries import bigquery
from taxi_platform.trips.columns import Colour
from taxi_platform.trips.load_record import LoadRecord, Skipped

TABLE = "taxi_loads"


@dataclass(frozen=True, kw_only=True)
class Load(LoadRecord):
    """The record of one file in a merged table."""

    filename: str
    days: tuple[date, ...]
    undated: bool


@dataclass(frozen=True)
class Loads:
    """All records of a colour, as they were at one turn; `turn` is None before the first."""

    turn: int | None
    files: dict[str, Load]


def ensure(warehouse: Warehouse) -> None:
    """Makes the table where it is missing."""
    if warehouse.table(warehouse.name(TABLE)) is None:
        table = bigquery.Table(str(warehouse.name(TABLE)), schema=_schema())
        table.description = "What is loaded in the trip tables: a row for each file, and one for each colour."
        warehouse.create(table)


def read(warehouse: Warehouse, colour: Colour, mark: str) -> Loads:
    """The records that speak of the colour's merged table with that mark."""
    rows = warehouse.run(
        Sql(f"SELECT * FROM {warehouse.name(TABLE).sql} WHERE colour = @colour AND table_mark = @table_mark"),
        {"colour": colour.name, "asset": TABLE},
        colour=colour.name,
        table_mark=mark,
    )
    return Loads(_turn(rows), {row["filename"]: _load(row) for row in rows if row["filename"] is not None})


def begin(warehouse: Warehouse, colour: Colour, mark: str) -> None:
    """Adds the colour's own row. Two runs may both add it; the rows then count their turns together."""
    warehouse.run(
        Sql(f"INSERT INTO {warehouse.name(TABLE).sql} (colour, table_mark, turn) VALUES (@colour, @table_mark, 0)"),
        {"colour": colour.name, "asset": TABLE},
        colour=colour.name,
        table_mark=mark,
    )


def _schema() -> list[bigquery.SchemaField]:
    return [
        bigquery.SchemaField("colour", "STRING", description="Taxi colour."),
        bigquery.SchemaField(
            "filename", "STRING", description="The file's uncompressed name; null in the colour's own row."
        ),
        bigquery.SchemaField(
            "turn", "INTEGER", description="In the colour's own row: how many merges there have been."
        ),
        bigquery.SchemaField("table_mark", "STRING", description="Label of the merged table that the row speaks of."),
        bigquery.SchemaField(
            "sha256", "STRING", description="Of the gzip file that the rows come from, in hexadecimal."
        ),
        bigquery.SchemaField("rows_in_file", "INTEGER", description="Rows in the file."),
        bigquery.SchemaField(
            "strays", "INTEGER", description="Rows whose pickup lies outside the file's month, or is empty."
        ),
        bigquery.SchemaField("days", "DATE", mode="REPEATED", description="The days on which the file's trips begin."),
        bigquery.SchemaField("undated", "BOOLEAN", description="Whether the file has trips without a pickup time."),
        bigquery.SchemaField(
            "kept_by",
            "RECORD",
            mode="REPEATED",
            description="Rows that were not added because another file has them, by that file.",
            fields=[
                bigquery.SchemaField("filename", "STRING", description="The file that was loaded first."),
                bigquery.SchemaField("sha256", "STRING", description="Its version then."),
                bigquery.SchemaField("trips", "INTEGER", description="Rows that it keeps."),
            ],
        ),
        bigquery.SchemaField("loaded_at", "TIMESTAMP", description="When the rows were put in place."),
    ]


def _turn(rows: Iterable[Mapping[str, Any]]) -> int | None:
    return max((row["turn"] for row in rows if row["filename"] is None), default=None)


def _load(row: Mapping[str, Any]) -> Load:
    kept = row["kept_by"]
    return Load(
        filename=row["filename"],
        sha256=row["sha256"],
        rows=row["rows_in_file"],
        out_of_month=row["strays"],
        days=tuple(row["days"]),
        undated=row["undated"],
        skipped={each["filename"]: Skipped(each["trips"], each["sha256"] or "") for each in kept},
        loaded_at=row["loaded_at"].isoformat(timespec="seconds"),
    )
