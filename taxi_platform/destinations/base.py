"""`Destination`: the interface that jobs, schedules, sensors, backfills and commands have to each destination.

Each destination is a folder beside this module with one instance, listed in `registry`. Code outside the folder does
not name it, but iterates over the registry.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import click
import dagster as dg

from taxi_platform.destinations.figures import Figures
from taxi_platform.errors import BadSetting
from taxi_platform.trips.columns import Colour, Column
from taxi_platform.trips.load_record import LoadedMonth, LoadRecord
from taxi_platform.trips.partitions import TripMonth

SOURCE = dg.AssetKey("raw_csv")
"""The asset that every destination loads from."""

Resources = Mapping[str, Any]
"""Resources of a run, a schedule or a sensor, by key."""


class Destination(ABC):
    """A place that trips are loaded to."""

    name: ClassVar[str]
    """Name of the asset group and the folder, and the value of `--destination`."""
    aliases: ClassVar[tuple[str, ...]] = ()
    """Earlier names, accepted by `--destination` and not shown."""
    assets: ClassVar[Sequence[dg.AssetsDefinition]]
    """The assets that load a month: from the one after `raw_csv` to the table that analysts query, then its copies."""
    more_assets: ClassVar[Sequence[dg.AssetsDefinition]] = ()
    """Assets of the group that loading a month does not need."""
    checks: ClassVar[Sequence[dg.AssetChecksDefinition]]
    commands: ClassVar[Sequence[click.Command]] = ()
    """Subcommands of `taxi-platform` that only this destination has."""
    resource_keys: ClassVar[frozenset[str]]
    """Keys of the resources that `missing_settings` and `loaded_months` use; they are cheap to initialize."""

    @abstractmethod
    def resources(self, given: Resources) -> dict[str, Any]:
        """Return the destination's resources and IO managers by key, built on those in `given` where it has them."""

    @abstractmethod
    def loaded_months(self, resources: Resources, colour: Colour) -> Mapping[TripMonth, LoadRecord]:
        """Return the load record of each loaded month, read from the destination itself. Create nothing.

        Raise a TransientError if the destination does not respond.
        """

    @abstractmethod
    def figures(self, resources: Resources, loaded: LoadedMonth, columns: Sequence[Column]) -> Figures:
        """Return the figures of these columns of a loaded month, computed from its current rows."""

    def missing_settings(self, resources: Resources) -> Sequence[str]:
        """Return the names of the settings without which trips cannot be loaded here."""
        return ()

    def is_scheduled(self, resources: Resources) -> bool:
        """Return whether schedules, sensor and freshness include the destination."""
        return not self.missing_settings(resources)

    def require_settings(self, resources: Resources) -> None:
        """Raise BadSetting if a setting is missing."""
        missing = self.missing_settings(resources)
        if missing:
            raise BadSetting(f"The destination {self.name} is not configured.", f"Set {' and '.join(missing)}.")

    @property
    def asset_keys(self) -> tuple[dg.AssetKey, ...]:
        """Keys of the assets that load a month."""
        return tuple(asset.key for asset in self.assets)

    @property
    def keys_of_table(self) -> tuple[dg.AssetKey, ...]:
        """Keys of the assets up to the table, without copies of it."""
        return self.asset_keys[: self.asset_keys.index(self.table) + 1]

    @property
    def table(self) -> dg.AssetKey:
        """Key of the asset that is the table to query."""
        return self.assets[-1].key
