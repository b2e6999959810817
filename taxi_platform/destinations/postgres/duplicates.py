"""Finds and removes the staged rows that another file has already. Steps 5, 7 and 8 in docs/architecture.md."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import psycopg
from psycopg import sql

from taxi_platform.destinations.postgres.catalog import Partition
from taxi_platform.destinations.postgres.sql import statement
from taxi_platform.destinations.postgres.staging import STORAGE, index_out_of_month, index_pickups, loading_name
from taxi_platform.destinations.postgres.tables import (
    SCHEMA,
    is_out_of_month,
    name_of,
    staging_name,
    staging_table,
    timestamp,
)
from taxi_platform.trips.load_record import LoadRecord
from taxi_platform.trips.partitions import TripMonth

CREATE_DUPLICATES = "create temp table duplicates (unique_row_id text, pickup timestamp, filename text)"

FEW = 1000
"""Up to this number, pickups are looked up one by one through the BRIN index; for more a join is faster."""


@dataclass(frozen=True)
class Staged:
    """The staging table that is being merged. Another run may replace it until it is locked."""

    month: TripMonth
    oid: int
    record: LoadRecord


def find_duplicates(connection: psycopg.Connection, staging: Staged, partitions: Mapping[str, Partition]) -> None:
    """Insert into `duplicates` the rows of other months' partitions that the staged month may have too."""
    for partition in partitions.values():
        if partition.filename != staging.month.filename:
            try:
                with connection.transaction():
                    _find_duplicates_in(connection, staging, partition)
            except psycopg.errors.UndefinedTable:
                # Replaced meanwhile: step 7 notices that and reads it again.
                continue


def _find_duplicates_in(connection: psycopg.Connection, staging: Staged, partition: Partition) -> None:
    month = staging.month
    pickup = month.colour.pickup
    at, dropoff, out_of_month = name_of(pickup), name_of(month.colour.dropoff), is_out_of_month(month, pickup)
    times = sql.SQL("select coalesce(staged.{}, staged.{}) from {} as staged where {}").format(
        at, dropoff, staging_table(month), out_of_month
    )
    other_month = TripMonth.from_file(month.colour, partition.filename)
    pickups = sql.SQL("other.{} in ({})")
    if staging.record.out_of_month <= FEW:
        # Without statistics for a new table the planner would read it whole.
        connection.execute("set local enable_seqscan = off")
        pickups = sql.SQL("other.{} = any(array({}))")
    connection.execute(
        statement("find_duplicates").format(
            pickup=at,
            dropoff=dropoff,
            filename=sql.Literal(partition.filename),
            other=partition.table,
            other_out_of_month=is_out_of_month(other_month, pickup),
            start=timestamp(month.start),
            end=timestamp(month.end),
            staging=staging_table(month),
            staged_out_of_month=out_of_month,
            at_these_pickups=pickups.format(at, times),
        )
    )


def find_duplicates_again(
    connection: psycopg.Connection, staging: Staged, before: Mapping[str, Partition], now: Mapping[str, Partition]
) -> None:
    """Repeat step 5 for the partitions that were attached, replaced or detached since."""
    names = before.keys() | now.keys()
    changed = [name for name in names if getattr(before.get(name), "oid", 0) != getattr(now.get(name), "oid", 0)]
    connection.execute("delete from pg_temp.duplicates where filename = any(%s)", [changed])
    find_duplicates(connection, staging, {name: now[name] for name in changed if name in now})


def count_duplicates(connection: psycopg.Connection, staging: Staged) -> Counter[str]:
    """Return how many staged rows are duplicates of another file's rows, by that file."""
    counted = connection.execute("select count(*) from pg_temp.duplicates").fetchone()
    candidates = counted[0] if counted else 0
    if not candidates:
        return Counter()
    at_these_pickups = sql.SQL("true")
    with connection.transaction():
        if candidates <= FEW:
            connection.execute("set local enable_seqscan = off")
            at_these_pickups = sql.SQL(
                "(staged.{at} = any(array(select pickup from pg_temp.duplicates)) or staged.{at} is null)"
            ).format(at=name_of(staging.month.colour.pickup))
        found = connection.execute(
            statement("count_duplicates").format(
                staging=staging_table(staging.month), at_these_pickups=at_these_pickups
            )
        )
        skipped = Counter(dict(found.fetchall()))
        connection.execute("set local enable_seqscan = default")
    return skipped


def remove_duplicates(connection: psycopg.Connection, month: TripMonth) -> None:
    """Replace the staging table by one without the duplicates.

    Deleting them would leave them visible to snapshots that are older than this transaction and newer than staging.
    """
    name, staging = loading_name(month), staging_table(month)
    table = sql.Identifier(SCHEMA, name)
    connection.execute(sql.SQL("create table {} (like {} including constraints) {}").format(table, staging, STORAGE))
    connection.execute(
        sql.SQL(
            "insert into {} select * from {} as staged where not exists "
            "(select from pg_temp.duplicates where duplicates.unique_row_id = staged.unique_row_id)"
        ).format(table, staging)
    )
    index_out_of_month(connection, month, name)
    index_pickups(connection, month, name)
    connection.execute(sql.SQL("drop table {}").format(staging))
    rename = sql.SQL("alter table {} rename to {}")
    connection.execute(rename.format(table, sql.Identifier(staging_name(month))))
