"""The Parquet lake as a `Destination`."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import dagster as dg

from taxi_platform.destinations.base import Destination, Resources
from taxi_platform.destinations.figures import Figures
from taxi_platform.destinations.lake.assets import lake_external, lake_object, lake_parquet
from taxi_platform.destinations.lake.checks import lake_checks
from taxi_platform.destinations.lake.figures import month_figures
from taxi_platform.destinations.lake.io_managers import LakeMonths
from taxi_platform.destinations.lake.lake_files import read_records
from taxi_platform.destinations.lake.resource import Lake
from taxi_platform.destinations.lake.shell import lake_command
from taxi_platform.trips.columns import Colour, Column
from taxi_platform.trips.load_record import LoadedMonth, LoadRecord
from taxi_platform.trips.partitions import TripMonth


class LakeResources(TypedDict, total=False):
    """The destination's resources and IO managers, by key."""

    lake: Lake
    lake_months: LakeMonths


class LakeDestination(Destination):
    """The Parquet lake: the folder of TAXI_LAKE_PATH, else `lake` in the data directory."""

    name = "lake"
    assets = (lake_parquet, lake_object)
    more_assets = (lake_external,)
    checks = (lake_checks,)
    commands = (lake_command,)
    resource_keys = frozenset({"lake"})

    @property
    def table(self) -> dg.AssetKey:
        """Key of the files, of which the objects in the bucket are copies."""
        return lake_parquet.key

    def resources(self, given: Resources) -> dict[str, Any]:
        """Return the lake and the IO manager on it."""
        lake = given.get("lake") or Lake()
        return {"lake": lake, "lake_months": LakeMonths(lake=lake)}

    def is_scheduled(self, resources: Resources) -> bool:
        """Return whether the lake's folder is set, so that all runs share it."""
        return resources["lake"].is_set

    def loaded_months(self, resources: Resources, colour: Colour) -> Mapping[TripMonth, LoadRecord]:
        """Return the load records in the metadata of the files."""
        lake: Lake = resources["lake"]
        with lake.connect(f"read the load records of {colour.name}") as connection:
            return read_records(connection, lake.folder, colour)

    def figures(self, resources: Resources, loaded: LoadedMonth, columns: Sequence[Column]) -> Figures:
        """Return the figures of the month's file."""
        return month_figures(resources["lake"], loaded.month, columns)


LAKE = LakeDestination()
