"""Reads from the server's catalog which months are attached, their load records, and changes by hand."""

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.destinations.postgres.sql import statement
from taxi_platform.destinations.postgres.tables import RECORD_CHANGE, RECORD_TRUNCATE, SCHEMA, parent_name
from taxi_platform.trips.columns import Colour
from taxi_platform.trips.load_record import LoadRecord, is_current
from taxi_platform.trips.partitions import TripMonth

NAMED_CHANGES = 3
"""Changes by hand that a message names."""


@dataclass(frozen=True)
class Partition:
    """An attached partition."""

    oid: int
    schema: str
    relname: str
    bound: str
    comment: str | None

    @property
    def filename(self) -> str:
        """The file whose rows it holds; for a bound that is not of the platform's form, the bound's text."""
        return self.bound.removeprefix("FOR VALUES IN ('").removesuffix("')")

    @property
    def record(self) -> LoadRecord | None:
        """The load record."""
        return LoadRecord.from_json(self.comment)

    @property
    def table(self) -> sql.Identifier:
        """The partition as a table."""
        return sql.Identifier(self.schema, self.relname)


def attached(connection: psycopg.Connection, colour: Colour) -> dict[str, Partition]:
    """Return the partitions of a colour's table by file name; none if there is no table."""
    query = statement("partitions").format()
    with connection.cursor(row_factory=class_row(Partition)) as cursor:
        found = cursor.execute(query, {"parent": parent_name(colour)}).fetchall()
    if not all(partition.bound for partition in found):
        # One was dropped while the catalog was read: the server has no text for the bound of a dropped table.
        return attached(connection, colour)
    return {partition.filename: partition for partition in found}


def records_of(partitions: Mapping[str, Partition]) -> dict[str, LoadRecord]:
    """Return the load records by file name."""
    return {name: partition.record for name, partition in partitions.items() if partition.record}


def loaded_months(postgres: Postgres, colour: Colour) -> dict[TripMonth, LoadRecord]:
    """Return the record of each loaded month of a colour; none if there is no table."""
    with postgres.connect(f"reads load records of {colour.name}") as connection:
        records = records_of(attached(connection, colour))
    found = {TripMonth.from_file(colour, name): record for name, record in records.items()}
    return {month: record for month, record in found.items() if month is not None}


def count_rows(connection: psycopg.Connection, partition: Partition, condition: sql.Composable | None = None) -> int:
    """Return the number of rows in a partition for which the condition holds."""
    # In the partition: by filename in the parent, the server would compare the name of each row first.
    query = sql.SQL("select count(*) from {} where {}").format(partition.table, condition or sql.SQL("true"))
    found = connection.execute(query).fetchone()
    return found[0] if found else 0


def changes_by_hand(connection: psycopg.Connection, partition: Partition) -> str | None:
    """Return a sentence about the changes that triggers recorded since the partition was loaded, None without any."""
    disabled = connection.execute(
        "select 1 from pg_trigger where tgrelid = %s and tgname = any(%s) and tgenabled not in ('O', 'A')",
        [partition.oid, [RECORD_CHANGE, RECORD_TRUNCATE]],
    ).fetchone()
    if disabled:
        return f"The triggers of {partition.schema}.{partition.relname} that record changes were disabled."
    if connection.execute("select to_regclass(%s)", [f"{SCHEMA}.changes"]).fetchone() == (None,):
        return None
    changes = connection.execute(
        sql.SQL(
            "select operation, changed_by, to_char(changed_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') "
            "from {} where filename = %s order by changed_at, operation"
        ).format(sql.Identifier(SCHEMA, "changes")),
        [partition.filename],
    ).fetchall()
    if not changes:
        return None
    named = [f"{operation} by {user} at {at} UTC" for operation, user, at in changes[:NAMED_CHANGES]]
    if len(changes) > NAMED_CHANGES:
        named.append(f"{len(changes) - NAMED_CHANGES} more")
    return f"Rows of {partition.filename} were changed by hand since the month was loaded: {', '.join(named)}."


def is_intact(connection: psycopg.Connection, partition: Partition) -> bool:
    """Return whether a partition has the rows that were loaded, judged by their number and by the triggers."""
    record = partition.record
    try:
        complete = record is None or count_rows(connection, partition) == record.rows_in_table
    except psycopg.errors.UndefinedTable:
        return False  # Another run replaced it meanwhile.
    return complete and not changes_by_hand(connection, partition)


def is_loaded(
    connection: psycopg.Connection, partitions: Mapping[str, Partition], month: TripMonth, sha256: str
) -> bool:
    """Return whether the month is loaded from this version of its file and loading it again would change nothing.

    The files that have its duplicate rows must be intact too: a row that was deleted from one of them by hand would be
    in no file.
    """
    records = records_of(partitions)
    if not is_current(records, month, sha256):
        return False
    names = [month.filename, *records[month.filename].skipped]
    return all(is_intact(connection, partitions[name]) for name in names if name in partitions)
