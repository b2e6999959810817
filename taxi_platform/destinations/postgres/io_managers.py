"""Storage of trips in PostgreSQL: writes a month, looks whether it is there, hands a small reference on.

How rows are staged and merged is in `taxi_platform.postgres`; here is what Dagster sees of it.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace

import dagster as dg
import psycopg
from psycopg import sql

from taxi_platform.destinations.merge_report import report_merge
from taxi_platform.destinations.postgres.merge import merge, not_staged
from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.destinations.postgres.staging import stage, staged
from taxi_platform.destinations.postgres.tables import (
    SCHEMA,
    TYPES,
    attached,
    parent_name,
    partition_table,
    staging_name,
    staging_table,
    table_columns,
)
from taxi_platform.source.raw_file import RawFile
from taxi_platform.trips.columns import FILENAME, UNIQUE_ROW_ID, Colour, Column
from taxi_platform.trips.load_record import LoadedMonth
from taxi_platform.trips.partitions import TripMonth
from taxi_platform.trips.table_schema import schema_of

PREVIEW_ROWS = 5


@dataclass(frozen=True)
class StagedMonth:
    """A month that is ready to be put in place, or stands there already from the same file."""

    month: TripMonth
    sha256: str
    rows: int
    in_place: bool


class PostgresStagingTables(dg.ConfigurableIOManager):
    """The staging tables: one for each month, there from staging until the month is merged."""

    postgres: dg.ResourceDependency[Postgres]

    def handle_output(self, context: dg.OutputContext, obj: RawFile) -> None:
        began = time.monotonic()
        month = obj.month
        context.log.info(f"{month.filename}: {obj.rows:,} rows, {obj.uncompressed_size:,} bytes to stage")
        record = stage(self.postgres, obj)
        seconds = time.monotonic() - began
        if record is None:
            context.log.info(f"{month.filename}: unchanged and in place already, nothing to stage")
            context.add_output_metadata(
                {"rows_staged": 0, "in_place_already": True, **_identity(obj.sha256, seconds), **_columns(month.colour)}
            )
            return
        context.log.info(f"{month.filename}: {record.rows:,} rows staged in {seconds:.1f} s")
        context.add_output_metadata(
            {
                "dagster/table_name": f"{SCHEMA}.{staging_name(month)}",
                "dagster/partition_row_count": record.rows,
                "rows_staged": record.rows,
                "pickups_outside_month": record.out_of_month,
                "bytes": obj.uncompressed_size,
                "rows_per_second": round(record.rows / seconds),
                "preview": preview(self.postgres, month.colour, staging_table(month)),
                **_identity(obj.sha256, seconds),
                **_columns(month.colour),
            }
        )

    def load_input(self, context: dg.InputContext) -> StagedMonth:
        month = TripMonth.from_key(context.asset_partition_key)
        with self.postgres.connect(f"looks for {month}") as connection:
            _, record = staged(connection, month)
            if record is not None:
                return StagedMonth(month, record.sha256, record.rows, in_place=False)
            partition = attached(connection, month.colour).get(month.filename)
        if partition is None or partition.record is None:
            raise not_staged(month)
        return StagedMonth(month, partition.record.sha256, partition.record.rows, in_place=True)


class PostgresTripTables(dg.ConfigurableIOManager):
    """The tables that analysts query: `public.<colour>_tripdata`, a partition for each month."""

    postgres: dg.ResourceDependency[Postgres]

    def handle_output(self, context: dg.OutputContext, obj: StagedMonth) -> None:
        month, began = obj.month, time.monotonic()
        merged = merge(self.postgres, month)
        context.add_output_metadata(
            {
                "dagster/table_name": parent_name(month.colour),
                **report_merge(context, month, merged, time.monotonic() - began),
                "preview": preview(self.postgres, month.colour, partition_table(month)),
                **_columns(month.colour),
            }
        )

    def load_input(self, context: dg.InputContext) -> LoadedMonth:
        month = TripMonth.from_key(context.asset_partition_key)
        with self.postgres.connect(f"looks for {month}") as connection:
            partition = attached(connection, month.colour).get(month.filename)
        if partition is None or partition.record is None:
            raise not_staged(month)
        return LoadedMonth(month, partition.record)


def preview(postgres: Postgres, colour: Colour, table: sql.Identifier) -> dg.TableMetadataValue:
    """The table's first rows, as text; none when another run has taken it from its place meanwhile."""
    with postgres.connect("previews") as connection:
        try:
            rows = connection.execute(sql.SQL("select * from {} limit {}").format(table, PREVIEW_ROWS)).fetchall()
        except psycopg.errors.UndefinedTable:
            rows = []
    names = [column.folded_name for column in table_columns(colour)]
    records = [
        dg.TableRecord({name: "" if value is None else str(value) for name, value in zip(names, row, strict=True)})
        for row in rows
    ]
    return dg.MetadataValue.table(records, schema=postgres_schema(table_columns(colour)))


def postgres_schema(columns: Iterable[Column]) -> dg.TableSchema:
    """The columns with their names and types in Postgres and their descriptions."""
    folded = [replace(column, name=column.folded_name) for column in columns]
    return schema_of(folded, lambda column: TYPES[column.kind])


def _identity(sha256: str, seconds: float) -> dict[str, dg.MetadataValue]:
    return {"sha256": dg.MetadataValue.text(sha256), "seconds": dg.MetadataValue.float(round(seconds, 3))}


def _columns(colour: Colour) -> dict[str, dg.MetadataValue]:
    """The colour's own columns, each with where it comes from in the published file."""
    source = dg.AssetKey("raw_csv")
    deps = {column.folded_name: [dg.TableColumnDep(source, column.name)] for column in colour.columns}
    deps[UNIQUE_ROW_ID.name] = [dg.TableColumnDep(source, column.name) for column in colour.row_id]
    deps[FILENAME.name] = []
    return {
        "dagster/column_schema": dg.MetadataValue.table_schema(postgres_schema(table_columns(colour))),
        "dagster/column_lineage": dg.MetadataValue.column_lineage(dg.TableColumnLineage(deps)),
    }
