"""The record of a month in Postgres: a comment on its partition, so that it lives and dies with the rows.

A month is loaded when this record says so, whatever Dagster's history holds.
"""

import json
from dataclasses import asdict, dataclass

from psycopg import sql

from taxi_platform.trips.load_record import FileRecord


@dataclass(frozen=True)
class Record(FileRecord):
    """What a partition, or the staging table that becomes one, says of itself."""

    loaded_at: str | None = None
    """When the month was put in place, in ISO 8601; None while it is staged."""

    def comment_on(self, table: sql.Identifier) -> sql.Composed:
        """The statement that writes the record; DDL cannot bind values, so it stands there as a literal."""
        return sql.SQL("comment on table {} is {}").format(table, sql.Literal(json.dumps(asdict(self))))

    @classmethod
    def parse(cls, comment: str | None) -> "Record | None":
        """The record in a table's comment, or None where there is none of ours."""
        try:
            return cls(**json.loads(comment or ""))
        except (ValueError, TypeError):
            return None
