"""The load log, the table `taxi_loads`: a load record per file, and one row per colour that serializes its merges.

A file's rows and its record change in one transaction. A month is loaded if its record is here, whatever Dagster's
history contains. `table_mark` ties a record to the merged table that it describes, which has the same mark as a label,
so that records of a table that was dropped and created again do not count.

Columns of release 0.1 keep their names and are still filled, so that release 0.1 can read the records.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Any

from taxi_platform.google_cloud.dataset import Dataset
from taxi_platform.google_cloud.identifiers import Sql, identifier
from taxi_platform.google_cloud.libraries import bigquery, exceptions
from taxi_platform.trips.columns import Colour
from taxi_platform.trips.load_record import LoadRecord, Skipped

TABLE = "taxi_loads"
_LABELS = {"asset": TABLE}


@dataclass(frozen=True, kw_only=True)
class Load(LoadRecord):
    """The load record of a file in a merged table."""

    filename: str
    table_mark: str
    days: tuple[date, ...]
    """Days of the file's pickups."""
    undated: bool
    """Whether the file has rows without a pickup."""


@dataclass(frozen=True)
class LoadLog:
    """All load records of a colour at one time."""

    merges: int | None
    """Number of merges so far, None if the colour has no row of its own yet."""
    files: Mapping[str, Load]
    """Records by file name."""


def parse(rows: Sequence[Mapping[str, Any]]) -> LoadLog:
    """Return the records in rows of the table, which may have been created by an older release."""
    merges = [row["turn"] for row in rows if row["filename"] is None]
    files = {row["filename"]: _load(row) for row in rows if row["filename"] is not None}
    return LoadLog(max(merges, default=None), files)


def read(dataset: Dataset, colour: Colour, mark: str) -> LoadLog:
    """Return the records of the merged table with that mark; none if the load log does not exist."""
    table = dataset.table_name(TABLE).sql
    try:
        rows = dataset.run(
            Sql(f"SELECT * FROM {table} WHERE colour = @colour AND table_mark = @table_mark"),
            {"colour": colour.name, **_LABELS},
            colour=colour.name,
            table_mark=mark,
        )
    except exceptions.NotFound:
        rows = []
    return parse(rows)


def ensure(dataset: Dataset) -> None:
    """Create the table, or add the columns that a table of an older release lacks."""
    name = dataset.table_name(TABLE)
    found = dataset.get_table(name)
    if found is None:
        table = bigquery.Table(str(name), schema=schema())
        table.description = "Load records of the trip tables: a row per file, and one per colour."
        dataset.create_table(table)
    else:
        add_columns(dataset, found, schema(), _LABELS)


def add_columns(
    dataset: Dataset, table: bigquery.Table, wanted: list[bigquery.SchemaField], labels: Mapping[str, str]
) -> None:
    """Add the columns that a table lacks, at its end. It is a change of metadata, and idempotent."""
    existing = {field.name.lower() for field in table.schema}
    missing = [field for field in wanted if field.name.lower() not in existing]
    if not missing:
        return
    name = dataset.table_name(table.table_id).sql
    for field in missing:
        kind = f"ARRAY<{field.field_type}>" if field.mode == "REPEATED" else field.field_type
        dataset.run(Sql(f"ALTER TABLE {name} ADD COLUMN IF NOT EXISTS {identifier(field.name)} {kind}"), labels)
    # Descriptions are values, so they are written through the API.
    table.schema = [*table.schema, *missing]
    with suppress(exceptions.PreconditionFailed):
        # Another run has just added and described the same columns.
        dataset.update_table(table, ["schema"])


def begin(dataset: Dataset, colour: Colour, mark: str) -> None:
    """Add the colour's own row. If two runs both add it, each merge updates both rows."""
    dataset.run(
        Sql(f"INSERT INTO {dataset.table_name(TABLE).sql} (colour, table_mark, turn) VALUES (@colour, @table_mark, 0)"),
        {"colour": colour.name, **_LABELS},
        colour=colour.name,
        table_mark=mark,
    )


def schema() -> list[bigquery.SchemaField]:
    """Return the columns of the table: those of release 0.1, then those that were added since."""
    field = bigquery.SchemaField
    skipped = [
        field("filename", "STRING", description="The file that has the rows."),
        field("sha256", "STRING", description="Version of that file at the time."),
        field("trips", "INTEGER", description="Number of rows."),
    ]
    return [
        field("colour", "STRING", description="Taxi colour."),
        field("filename", "STRING", description="Uncompressed name of the file; null in the colour's own row."),
        field("turn", "INTEGER", description="In the colour's own row: number of merges so far."),
        field("table_mark", "STRING", description="Label of the merged table that the row describes."),
        field("sha256", "STRING", description="SHA-256 of the gzip file that the rows come from, in hexadecimal."),
        field("rows_in_file", "INTEGER", description="Rows in the file."),
        field("strays", "INTEGER", description="Rows whose pickup lies outside the file's month or is null."),
        field("days", "DATE", mode="REPEATED", description="Days of the file's pickups."),
        field("undated", "BOOLEAN", description="Whether the file has rows without a pickup."),
        field(
            "kept_by",
            "RECORD",
            mode="REPEATED",
            description="Rows that were skipped as duplicates of another file, by that file.",
            fields=skipped,
        ),
        field("loaded_at", "TIMESTAMP", description="When the rows became visible."),
        field("version", "INTEGER", description="Version of the record's form; null in records of release 0.1."),
        field("columns", "STRING", mode="REPEATED", description="Columns of the table when the file was loaded."),
        field("content", "STRING", description="Number of rows, sums of row ids and of amounts, as JSON."),
    ]


def _load(row: Mapping[str, Any]) -> Load:
    return Load(
        filename=row["filename"],
        table_mark=row["table_mark"],
        sha256=row["sha256"],
        rows=row["rows_in_file"],
        out_of_month=row["strays"],
        columns=tuple(row.get("columns") or ()),
        days=tuple(row["days"]),
        undated=row["undated"],
        skipped={each["filename"]: Skipped(each["trips"], each["sha256"] or "") for each in row["kept_by"]},
        content=json.loads(row.get("content") or "{}"),
        loaded_at=row["loaded_at"].isoformat(timespec="seconds"),
        version=row.get("version") or 1,
    )
