"""Which months Postgres holds, as it says itself, and whether its rows are all there.

Not here: how a month gets there (`staging`, `merge`), and what the record is (`record`).
"""

import psycopg
from psycopg import sql

from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.destinations.postgres.tables import attached, partition_table
from taxi_platform.trips.columns import Colour
from taxi_platform.trips.load_record import LoadRecord
from taxi_platform.trips.partitions import TripMonth


def loaded_months(postgres: Postgres, colour: Colour) -> dict[TripMonth, LoadRecord]:
    """The record of each loaded month of a colour; empty when there is no table yet."""
    with postgres.connect(f"looks what is loaded of {colour.name}") as connection:
        partitions = attached(connection, colour).values()
    found = {TripMonth.from_file(colour, partition.filename): partition.record for partition in partitions}
    return {month: record for month, record in found.items() if month is not None and record is not None}


def is_whole(connection: psycopg.Connection, month: TripMonth, record: LoadRecord) -> bool:
    """Whether the table has as many rows of the month as its record says: somebody may have deleted some."""
    return count_rows(connection, month) == record.rows_in_table


def count_rows(connection: psycopg.Connection, month: TripMonth, condition: sql.Composable | None = None) -> int:
    """Rows of a month that is in its place; with a condition those that it holds for."""
    # In the month's partition: by filename in the parent, the server would compare the name of each row first.
    query = sql.SQL("select count(*) from {} where {}").format(partition_table(month), condition or sql.SQL("true"))
    found = connection.execute(query).fetchone()
    return found[0] if found else 0
