"""A month's two tables: the external table over its object, and the monthly table of typed rows that is read from it.

The description of each names the file that it contains. The monthly table gets its description only after its rows were
counted, so a table without it is unfinished.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taxi_platform.destinations.bigquery.object_storage import CsvObject, find_csv
from taxi_platform.destinations.bigquery.tables import (
    content_of_rows,
    external_columns,
    external_name,
    monthly_name,
    row_id_texts,
    schema_fields,
    statement,
    type_of,
    typed_columns,
)
from taxi_platform.errors import BadFile, ForeignTable, GoogleUnavailable
from taxi_platform.google_cloud.dataset import Dataset, job_labels
from taxi_platform.google_cloud.identifiers import Sql
from taxi_platform.google_cloud.libraries import bigquery, storage
from taxi_platform.trips.columns import Column
from taxi_platform.trips.partitions import TripMonth

if TYPE_CHECKING:
    from collections.abc import Iterable

ASSET = "bigquery_monthly"
PREVIEW_ROWS = 5


@dataclass(frozen=True)
class ExternalTable:
    """The external table over a month's object."""

    month: TripMonth
    source: CsvObject


@dataclass(frozen=True)
class MonthlyTable:
    """A month's typed rows, complete and counted, in a table of their own."""

    month: TripMonth
    sha256: str
    """Of the gzip file that the rows come from."""
    rows: int
    content: str
    """Hash of the rows, in any order; see `content_of_rows`."""


def create_external(dataset: Dataset, source: CsvObject) -> tuple[ExternalTable, bool]:
    """Return the external table over this version of the object, and whether it was created just now."""
    name = dataset.table_name(external_name(source.month))
    found = dataset.get_table(name)
    if found is not None and found.table_type != "EXTERNAL":
        raise ForeignTable(
            f"{name} exists and is a {found.table_type}, not an external table. Nothing was changed.",
            "Rename or drop it.",
        )
    description = _external_description(source)
    if found is not None and found.description == description:
        return ExternalTable(source.month, source), False
    if found is not None:
        dataset.drop_table(name)
    columns = external_columns(source.header, source.columns)
    fields = [bigquery.SchemaField(each.name, type_of(each), description=each.description) for each in columns]
    table = bigquery.Table(str(name), schema=fields)
    table.external_data_configuration = _external_config(source)
    table.description = description
    table.labels = {"colour": source.month.colour.name, "month": source.month.month}
    dataset.create_table(table)
    return ExternalTable(source.month, source), True


def find_external(dataset: Dataset, bucket: storage.Bucket, month: TripMonth) -> ExternalTable | None:
    """Return the month's external table if it reads the current version of the object, else None."""
    source = find_csv(bucket, month, retry_seconds=dataset.retry_seconds)
    found = dataset.get_table(dataset.table_name(external_name(month)))
    if source is None or found is None or found.description != _external_description(source):
        return None
    return ExternalTable(month, source)


def _external_description(source: CsvObject) -> str:
    return (
        f"{source.month.filename} in the bucket: {source.uri}, generation {source.generation}, "
        f"sha256 {source.sha256}, columns {','.join(source.header)}."
    )


def _external_config(source: CsvObject) -> bigquery.ExternalConfig:
    config = bigquery.ExternalConfig("CSV")
    config.source_uris = [source.uri]
    config.autodetect = False
    config.compression = "GZIP"
    config.max_bad_records = 0
    config.ignore_unknown_values = False
    options = bigquery.CSVOptions()
    options.skip_leading_rows = 1
    options.field_delimiter = ","
    options.encoding = "UTF-8"
    options.allow_jagged_rows = False
    options.allow_quoted_newlines = False
    # Validation has refused quotes; if there is one nevertheless, it must not swallow the rows after it.
    options.quote_character = ""
    config.csv_options = options
    return config


def create_monthly(dataset: Dataset, bucket: storage.Bucket, external: ExternalTable) -> tuple[MonthlyTable, bool]:
    """Return the monthly table, created from the external one if necessary, and whether it was created just now.

    Raise BadFile if BigQuery reads another number of rows than the file has.
    """
    month, source = external.month, external.source
    found = find_monthly(dataset, month)
    if found is not None and found.sha256 == source.sha256:
        return found, False
    labels = job_labels(month, ASSET)
    dataset.run(_recipe(dataset, month, source.columns), labels, filename=month.filename)
    # Read before the rows are counted: a table that another run creates after this does not get this description.
    table = dataset.get_table(dataset.table_name(monthly_name(month)))
    monthly = dataset.table_name(monthly_name(month)).sql
    content = content_of_rows(month.colour)
    (counted,) = dataset.run(Sql(f"SELECT COUNT(*) AS trips, TO_HEX(MD5({content})) AS content FROM {monthly}"), labels)
    current = find_csv(bucket, month, retry_seconds=dataset.retry_seconds)
    if current is None or current.generation != source.generation:
        raise GoogleUnavailable(
            f"{source.uri} was replaced while {month} was read from it. The merged table was not changed.",
            "Re-execute the run from bigquery_external on.",
        )
    if counted["trips"] != source.rows:
        raise BadFile(
            f"BigQuery reads {counted['trips']:,} rows from {source.uri}, and the file has {source.rows:,}. The merged "
            "table was not changed.",
            "Please report the file.",
            filename=month.filename,
        )
    created = MonthlyTable(month, source.sha256, counted["trips"], counted["content"])
    _describe(dataset, table, created)
    return created, True


def find_monthly(dataset: Dataset, month: TripMonth) -> MonthlyTable | None:
    """Return the month's table if it is finished and was created by the current statement, else None."""
    found = dataset.get_table(dataset.table_name(monthly_name(month)))
    pattern = rf"sha256 ([0-9a-f]{{64}}), (\d+) rows, content ([0-9a-f]{{32}}), recipe {_recipe_hash(dataset, month)}\."
    match = re.search(pattern, (found and found.description) or "")
    return MonthlyTable(month, match[1], int(match[2]), match[3]) if match else None


def _describe(dataset: Dataset, table: bigquery.Table | None, created: MonthlyTable) -> None:
    """Write the descriptions of the table and its columns, after which it counts as finished."""
    month = created.month
    if table is None:
        raise GoogleUnavailable(f"The table of {month} was dropped while it was being created.")
    table.description = (
        f"{month.filename} with row ids: sha256 {created.sha256}, {created.rows} rows, content {created.content}, "
        f"recipe {_recipe_hash(dataset, month)}."
    )
    table.labels = {"colour": month.colour.name, "month": month.month}
    table.schema = schema_fields(month.colour)
    dataset.update_table(table, ["description", "labels", "schema"])


def _recipe(dataset: Dataset, month: TripMonth, in_file: Iterable[Column | None]) -> Sql:
    return statement(
        "monthly",
        monthly=dataset.table_name(monthly_name(month)).sql,
        external=dataset.table_name(external_name(month)).sql,
        row_id_texts=row_id_texts(month.colour),
        columns=typed_columns(month.colour, in_file),
    )


def _recipe_hash(dataset: Dataset, month: TripMonth) -> str:
    """Return a hash of the statement and the columns: a table with another one is recreated."""
    recipe = _recipe(dataset, month, month.colour.columns) + content_of_rows(month.colour)
    return hashlib.sha256(recipe.encode()).hexdigest()[:12]


def preview(dataset: Dataset, month: TripMonth) -> list[dict[str, str]]:
    """Return the first rows of the monthly table as text, with all columns."""
    name = dataset.table_name(monthly_name(month))
    rows = dataset.first_rows(name, schema_fields(month.colour), PREVIEW_ROWS)
    return [{column: _text(value) for column, value in row.items()} for row in rows]


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value.hex() if isinstance(value, bytes) else str(value)
