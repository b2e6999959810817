"""A month's figures in Postgres, for reconciliation."""

from collections.abc import Sequence
from decimal import Decimal

from psycopg import sql

from taxi_platform.destinations.figures import HASH_DIGITS, SEPARATOR, Figures
from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.destinations.postgres.tables import name_of, partition_table
from taxi_platform.trips.columns import Column, Kind
from taxi_platform.trips.partitions import TripMonth


def month_figures(postgres: Postgres, month: TripMonth, columns: Sequence[Column]) -> Figures:
    """Return the figures of these columns of a month's partition."""
    numbers = [column for column in columns if column.kind is Kind.NUMBER]
    row = sql.SQL(", '" + SEPARATOR + "', ").join(_text(column) for column in columns)
    query = sql.SQL("select count(*), coalesce(sum({}), 0), {} from {}").format(
        sql.SQL("('x' || left(md5(concat({})), {}))::bit(32)::bigint").format(row, sql.Literal(HASH_DIGITS)),
        sql.SQL(", ").join(
            [sql.SQL("coalesce(sum({}), 0)").format(_number(column)) for column in numbers] or [sql.NULL]
        ),
        partition_table(month),
    )
    with postgres.connect(f"reconciles {month}") as connection:
        found = connection.execute(query).fetchone() or (0, 0)
    sums = {column.name: Decimal(total) for column, total in zip(numbers, found[2:], strict=False)}
    return Figures(rows=found[0], checksum=int(found[1]), sums=sums)


def _text(column: Column) -> sql.Composed:
    match column.kind:
        case Kind.NUMBER:
            return sql.SQL("{}::text").format(_number(column))
        case Kind.TIME:
            return sql.SQL("extract(epoch from {})::bigint").format(name_of(column))
        case _:
            return sql.SQL("{}").format(name_of(column))


def _number(column: Column) -> sql.Composed:
    """Return the number as the shortest text that stands for it, which `::numeric` alone would round."""
    return sql.SQL("round({}::text::numeric, 9)").format(name_of(column))
