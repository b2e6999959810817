"""Which months BigQuery holds, as its own records say: what schedules, sensor, backfills and freshness ask."""

from taxi_platform.google.loads import Load
from taxi_platform.google.merge import loaded
from taxi_platform.partitions import TripMonth
from taxi_platform.resources.gcp import GoogleBigQuery
from taxi_platform.trips import Colour


def loaded_months(bigquery: GoogleBigQuery, colour: Colour) -> dict[TripMonth, Load]:
    """The loaded months of a colour; empty where there is no table or no dataset yet. Makes nothing.

    Raises GoogleUnavailable when BigQuery does not answer.
    """
    with bigquery.warehouse(f"asked which {colour.name} months are loaded") as warehouse:
        found = loaded(warehouse, colour)
    months = {TripMonth.from_file(colour, filename): load for filename, load in found.items()}
    return {month: load for month, load in months.items() if month is not None}
