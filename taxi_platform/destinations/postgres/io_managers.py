"""Resolves references to months in PostgreSQL."""

from typing import Any

import dagster as dg

from taxi_platform.destinations.postgres.catalog import attached
from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.destinations.postgres.staging import StagedMonth, find_staged, not_staged
from taxi_platform.trips.load_record import LoadedMonth
from taxi_platform.trips.partitions import TripMonth


class PostgresMonths(dg.ConfigurableIOManager):
    """References to staged and loaded months. Their record is a comment on the month's table, so nothing is stored."""

    postgres: dg.ResourceDependency[Postgres]

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Store nothing."""

    def load_input(self, context: dg.InputContext) -> StagedMonth | LoadedMonth:
        """Return a StagedMonth or a LoadedMonth, as the input is annotated. Raise NotStaged if there is none."""
        month = TripMonth.from_key(context.asset_partition_key)
        if context.dagster_type.typing_type is StagedMonth:
            return find_staged(self.postgres, month)
        with self.postgres.connect(f"looks up {month}") as connection:
            partition = attached(connection, month.colour).get(month.filename)
        if partition is None or partition.record is None:
            raise not_staged(month)
        return LoadedMonth(month, partition.record)
