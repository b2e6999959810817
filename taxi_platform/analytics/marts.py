"""The marts of a destination: how dbt connects, how a build excludes others, and how the marts are read."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from taxi_platform.analytics.dbt_process import Dbt
from taxi_platform.destinations.base import Destination, Resources
from taxi_platform.settings import Settings
from taxi_platform.trips.columns import COLOURS
from taxi_platform.trips.load_record import LoadRecord
from taxi_platform.trips.partitions import TripMonth

Version = Mapping[str, str]
"""A loaded version of a file, as `built_files` records it: `sha256` and `load_record`."""

Query = Callable[[str], list[tuple[Any, ...]]]
"""Runs a statement and returns its rows."""


class Marts(ABC):
    """The marts of one destination."""

    def __init__(self, destination: Destination) -> None:
        self.destination = destination

    @property
    def name(self) -> str:
        return self.destination.name

    @property
    def folder(self) -> Path:
        """The folder of dbt's files for this destination."""
        return Settings().data_directory / "dbt" / self.name

    def schema(self, resources: Resources) -> str:
        """Return the schema or dataset of the marts, as statements name it."""
        return "marts"

    @abstractmethod
    def building(self, resources: Resources) -> AbstractContextManager[None]:
        """Exclude other builds."""

    @abstractmethod
    def connecting(self, resources: Resources) -> AbstractContextManager[Mapping[str, str]]:
        """Yield the environment that profiles.yml reads. Its data can be read until the end of the block."""

    @abstractmethod
    def reading(self, resources: Resources) -> AbstractContextManager[Query]:
        """Connect to the marts; yield what runs queries. Where none were built, a query returns no rows."""

    def days(self, resources: Resources, months: Iterable[TripMonth]) -> Sequence[str]:
        """Return the days on which the months' trips start, where dbt needs them as constants."""
        return ()

    @contextmanager
    def dbt(self, resources: Resources, months: Iterable[TripMonth]) -> Iterator[tuple[Dbt, dict[str, Version | None]]]:
        """Exclude other builds; yield dbt for this destination, and the versions of these months' files.

        The versions are read before the rows can be, so a file that is reloaded meanwhile is recorded in its older
        version, and requested again.
        """
        with self.building(resources):
            versions = self.versions(resources, months)
            with self.connecting(resources) as environment:
                yield Dbt(self.name, self.folder, environment, Settings().dbt), versions

    def versions(self, resources: Resources, months: Iterable[TripMonth]) -> dict[str, Version | None]:
        """Return the loaded version of each month's file, by its name; None for a file that is not loaded."""
        wanted = list(months)
        loaded = {
            month: version_of(record)
            for colour in COLOURS.values()
            if any(month.colour == colour for month in wanted)
            for month, record in self.destination.loaded_months(resources, colour).items()
        }
        return {month.filename: loaded.get(month) for month in wanted}

    def built_files(self, resources: Resources) -> dict[str, dict[str, str | None]]:
        """Return the digest of the load record that each mart was built from, by mart and file name."""
        found: dict[str, dict[str, str | None]] = {}
        with self.reading(resources) as query:
            # A table that an earlier version built lacks the last column.
            for mart, filename, _, _, *load_record in query(f"select * from {self.schema(resources)}.built_files"):
                found.setdefault(mart, {})[filename] = load_record[0] if load_record else None
        return found


def version_of(record: LoadRecord) -> Version:
    """Return the sha256 of the file, and the digest of everything that decides which of its rows are loaded."""
    skipped = {name: [each.rows, each.sha256] for name, each in record.skipped.items()}
    decisive = json.dumps([record.sha256, record.columns, skipped], sort_keys=True)
    return {"sha256": record.sha256, "load_record": hashlib.sha256(decisive.encode()).hexdigest()}
