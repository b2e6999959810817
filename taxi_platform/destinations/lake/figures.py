"""A month's figures in the lake, for reconciliation."""

from collections.abc import Sequence
from decimal import Decimal

from taxi_platform.destinations.figures import HASH_DIGITS, SEPARATOR, Figures
from taxi_platform.destinations.lake.lake_files import file_path
from taxi_platform.destinations.lake.resource import Lake
from taxi_platform.destinations.lake.snapshot import create_views, snapshot
from taxi_platform.destinations.lake.writer import quoted
from taxi_platform.trips.columns import Column, Kind
from taxi_platform.trips.partitions import TripMonth


def month_figures(lake: Lake, month: TripMonth, columns: Sequence[Column]) -> Figures:
    """Return the figures of these columns of a month's file."""
    numbers = [column for column in columns if column.kind is Kind.NUMBER]
    row = f", '{SEPARATOR}', ".join(_text(column) for column in columns)
    hashed = f"('0x' || left(md5(concat({row})), {HASH_DIGITS}))::bigint"
    sums = "".join(f", coalesce(sum({_number(column)}), 0)" for column in numbers)
    query = f"select count(*), coalesce(sum({hashed}), 0){sums} from {month.colour.table}"
    with (
        lake.connect(f"reconcile {month}") as connection,
        snapshot(lake, [file_path(lake.folder, month)]) as files,
    ):
        create_views(connection, files)
        found = connection.execute(query).fetchone() or (0, 0)
    sums_by_name = {column.name: Decimal(total) for column, total in zip(numbers, found[2:], strict=True)}
    return Figures(rows=found[0], checksum=int(found[1]), sums=sums_by_name)


def _text(column: Column) -> str:
    match column.kind:
        case Kind.NUMBER:
            return f"{_number(column)}::varchar"
        case Kind.TIME:
            return f"epoch({quoted(column)})::bigint"
        case _:
            return quoted(column)


def _number(column: Column) -> str:
    """Return the number by the shortest text that stands for it: a cast of the double itself can be off."""
    return f"{quoted(column)}::varchar::decimal(38, 9)"
