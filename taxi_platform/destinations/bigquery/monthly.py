"""A month's two tables: the external one over its object, and the typed one made from it.

Each says in its description which file it is of. The typed table says so only after its rows were counted, so that
a table without that line is one that was not finished.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from taxi_platform.destinations.bigquery.tables import (
    Sql,
    column_sql,
    external_fields,
    external_name,
    monthly_name,
    row_id_texts,
    schema_fields,
    statement,
    table_columns,
    typed_columns,
)
from taxi_platform.errors import BadFile, ForeignTable, GoogleUnavailable, NotStaged
from taxi_platform.google_cloud.dataset import Warehouse, job_labels
from taxi_platform.google_cloud.errors import ANSWER_SECONDS, patience
from taxi_platform.google_cloud.libraries import bigquery, storage
from taxi_platform.google_cloud.object_storage import LakeObject, find
from taxi_platform.trips.partitions import TripMonth


@dataclass(frozen=True)
class ExternalTable:
    """The external table over a month's object."""

    month: TripMonth
    source: LakeObject


@dataclass(frozen=True)
class MonthlyTable:
    """A month's rows, typed, whole and counted, in a table of their own."""

    month: TripMonth
    sha256: str
    """Of the gzip file that the rows come from."""
    rows: int


def point_at(warehouse: Warehouse, source: LakeObject) -> bool:
    """Sees to it that the external table reads this version of the object; whether it had to be made."""
    name = warehouse.name(external_name(source.month))
    there = warehouse.table(name)
    if there is not None and there.table_type != "EXTERNAL":
        raise ForeignTable(
            f"{name} is there, and it is no external table but a {there.table_type}. Nothing was changed.",
            "A rerun does not help until it is renamed or dropped.",
        )
    line = _external_line(source)
    if there is not None and there.description == line:
        return False
    warehouse.drop(name)
    table = bigquery.Table(str(name), schema=external_fields(source.header, source.columns))
    table.external_data_configuration = _external_config(source)
    table.description = line
    table.labels = {"colour": source.month.colour.name, "month": source.month.month}
    warehouse.create(table)
    return True


def find_external(warehouse: Warehouse, bucket: storage.Bucket, month: TripMonth) -> ExternalTable | None:
    """The month's external table, if it reads the object that is in the lake now."""
    source = find(bucket, month, seconds=warehouse.patience_seconds)
    there = warehouse.table(warehouse.name(external_name(month)))
    if source is None or there is None or there.description != _external_line(source):
        return None
    return ExternalTable(month, source)


def _external_line(source: LakeObject) -> str:
    return (
        f"{source.month.filename} as it lies in the lake: {source.uri}, generation {source.generation}, "
        f"sha256 {source.sha256}, columns {','.join(source.header)}."
    )


def _external_config(source: LakeObject) -> bigquery.ExternalConfig:
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
    # The check of the file has refused quotes already; a stray one must not swallow the rows after it.
    options.quote_character = ""
    config.csv_options = options
    return config


def make(warehouse: Warehouse, bucket: storage.Bucket, external: ExternalTable) -> tuple[MonthlyTable, bool]:
    """Makes the typed table from the external one, if it does not stand there from the same file; whether it did."""
    month, source = external.month, external.source
    recipe = _recipe(warehouse, month)
    there = find_monthly(warehouse, month)
    if there is not None and there.sha256 == source.sha256:
        return there, False
    warehouse.run(recipe, job_labels(month, "bigquery_monthly"), filename=month.filename)
    # As it is now: what another run makes of it from here on is not signed with this file's name.
    made = warehouse.table(warehouse.name(monthly_name(month)))
    rows = _count(warehouse, month)
    now = find(bucket, month, seconds=warehouse.patience_seconds)
    if now is None or now.generation != source.generation:
        raise GoogleUnavailable(
            f"{source.uri} was replaced while {month} was read from it.",
            "A rerun helps, from bigquery_external on. The merged table was not touched.",
        )
    if rows != source.rows:
        raise BadFile(
            f"BigQuery reads {rows:,} rows from {source.uri}, and the file has {source.rows:,}.",
            "A rerun does not help. The merged table was not touched; please report the file.",
            filename=month.filename,
        )
    _sign(warehouse, month, made, source.sha256, rows)
    return MonthlyTable(month, source.sha256, rows), True


def find_monthly(warehouse: Warehouse, month: TripMonth) -> MonthlyTable | None:
    """The month's typed table, if it is finished and made by the statement of today."""
    there = warehouse.table(warehouse.name(monthly_name(month)))
    pattern = rf"sha256 ([0-9a-f]{{64}}), (\d+) rows, recipe {_recipe_mark(warehouse, month)}\."
    found = re.search(pattern, (there and there.description) or "")
    return MonthlyTable(month, found[1], int(found[2])) if found else None


def find_monthly_or_raise(warehouse: Warehouse, month: TripMonth) -> MonthlyTable:
    """The month's finished typed table."""
    there = find_monthly(warehouse, month)
    if there is None:
        raise NotStaged(
            f"{warehouse.name(monthly_name(month))} is not there, or was not finished.",
            "A rerun of this asset alone does not help: materialize it with what it is made from, "
            f"--select '+key:bigquery_tripdata' --partition '{month}'.",
        )
    return there


def _count(warehouse: Warehouse, month: TripMonth) -> int:
    monthly = warehouse.name(monthly_name(month)).sql
    (row,) = warehouse.run(Sql(f"SELECT COUNT(*) AS trips FROM {monthly}"), job_labels(month, "bigquery_monthly"))
    return row["trips"]


def _sign(warehouse: Warehouse, month: TripMonth, there: bigquery.Table | None, sha256: str, rows: int) -> None:
    """Writes the descriptions of the table and of its columns: from now on it counts as finished."""
    if there is None:
        raise GoogleUnavailable(f"The table of {month} is gone again.", "A rerun helps: it makes the table again.")
    there.description = (
        f"{month.filename} with row ids: sha256 {sha256}, {rows} rows, recipe {_recipe_mark(warehouse, month)}."
    )
    there.labels = {"colour": month.colour.name, "month": month.month}
    there.schema = schema_fields(month.colour)
    warehouse.describe(there, ["description", "labels", "schema"])


def _recipe(warehouse: Warehouse, month: TripMonth) -> Sql:
    return statement(
        "monthly",
        monthly=warehouse.name(monthly_name(month)).sql,
        external=warehouse.name(external_name(month)).sql,
        row_id_texts=row_id_texts(month.colour),
        columns=typed_columns(month.colour),
    )


def _recipe_mark(warehouse: Warehouse, month: TripMonth) -> str:
    """Changes when the statement does, so that a table made by an older one is made again."""
    return hashlib.sha256(_recipe(warehouse, month).encode()).hexdigest()[:12]


def preview(warehouse: Warehouse, month: TripMonth, *, rows: int = 5) -> list[dict[str, str]]:
    """The typed table's first rows as text, read without a query and so without cost."""
    name = warehouse.name(monthly_name(month))
    table = warehouse.table(name)
    if table is None:
        return []
    names = [column_sql(column) for column in table_columns(month.colour)]
    found = warehouse.client.list_rows(
        table, max_results=rows, retry=patience(warehouse.patience_seconds), timeout=ANSWER_SECONDS
    )
    return [{name: _text(row[name]) for name in names} for row in found]


def _text(value: object) -> str:
    if value is None:
        return ""
    return value.hex() if isinstance(value, bytes) else str(value)
