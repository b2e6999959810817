"""The resource for the DuckDB file of the products pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from taxi_platform.lazy_import import LazyModule
from taxi_platform.settings import Settings

if TYPE_CHECKING:
    import dagster_duckdb
    from duckdb import DuckDBPyConnection
else:
    dagster_duckdb = LazyModule("dagster_duckdb")


class DuckDBFile(dg.ConfigurableResource):
    """A DuckDB file, opened by dagster-duckdb's resource. DuckDB lets one process at a time write; others wait.

    dagster-duckdb is imported with the first connection: it starts threads, and a process that has other threads
    cannot be forked.
    """

    database: str = Field(default="", description="Path of the DuckDB file. Default: products.duckdb in TAXI_HOME.")
    connection_config: dict[str, Any] = Field(default={}, description="DuckDB's settings of the connection.")

    @contextmanager
    def get_connection(self) -> Iterator[DuckDBPyConnection]:
        """Yield a connection and close it, also after an error; the library leaves it open, and the file locked."""
        path = Path(self.database or Settings().data_directory / "products.duckdb")
        path.parent.mkdir(parents=True, exist_ok=True)
        library = dagster_duckdb.DuckDBResource(database=str(path), connection_config=self.connection_config)
        with library.get_connection() as connection, closing(connection):
            yield connection
