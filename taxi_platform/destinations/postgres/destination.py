"""PostgreSQL as a `Destination`."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from taxi_platform.destinations.base import Destination, Resources
from taxi_platform.destinations.figures import Figures
from taxi_platform.destinations.postgres.assets import postgres_staging, postgres_tripdata
from taxi_platform.destinations.postgres.catalog import loaded_months
from taxi_platform.destinations.postgres.checks import postgres_checks
from taxi_platform.destinations.postgres.figures import month_figures
from taxi_platform.destinations.postgres.io_managers import PostgresMonths
from taxi_platform.destinations.postgres.psql import sql_command
from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.trips.columns import Colour, Column
from taxi_platform.trips.load_record import LoadedMonth, LoadRecord
from taxi_platform.trips.partitions import TripMonth


class PostgresResources(TypedDict, total=False):
    """The destination's resources and IO managers, by key."""

    postgres: Postgres
    postgres_months: PostgresMonths


class PostgresDestination(Destination):
    """PostgreSQL: the server of TAXI_POSTGRES_URL, else the embedded one."""

    name = "postgres"
    assets = (postgres_staging, postgres_tripdata)
    checks = (postgres_checks,)
    commands = (sql_command,)
    resource_keys = frozenset({"postgres"})

    def resources(self, given: Resources) -> dict[str, Any]:
        """Return the server and the IO manager on it."""
        server = given.get("postgres") or Postgres()
        return {
            "postgres": server,
            "postgres_months": PostgresMonths(postgres=server),
        }

    def loaded_months(self, resources: Resources, colour: Colour) -> Mapping[TripMonth, LoadRecord]:
        """Return the load records in the comments of the attached partitions."""
        return loaded_months(resources["postgres"], colour)

    def figures(self, resources: Resources, loaded: LoadedMonth, columns: Sequence[Column]) -> Figures:
        """Return the figures of the month's partition."""
        return month_figures(resources["postgres"], loaded.month, columns)


POSTGRES = PostgresDestination()
