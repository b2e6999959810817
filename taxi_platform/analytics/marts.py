"""The marts of a destination: how dbt connects, how a build excludes others, and how the marts are read."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from taxi_platform.analytics.dbt_process import Dbt
from taxi_platform.destinations.base import Destination, Resources
from taxi_platform.settings import Settings
from taxi_platform.trips.columns import COLOURS
from taxi_platform.trips.partitions import TripMonth

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
        """Where dbt's files of this destination lie."""
        return Settings().home_folder / "dbt" / self.name

    def schema(self, resources: Resources) -> str:
        """Return the schema or dataset of the marts, as statements name it."""
        return "marts"

    @abstractmethod
    def building(self, resources: Resources) -> AbstractContextManager[Mapping[str, str]]:
        """Exclude other builds; yield the environment that profiles.yml reads."""

    @abstractmethod
    def reading(self, resources: Resources) -> AbstractContextManager[Query]:
        """Connect to the marts; yield what runs queries. Where none were built, a query returns no rows."""

    def days(self, resources: Resources, months: Iterable[TripMonth]) -> Sequence[str]:
        """Return the days on which the months' trips start, where dbt needs them as constants."""
        return ()

    @contextmanager
    def dbt(self, resources: Resources) -> Iterator[Dbt]:
        """Exclude other builds; yield dbt for this destination."""
        with self.building(resources) as environment:
            yield Dbt(self.name, self.folder, environment, Settings().dbt)

    def versions(self, resources: Resources, months: Iterable[TripMonth]) -> dict[str, str | None]:
        """Return the loaded version of each month's file, by its name; None for a file that is not loaded."""
        wanted = list(months)
        loaded = {
            month: record.sha256
            for colour in COLOURS.values()
            if any(month.colour == colour for month in wanted)
            for month, record in self.destination.loaded_months(resources, colour).items()
        }
        return {month.filename: loaded.get(month) for month in wanted}

    def built_files(self, resources: Resources) -> dict[str, dict[str, str | None]]:
        """Return the version of each file that each mart was built from, by mart and file name."""
        found: dict[str, dict[str, str | None]] = {}
        with self.reading(resources) as query:
            for mart, filename, sha256 in query(
                f"select mart, filename, sha256 from {self.schema(resources)}.built_files"
            ):
                found.setdefault(mart, {})[filename] = sha256
        return found
