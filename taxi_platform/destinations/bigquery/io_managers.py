"""Storage of trips in BigQuery: makes a month's tables, looks whether they are there, hands small references on.

How tables are made and merged is in `taxi_platform.google`; here is what Dagster sees of it.
"""

import time

import dagster as dg

from taxi_platform.destinations.bigquery.merge import loaded, merge
from taxi_platform.destinations.bigquery.monthly import (
    ExternalTable,
    MonthlyTable,
    find_external,
    find_monthly_or_raise,
    make,
    point_at,
    preview,
)
from taxi_platform.destinations.bigquery.tables import (
    external_name,
    merged_name,
    monthly_name,
    row_id_columns,
    table_columns,
    type_of,
)
from taxi_platform.destinations.merge_report import report_merge
from taxi_platform.errors import NotStaged
from taxi_platform.google_cloud.dataset import Warehouse
from taxi_platform.google_cloud.object_storage import LakeObject
from taxi_platform.google_cloud.resources import GoogleBigQuery, GoogleStorage
from taxi_platform.trips.columns import FILENAME, UNIQUE_ROW_ID, Colour, Column, Kind
from taxi_platform.trips.load_record import LoadedMonth
from taxi_platform.trips.partitions import TripMonth
from taxi_platform.trips.table_schema import schema_of


class ExternalTables(dg.ConfigurableIOManager):
    """The external tables over the lake's objects, one for each month."""

    gcs: dg.ResourceDependency[GoogleStorage]
    bigquery: dg.ResourceDependency[GoogleBigQuery]

    def handle_output(self, context: dg.OutputContext, obj: LakeObject) -> None:
        with self.bigquery.warehouse(f"made the external table of {obj.month}") as warehouse:
            made = point_at(warehouse, obj)
            name = warehouse.name(external_name(obj.month))
        context.log.info(f"{name} reads {obj.uri}" + ("" if made else ", as before"))
        columns = [
            column or Column(f"unknown_{place}", Kind.TEXT, f"Not known to the registry; {header!r} in the file.")
            for place, (header, column) in enumerate(zip(obj.header, obj.columns, strict=True), 1)
        ]
        context.add_output_metadata(
            {
                "dagster/table_name": str(name),
                "dagster/column_schema": schema_of(columns, type_of),
                "dagster/uri": obj.uri,
                "generation": str(obj.generation),
                "sha256": obj.sha256,
                "made": made,
                "console": dg.MetadataValue.url(warehouse.console_url(name)),
            }
        )

    def load_input(self, context: dg.InputContext) -> ExternalTable:
        month = TripMonth.from_key(context.asset_partition_key)
        with (
            self.gcs.lake(f"looked for {month} in the lake") as bucket,
            self.bigquery.warehouse(f"looked for the external table of {month}") as warehouse,
        ):
            found = find_external(warehouse, bucket, month)
        if found is None:
            raise _not_there(
                f"The external table of {month} is not there, or reads another version of the file.", month
            )
        return found


class MonthlyTables(dg.ConfigurableIOManager):
    """The tables of single months, typed and with row ids."""

    gcs: dg.ResourceDependency[GoogleStorage]
    bigquery: dg.ResourceDependency[GoogleBigQuery]

    def handle_output(self, context: dg.OutputContext, obj: ExternalTable) -> None:
        began = time.monotonic()
        month = obj.month
        with (
            self.gcs.lake(f"looked for {month} in the lake") as bucket,
            self.bigquery.warehouse(f"made the table of {month}") as warehouse,
        ):
            found, made = make(warehouse, bucket, obj)
            rows = preview(warehouse, month)
            name = warehouse.name(monthly_name(month))
        seconds = time.monotonic() - began
        context.log.info(f"{name}: {found.rows:,} rows" + (f" in {seconds:.1f} s" if made else ", as before"))
        context.add_output_metadata(
            {
                "dagster/table_name": str(name),
                "dagster/partition_row_count": found.rows,
                "made": made,
                "rows_per_second": round(found.rows / seconds),
                "preview": _table(month.colour, rows),
                **_common(warehouse, month.colour, found.sha256, seconds),
                "console": dg.MetadataValue.url(warehouse.console_url(name)),
            }
        )

    def load_input(self, context: dg.InputContext) -> MonthlyTable:
        month = TripMonth.from_key(context.asset_partition_key)
        with self.bigquery.warehouse(f"looked for the table of {month}") as warehouse:
            return find_monthly_or_raise(warehouse, month)


class MergedTables(dg.ConfigurableIOManager):
    """The tables that analysts query: `<dataset>.<colour>_tripdata`, partitioned by the day of the pickup."""

    bigquery: dg.ResourceDependency[GoogleBigQuery]

    def handle_output(self, context: dg.OutputContext, obj: MonthlyTable) -> None:
        began = time.monotonic()
        month = obj.month
        with self.bigquery.warehouse(f"merged {month}") as warehouse:
            merged = merge(warehouse, month, patience_seconds=self.bigquery.merge_patience)
            rows = preview(warehouse, month)
            name = warehouse.name(merged_name(month.colour))
        seconds = time.monotonic() - began
        context.add_output_metadata(
            {
                "dagster/table_name": str(name),
                "rows_replaced": merged.rows_replaced,
                "preview": _table(month.colour, rows),
                **_common(warehouse, month.colour, merged.record.sha256, seconds),
                **report_merge(context, month, merged, seconds),
                "console": dg.MetadataValue.url(warehouse.console_url(name)),
            }
        )

    def load_input(self, context: dg.InputContext) -> LoadedMonth:
        month = TripMonth.from_key(context.asset_partition_key)
        with self.bigquery.warehouse(f"looked for {month}") as warehouse:
            record = loaded(warehouse, month.colour).get(month.filename)
        if record is None:
            raise _not_there(f"{warehouse.name(merged_name(month.colour))} does not hold {month}.", month)
        return LoadedMonth(month, record)


def bigquery_schema(colour: Colour) -> dg.TableSchema:
    """The columns of the monthly and the merged table with their BigQuery types and their descriptions."""
    return schema_of(table_columns(colour), type_of)


def _not_there(what: str, month: TripMonth) -> NotStaged:
    return NotStaged(
        what,
        "A rerun of this asset alone does not help: materialize it with what it is made from, "
        f"--select '+key:bigquery_tripdata' --partition '{month}'.",
    )


def _table(colour: Colour, rows: list[dict[str, str]]) -> dg.TableMetadataValue:
    return dg.MetadataValue.table([dg.TableRecord(dict(row)) for row in rows], schema=bigquery_schema(colour))


def _common(warehouse: Warehouse, colour: Colour, sha256: str, seconds: float) -> dict[str, dg.MetadataValue]:
    """The version of the file, what BigQuery did for it, the columns and where each comes from."""
    source = dg.AssetKey("raw_csv")
    deps = {column.name: [dg.TableColumnDep(source, column.name)] for column in colour.columns}
    deps[UNIQUE_ROW_ID.name] = [dg.TableColumnDep(source, column.name) for column in row_id_columns(colour)]
    deps[FILENAME.name] = []
    return {
        "sha256": dg.MetadataValue.text(sha256),
        "seconds": dg.MetadataValue.float(round(seconds, 3)),
        **warehouse.work.metadata,
        "dagster/column_schema": dg.MetadataValue.table_schema(bigquery_schema(colour)),
        "dagster/column_lineage": dg.MetadataValue.column_lineage(dg.TableColumnLineage(deps)),
    }
