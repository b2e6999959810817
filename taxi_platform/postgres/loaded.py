"""Which months Postgres holds, as it says itself.

Not here: how a month gets there (`staging`, `merge`), and what the record is (`record`).
"""

from taxi_platform.partitions import TripMonth
from taxi_platform.postgres.record import Record
from taxi_platform.postgres.tables import attached
from taxi_platform.resources.postgres import Postgres
from taxi_platform.trips import Colour


def loaded_months(postgres: Postgres, colour: Colour) -> dict[TripMonth, Record]:
    """The record of each loaded month of a colour; empty when there is no table yet."""
    with postgres.connect(f"looks what is loaded of {colour.name}") as connection:
        partitions = attached(connection, colour).values()
    found = {TripMonth.from_file(colour, partition.filename): partition.record for partition in partitions}
    return {month: record for month, record in found.items() if month is not None and record is not None}
