"""New York's taxi trips, month by month, into PostgreSQL, BigQuery and a Parquet lake, on Dagster.

Dagster's commands find the definitions here with `-m taxi_platform`. They are imported when they are first used, so
that importing one module of the package does not import all of it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taxi_platform.definitions import defs as defs


def __getattr__(name: str) -> Any:
    if name == "defs":
        from taxi_platform.definitions import defs  # noqa: PLC0415 - when it is first used

        return defs
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), "defs"]
