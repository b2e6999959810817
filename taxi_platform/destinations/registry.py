"""The destinations. Jobs, schedules, sensors, backfills and commands iterate over this list."""

from taxi_platform.destinations.base import Destination
from taxi_platform.destinations.bigquery.destination import BIGQUERY, BigQueryResources
from taxi_platform.destinations.lake.destination import LAKE, LakeResources
from taxi_platform.destinations.postgres.destination import POSTGRES, PostgresResources

DESTINATIONS: tuple[Destination, ...] = (POSTGRES, BIGQUERY, LAKE)


class DestinationResources(PostgresResources, BigQueryResources, LakeResources, total=False):
    """The resources of all destinations, by key."""


def resource_keys() -> set[str]:
    """Return the keys of the resources that `missing_settings` and `loaded_months` of all destinations use."""
    return set().union(*(destination.resource_keys for destination in DESTINATIONS))
