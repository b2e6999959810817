"""The checks of `bigquery_tripdata`. They read the days of the load record; all days if rows are unrecorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from taxi_platform.destinations.bigquery.assets import bigquery_tripdata
from taxi_platform.destinations.bigquery.load_log import Load
from taxi_platform.destinations.bigquery.merged_table import content_difference, days_of_file, rows_of
from taxi_platform.destinations.checks import Counted, month_checks
from taxi_platform.trips.load_record import LoadedMonth

if TYPE_CHECKING:
    from taxi_platform.google_cloud.resources import WarehouseResource


def count(resources: Any, loaded: LoadedMonth) -> Counted:
    """Return the rows of the month in the merged table, and what differs from the load record."""
    month, record = loaded.month, loaded.record
    assert isinstance(record, Load)
    warehouse: WarehouseResource = resources.bigquery
    with warehouse.open_dataset(f"checking {month}") as dataset:
        rows = rows_of(dataset, month, record)
        if rows.unrecorded:
            rows = rows_of(dataset, month, record, days_of_file(dataset, month))
    differing = content_difference(record, rows.content)
    changed = f"Rows were changed by hand since the month was loaded; different now: {', '.join(differing)}."
    return Counted(rows=rows.count, out_of_month=rows.out_of_month, changed=changed if differing else None)


bigquery_checks = month_checks(bigquery_tripdata, frozenset({"bigquery"}), count)
