"""DuckDB, imported when it is first used: it takes 50 MB, and other destinations do not need it."""

from typing import TYPE_CHECKING

from taxi_platform.lazy_import import LazyModule

if TYPE_CHECKING:
    import duckdb
else:
    duckdb = LazyModule("duckdb")

__all__ = ["duckdb"]
