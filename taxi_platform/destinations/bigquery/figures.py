"""A month's figures in BigQuery, for reconciliation. The query reads only the days of the month's file."""

from collections.abc import Sequence
from decimal import Decimal

from taxi_platform.destinations.bigquery.load_log import Load
from taxi_platform.destinations.bigquery.tables import on_days
from taxi_platform.destinations.figures import HASH_DIGITS, SEPARATOR, Figures
from taxi_platform.google_cloud.connection import GoogleCloud
from taxi_platform.google_cloud.dataset import job_labels
from taxi_platform.google_cloud.identifiers import Sql, identifier
from taxi_platform.trips.columns import Column, Kind
from taxi_platform.trips.partitions import TripMonth


def month_figures(cloud: GoogleCloud, month: TripMonth, record: Load, columns: Sequence[Column]) -> Figures:
    """Return the figures of these columns of a month's rows in the merged table."""
    numbers = [column for column in columns if column.kind is Kind.NUMBER]
    row = f"ARRAY_TO_STRING([{', '.join(map(_text, columns))}], '{SEPARATOR}', '')"
    hashed = f"CAST(CONCAT('0x', SUBSTR(TO_HEX(MD5({row})), 1, {HASH_DIGITS})) AS INT64)"
    sums = "".join(f", COALESCE(SUM({identifier(column.name)}), 0) AS {identifier(column.name)}" for column in numbers)
    with cloud.open_dataset(f"reconciling {month}") as dataset:
        table = dataset.table_name(month.colour.table).sql
        days = on_days(month.colour.pickup, record.days, undated=record.undated)
        (found,) = dataset.run(
            Sql(
                f"SELECT COUNT(*) AS trips, COALESCE(SUM({hashed}), 0) AS checksum{sums} "
                f"FROM {table} WHERE filename = @filename AND {days}"
            ),
            job_labels(month, "bigquery_tripdata"),
            filename=month.filename,
        )
    return Figures(
        rows=found["trips"],
        checksum=found["checksum"],
        sums={column.name: Decimal(found[column.name]) for column in numbers},
    )


def _text(column: Column) -> str:
    match column.kind:
        case Kind.NUMBER:
            return f"FORMAT('%.9f', {identifier(column.name)})"
        case Kind.TIME:
            return f"CAST(UNIX_SECONDS({identifier(column.name)}) AS STRING)"
        case _:
            return f"CAST({identifier(column.name)} AS STRING)"
