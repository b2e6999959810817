"""DuckDB, loaded at its first use: it takes 50 MB, and a run that loads another destination does not need it."""

from typing import TYPE_CHECKING

from taxi_platform.lazy_import import LazyModule

if TYPE_CHECKING:
    import duckdb
else:
    duckdb = LazyModule("duckdb")

__all__ = ["duckdb"]
