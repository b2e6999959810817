"""The declaration of a table or view of the marts."""

from collections.abc import Mapping
from dataclasses import dataclass

TRIPS = "trips"
"""Placeholder in `depends_on` for the destination's table of trips."""


@dataclass(frozen=True)
class Model:
    """One table or view of the marts."""

    name: str
    materialized: str
    """dbt's materialization: `seed`, `table`, `view` or `incremental`."""
    by_file: bool
    """Whether a build replaces the rows of chosen files only."""
    description: str
    depends_on: tuple[str, ...]
    columns: Mapping[str, str]
    """Descriptions by name."""
    tests: Mapping[str, str]
    """Names of dbt's tests by the names of the asset checks."""
