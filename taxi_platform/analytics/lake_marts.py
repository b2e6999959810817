"""The marts over the lake: schema `marts` of `taxi.duckdb` in the data directory."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from taxi_platform.analytics.dbt_process import locked
from taxi_platform.analytics.marts import Marts, Query
from taxi_platform.data_directory import make_folder
from taxi_platform.destinations.base import Resources
from taxi_platform.destinations.lake.libraries import duckdb
from taxi_platform.destinations.lake.resource import Lake
from taxi_platform.destinations.lake.snapshot import lake_files, snapshot
from taxi_platform.settings import Settings
from taxi_platform.trips.columns import COLOURS


class LakeMarts(Marts):
    """Marts in a DuckDB file. DuckDB locks readers out while it writes, so a copy is built and then renamed."""

    @property
    def path(self) -> Path:
        """The DuckDB file."""
        return Settings().data_directory / "taxi.duckdb"

    @property
    def copy(self) -> Path:
        """The copy that is built. Views name the database they are in, which DuckDB takes from the file's name."""
        return self.folder / self.path.name

    @contextmanager
    def building(self, resources: Resources) -> Iterator[None]:
        """Hold the lock of the file, and replace the file by its copy at the end."""
        make_folder(self.folder)
        with locked(self.folder / "duckdb.lock"):
            for left_over in self.folder.glob(f"{self.copy.name}*"):
                left_over.unlink()
            if self.path.exists():
                shutil.copyfile(self.path, self.copy)
            yield
            if self.copy.exists():
                self.copy.replace(self.path)

    @contextmanager
    def connecting(self, resources: Resources) -> Iterator[Mapping[str, str]]:
        """Yield the paths of the copy and of the lake, and hard links to the lake's files as they are now.

        dbt reads the links, because months may be replaced meanwhile, and then points the views to the lake again.
        """
        lake: Lake = resources["lake"]
        with snapshot(lake, lake_files(lake)) as files:
            listed = {name: [str(path) for path in files if path.name.startswith(f"{name}_")] for name in COLOURS}
            yield {
                "DBT_DUCKDB_PATH": str(self.copy),
                "TAXI_LAKE_PATH": str(lake.folder),
                "TAXI_LAKE_FILES": json.dumps(listed),
            }

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
