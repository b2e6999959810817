"""The DuckDB file in which the products pipeline keeps its answer.

Not here: the tables and their statements; those are with the assets.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from dagster_duckdb import DuckDBResource
from duckdb import DuckDBPyConnection

from taxi_platform.settings import Settings


class DuckDBFile(DuckDBResource):
    """dagster-duckdb's resource with a place of its own. DuckDB lets one process at a time write; others wait."""

    database: str = ""
    """Empty: `products.duckdb` under TAXI_HOME."""

    @contextmanager
    def get_connection(self) -> Iterator[DuckDBPyConnection]:
        """A connection that is closed in any case; the library's own stays open, and locked, after an error."""
        path = Path(self.database or Settings().home_folder / "products.duckdb")
        path.parent.mkdir(parents=True, exist_ok=True)
        library = DuckDBResource(database=str(path), connection_config=self.connection_config)
        with library.get_connection() as connection, closing(connection):
            yield connection
