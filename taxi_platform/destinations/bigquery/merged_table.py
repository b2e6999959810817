"""The merged table `<colour>_tripdata`: its creation, new columns, and the rows that it has of a file."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from taxi_platform.destinations.bigquery import load_log
from taxi_platform.destinations.bigquery.load_log import Load
from taxi_platform.destinations.bigquery.tables import (
    content_of_rows,
    in_month,
    on_days,
    schema_fields,
    statement,
    table_columns,
    type_of,
)
from taxi_platform.errors import ForeignTable
from taxi_platform.google_cloud.connection import GoogleCloud
from taxi_platform.google_cloud.dataset import Dataset, job_labels
from taxi_platform.google_cloud.identifiers import Sql, identifier
from taxi_platform.google_cloud.libraries import bigquery
from taxi_platform.trips.columns import Colour
from taxi_platform.trips.partitions import TripMonth

MARK_LABEL = "taxi_platform"
ASSET = "bigquery_tripdata"


def loaded_files(dataset: Dataset, colour: Colour) -> Mapping[str, Load]:
    """Return the load records of a colour by file name; create nothing."""
    mark = _mark_of(dataset.get_table(dataset.table_name(colour.table)), colour)
    return {} if mark is None else load_log.read(dataset, colour, mark).files


def loaded_months(cloud: GoogleCloud, colour: Colour) -> dict[TripMonth, Load]:
    """Return the load record of each loaded month of a colour; none if the table or the dataset does not exist.

    Raise GoogleUnavailable if BigQuery does not respond.
    """
    with cloud.open_dataset(f"reading which {colour.name} months are loaded") as dataset:
        found = loaded_files(dataset, colour)
    months = {TripMonth.from_file(colour, filename): load for filename, load in found.items()}
    return {month: load for month, load in months.items() if month is not None}


def ensure_merged(dataset: Dataset, colour: Colour) -> str:
    """Create the colour's merged table, or add the columns that an older one lacks, and return its mark. Step 1.

    Raise ForeignTable if a table of that name was not created by the platform, or differs by more than missing columns.
    """
    name = dataset.table_name(colour.table)
    found = dataset.get_table(name)
    if found is None:
        table = bigquery.Table(str(name), schema=schema_fields(colour))
        table.time_partitioning = bigquery.TimePartitioning(field=colour.pickup.name)
        table.description = f"{colour.name.capitalize()} taxi trips of all months; taxi_loads lists the loaded files."
        table.labels = {MARK_LABEL: uuid.uuid4().hex, "colour": colour.name}
        dataset.create_table(table)
        # Another run may have created it with another mark.
        found = dataset.get_table(name)
    mark = _mark_of(found, colour)
    if found is None or mark is None:
        raise ForeignTable(
            f"{name} exists and was not created by the platform, or has columns of other names or types. "
            "Nothing was changed.",
            "This statement keeps it under another name; months are then loaded from their files when you re-execute "
            f"them:\n\nALTER TABLE `{name}` RENAME TO `{name.table}_before`;",
        )
    load_log.add_columns(dataset, found, schema_fields(colour), {"colour": colour.name, "asset": ASSET})
    return mark


def begin_log(dataset: Dataset, colour: Colour, mark: str) -> None:
    """Create or extend the load log and add the colour's row to it, for a merged table that has no row yet.

    Raise ForeignTable if the merged table has rows, since they have no record.
    """
    load_log.ensure(dataset)
    merged = dataset.table_name(colour.table)
    (row,) = dataset.run(Sql(f"SELECT COUNT(*) AS trips FROM {merged.sql}"), {"colour": colour.name, "asset": ASSET})
    if load_log.read(dataset, colour, mark).merges is not None:
        # Another run added the row, and perhaps loaded the colour's first month, while this one counted.
        return
    if row["trips"]:
        raise ForeignTable(
            f"{merged} has {row['trips']:,} rows, and {dataset.table_name(load_log.TABLE)} has no record of them. "
            "Nothing was changed.",
            "Restore taxi_loads as it was (BigQuery keeps a table's past for seven days: FOR SYSTEM_TIME AS OF), or "
            "drop the table and load its months again.",
        )
    load_log.begin(dataset, colour, mark)


def _mark_of(table: bigquery.Table | None, colour: Colour) -> str | None:
    """Return the mark of a table that the platform created and can use, None for any other."""
    if table is None:
        return None
    partitioning = table.time_partitioning
    types = {column.folded_name: type_of(column) for column in table_columns(colour)}
    found = {field.name.lower(): field.field_type for field in table.schema}
    required = {column.folded_name for column in table_columns(colour) if not column.optional}
    ours = (
        partitioning is not None
        and (partitioning.type_, partitioning.field) == ("DAY", colour.pickup.name)
        and found.items() <= types.items()
        and required <= found.keys()
    )
    return table.labels.get(MARK_LABEL) if ours else None


@dataclass(frozen=True)
class Rows:
    """The rows that the merged table has of a file."""

    content: Mapping[str, str | int]
    """Number of rows and sums; see `tables.content_of_rows`."""
    out_of_month: int
    unrecorded: bool
    """Whether the number of rows in the table, of all files, differs from the load log."""

    @property
    def count(self) -> int:
        """Number of rows."""
        return int(self.content["row_count"])


def rows_of(dataset: Dataset, month: TripMonth, load: Load, other_days: Iterable[date | None] = ()) -> Rows:
    """Return the rows of a file on the days of its record and on `other_days`; None there stands for undated rows."""
    other = set(other_days)
    days = {*load.days, *(day for day in other if day)}
    (row,) = dataset.run(
        statement(
            "rows_of_file",
            content=content_of_rows(month.colour),
            in_month=in_month(month),
            merged=dataset.table_name(month.colour.table).sql,
            loads=dataset.table_name(load_log.TABLE).sql,
            on_these_days=on_days(month.colour.pickup, days, undated=load.undated or None in other),
        ),
        job_labels(month, ASSET),
        filename=month.filename,
        colour=month.colour.name,
        table_mark=load.table_mark,
    )
    return Rows(json.loads(row["content"]), row["out_of_month"], row["rows_of_table"] != row["rows_recorded"])


def days_of_file(dataset: Dataset, month: TripMonth) -> set[date | None]:
    """Return all days on which the table has rows of a file, None for undated rows.

    It scans two columns of the whole table, so it is called only if the number of rows differs from the load log.
    """
    pickup = identifier(month.colour.pickup.name)
    merged = dataset.table_name(month.colour.table).sql
    found = dataset.run(
        Sql(f"SELECT DISTINCT DATE({pickup}) AS pickup_day FROM {merged} WHERE filename = @filename"),
        job_labels(month, ASSET),
        filename=month.filename,
    )
    return {row["pickup_day"] for row in found}


def content_difference(load: Load, content: Mapping[str, str | int]) -> list[str]:
    """Return the names of the values that differ between the record and the table, `row_count` for the number of rows.

    A record of release 0.1 only has the number of rows.
    """
    recorded = load.content or {"row_count": load.rows_in_table}
    return [name for name, value in recorded.items() if content.get(name) != value]
