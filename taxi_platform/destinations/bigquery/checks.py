"""How the checks of `bigquery_tripdata` count rows: on the days of the month's file and no other."""

from typing import Any

from taxi_platform.destinations.bigquery.assets import bigquery_tripdata
from taxi_platform.destinations.bigquery.load_log import Load
from taxi_platform.destinations.bigquery.merge import rows_held
from taxi_platform.destinations.checks import Counted, month_checks
from taxi_platform.trips.load_record import LoadedMonth


def count(resources: Any, loaded: LoadedMonth) -> Counted:
    """Return the month's rows in the merged table."""
    month, record = loaded.month, loaded.record
    assert isinstance(record, Load)
    outside = [day for day in record.days if not month.has(day)]
    with resources.bigquery.warehouse(f"checked {month}") as warehouse:
        return Counted(
            rows=rows_held(warehouse, month, record.days, undated=record.undated),
            out_of_month=rows_held(warehouse, month, outside, undated=record.undated),
        )


bigquery_checks = month_checks(bigquery_tripdata, frozenset({"bigquery"}), count)
