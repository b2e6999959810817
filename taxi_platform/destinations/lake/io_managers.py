"""Resolves references to loaded months of the lake."""

from typing import Any

import dagster as dg

from taxi_platform.destinations.lake.lake_files import file_path, read_record
from taxi_platform.destinations.lake.resource import Lake
from taxi_platform.errors import NotStaged
from taxi_platform.trips.load_record import LoadedMonth
from taxi_platform.trips.partitions import TripMonth


class LakeMonths(dg.ConfigurableIOManager):
    """References to loaded months. The load record is part of the month's file, so nothing is stored."""

    lake: dg.ResourceDependency[Lake]

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Store nothing."""

    def load_input(self, context: dg.InputContext) -> LoadedMonth:
        """Return the month with the record in its file. Raise NotStaged if it is not loaded."""
        month = TripMonth.from_key(context.asset_partition_key)
        path = file_path(self.lake.folder, month)
        with self.lake.connect(f"read the load record of {month}") as connection:
            record = read_record(connection, path)
        if record is None:
            raise NotStaged(
                f"The lake does not have {month}: {path} does not exist or has no load record.",
                f"Materialize it with its upstream assets: --select '+key:lake_parquet' --partition '{month}'.",
            )
        return LoadedMonth(month, record)
