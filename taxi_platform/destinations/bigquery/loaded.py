"""Which months BigQuery holds, as its own records say: what schedules, sensor, backfills and freshness ask."""

from taxi_platform.destinations.bigquery.load_log import Load
from taxi_platform.destinations.bigquery.merge import loaded
from taxi_platform.google_cloud.resources import GoogleBigQuery
from taxi_platform.trips.columns import Colour
from taxi_platform.trips.partitions import TripMonth


def loaded_months(bigquery: GoogleBigQuery, colour: Colour) -> dict[TripMonth, Load]:
    """The loaded months of a colour; empty where there is no table or no dataset yet. Makes nothing.

    Raises GoogleUnavailable when BigQuery does not answer.
    """
    with bigquery.warehouse(f"asked which {colour.name} months are loaded") as warehouse:
        found = loaded(warehouse, colour)
    months = {TripMonth.from_file(colour, filename): load for filename, load in found.items()}
    return {month: load for month, load in months.items() if month is not None}
