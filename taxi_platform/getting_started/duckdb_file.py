"""The resource for the DuckDB file of the products pipeline."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from dagster_duckdb import DuckDBResource
from duckdb import DuckDBPyConnection
from pydantic import Field

from taxi_platform.settings import Settings


class DuckDBFile(DuckDBResource):
    """dagster-duckdb's resource with a default file. DuckDB lets one process at a time write; others wait."""

    database: str = Field(default="", description="Path of the DuckDB file. Default: products.duckdb in TAXI_HOME.")

    @contextmanager
    def get_connection(self) -> Iterator[DuckDBPyConnection]:
        """Yield a connection and close it, also after an error; the library leaves it open, and the file locked."""
        path = Path(self.database or Settings().data_directory / "products.duckdb")
        path.parent.mkdir(parents=True, exist_ok=True)
        library = DuckDBResource(database=str(path), connection_config=self.connection_config)
        with library.get_connection() as connection, closing(connection):
            yield connection
