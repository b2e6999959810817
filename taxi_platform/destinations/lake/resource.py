"""The lake as a Dagster resource: its folder and connections to DuckDB."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import dagster as dg
from pydantic import Field

from taxi_platform.destinations.lake.libraries import duckdb
from taxi_platform.errors import DatabaseUnavailable, ends_when_stopped
from taxi_platform.settings import Settings

MEMORY_LIMIT = "96MB"
"""Of DuckDB's buffers. Enough for files of any length: less costs time, and a process peaks 200 MB higher."""


class Lake(dg.ConfigurableResource):
    """The Parquet lake: a folder that all runs share."""

    path: str | None = Field(
        default=None, description="Folder of the lake. If empty: the setting TAXI_LAKE_PATH, else `lake` in TAXI_HOME."
    )
    merge_timeout: float = Field(default=600, description="Seconds to wait for other merges of the same colour.")

    @cached_property
    def _settings(self) -> Settings:
        return Settings()

    @property
    def is_set(self) -> bool:
        """Whether the folder is set. The default one may differ between the machines that runs use."""
        return bool(self.path or self._settings.lake_path)

    @property
    def folder(self) -> Path:
        """The lake's folder as an absolute path."""
        chosen = Path(self.path) if self.path else self._settings.lake_path or self._settings.data_directory / "lake"
        return chosen.expanduser().absolute()

    @contextmanager
    def connect(self, purpose: str, spill: Path | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a connection to a DuckDB in memory. Raise DatabaseUnavailable for an I/O error.

        `purpose` completes "The lake failed to ...". Results larger than memory are written to `spill`.
        """
        config = {
            # One thread writes smaller files than two, the same bytes each time, in the same time.
            "threads": 1,
            "memory_limit": MEMORY_LIMIT,
            "temp_directory": str(spill or ""),
            "autoinstall_known_extensions": False,
            "python_enable_replacements": False,
        }
        try:
            with ends_when_stopped(), duckdb.connect(config=config) as connection:
                yield connection
        except (duckdb.IOException, duckdb.OutOfMemoryException, OSError) as error:
            raise DatabaseUnavailable(
                f"The lake in {self.folder} failed to {purpose}: {str(error).splitlines()[0]}",
                "Check that the folder exists, is writable and has free disk space.",
            ) from error
