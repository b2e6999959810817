"""The checks of `postgres_tripdata`."""

from typing import Any

from taxi_platform.destinations.checks import Counted, month_checks
from taxi_platform.destinations.postgres.assets import postgres_tripdata
from taxi_platform.destinations.postgres.catalog import attached, changes_by_hand, count_rows
from taxi_platform.destinations.postgres.staging import not_staged
from taxi_platform.destinations.postgres.tables import is_out_of_month
from taxi_platform.trips.load_record import LoadedMonth


def count(resources: Any, loaded: LoadedMonth) -> Counted:
    """Return the rows in the month's partition, and what was changed by hand."""
    month = loaded.month
    with resources.postgres.connect(f"checks {month}") as connection:
        partition = attached(connection, month.colour).get(month.filename)
        if partition is None:
            raise not_staged(month)
        return Counted(
            rows=count_rows(connection, partition),
            out_of_month=count_rows(connection, partition, is_out_of_month(month, month.colour.pickup)),
            changed=changes_by_hand(connection, partition),
        )


postgres_checks = month_checks(postgres_tripdata, frozenset({"postgres"}), count)
