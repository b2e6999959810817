"""The record of a month in Postgres: a comment on its partition, so that it lives and dies with the rows.

A month is loaded when this record says so, whatever Dagster's history holds.
"""

import json
from dataclasses import asdict, dataclass, field

from psycopg import sql


@dataclass(frozen=True)
class Record:
    """What a partition, or the staging table that becomes one, says of itself."""

    sha256: str
    """Of the gzip file that the rows come from."""
    rows: int
    """In the file."""
    strays: int
    """Rows of the file whose pickup lies outside its month, or is empty."""
    kept_by: dict[str, int] = field(default_factory=dict)
    """Rows that were not added because another file has them: how many, by that file's name."""
    keepers: dict[str, str] = field(default_factory=dict)
    """The sha256 of each of those files then. When one changes, the rows it kept have to be looked up again."""
    loaded_at: str | None = None
    """When the month was put in place, in ISO 8601; None while it is staged."""

    @property
    def rows_kept_elsewhere(self) -> int:
        return sum(self.kept_by.values())

    @property
    def rows_in_table(self) -> int:
        return self.rows - self.rows_kept_elsewhere

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
