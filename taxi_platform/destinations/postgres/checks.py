"""How the checks of `postgres_tripdata` count rows."""

from typing import Any

from taxi_platform.destinations.checks import Counted, month_checks
from taxi_platform.destinations.postgres.assets import postgres_tripdata
from taxi_platform.destinations.postgres.catalog import count_rows
from taxi_platform.destinations.postgres.tables import is_stray
from taxi_platform.trips.load_record import LoadedMonth


def count(resources: Any, loaded: LoadedMonth) -> Counted:
    """Return the rows in the month's partition."""
    month = loaded.month
    with resources.postgres.connect(f"checks {month}") as connection:
        return Counted(
            rows=count_rows(connection, month),
            out_of_month=count_rows(connection, month, is_stray(month, month.colour.pickup)),
        )


postgres_checks = month_checks(postgres_tripdata, frozenset({"postgres"}), count)
