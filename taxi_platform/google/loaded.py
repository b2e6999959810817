"""Which months BigQuery holds, as it says itself. Asking makes nothing.

Not here: how a month gets there (`merge`), and what the record is (`loads`).
"""

from taxi_platform.google import loads
from taxi_platform.google.loads import Load
from taxi_platform.google.merge import mark_of, merged_name
from taxi_platform.google.warehouse import Warehouse
from taxi_platform.partitions import TripMonth
from taxi_platform.trips import Colour


def loaded_months(warehouse: Warehouse, colour: Colour) -> dict[TripMonth, Load]:
    """The record of each loaded month of a colour; empty where the merged table or the records are not there."""
    mark = mark_of(warehouse.table(warehouse.name(merged_name(colour))), colour)
    if mark is None or warehouse.table(warehouse.name(loads.TABLE)) is None:
        return {}
    found = {
        TripMonth.from_file(colour, name): load for name, load in loads.read(warehouse, colour, mark).files.items()
    }
    return {month: load for month, load in found.items() if month is not None}
