"""The marts over the lake: schema `marts` of `taxi.duckdb` in the data directory."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxi_platform.analytics.dbt_process import locked
from taxi_platform.analytics.marts import Marts, Query
from taxi_platform.data_directory import make_folder
from taxi_platform.destinations.base import Resources
from taxi_platform.lazy_import import LazyModule
from taxi_platform.settings import Settings

if TYPE_CHECKING:
    import duckdb
else:
    duckdb = LazyModule("duckdb")


class LakeMarts(Marts):
    """Marts in a DuckDB file. DuckDB locks readers out while it writes, so a copy is built and then renamed."""

    @property
    def path(self) -> Path:
        """The DuckDB file."""
        return Settings().home_folder / "taxi.duckdb"

    @contextmanager
    def building(self, resources: Resources) -> Iterator[Mapping[str, str]]:
        """Hold the lock of the file; yield the paths of its copy and of the lake, and replace the file by the copy."""
        make_folder(self.folder)
        # Views name the database they are in, which DuckDB takes from the file's name.
        copy = self.folder / self.path.name
        with locked(self.folder / "duckdb.lock"):
            for left_over in self.folder.glob(f"{copy.name}*"):
                left_over.unlink()
            if self.path.exists():
                shutil.copyfile(self.path, copy)
            yield {"DBT_DUCKDB_PATH": str(copy), "TAXI_LAKE_PATH": str(resources["lake"].folder)}
            if copy.exists():
                copy.replace(self.path)

    @contextmanager
    def reading(self, resources: Resources) -> Iterator[Query]:
        """Open the file for reading."""
        if not self.path.exists():
            yield lambda statement: []
            return
        with duckdb.connect(str(self.path), read_only=True) as connection:

            def query(statement: str) -> list[tuple[Any, ...]]:
                try:
                    return connection.execute(statement).fetchall()
                except duckdb.CatalogException:
                    return []

            yield query
