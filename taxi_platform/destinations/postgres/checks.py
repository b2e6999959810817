"""The checks of `postgres_tripdata`."""

from typing import Any

import psycopg

from taxi_platform.destinations.checks import Counted, month_checks
from taxi_platform.destinations.postgres.assets import postgres_tripdata
from taxi_platform.destinations.postgres.catalog import attached, changes_by_hand, count_rows
from taxi_platform.destinations.postgres.sql import statement
from taxi_platform.destinations.postgres.staging import not_staged
from taxi_platform.destinations.postgres.tables import is_out_of_month, parent_name
from taxi_platform.local.embedded_postgres import SERVER_SETTINGS
from taxi_platform.trips.columns import COLOURS
from taxi_platform.trips.load_record import LoadedMonth

LOCKS = "locks_for_all_months"
_LOCKS_PER_SLOT = 4
"""A lower limit: a stock server of version 15, with 64 slots for each of 100 connections, holds 32,000 locks."""


def count(resources: Any, loaded: LoadedMonth) -> Counted:
    """Return the rows in the month's partition, and what was changed by hand."""
    month = loaded.month
    with resources.postgres.connect(f"checks {month}") as connection:
        partition = attached(connection, month.colour).get(month.filename)
        if partition is None:
            raise not_staged(month)
        return Counted(
            rows=count_rows(connection, partition),
            out_of_month=count_rows(connection, partition, is_out_of_month(month, month.colour.pickup)),
            changed=changes_by_hand(connection, partition),
            warnings={LOCKS: _too_few_locks(connection)},
        )


def _too_few_locks(connection: psycopg.Connection) -> str | None:
    """Return what to set if the server's connections cannot all query all months at the same time, else None."""
    parents = [parent_name(colour) for colour in COLOURS.values()]
    found = connection.execute(statement("locks").format(), {"parents": parents}).fetchone()
    needed, slots = found or (0, 0)
    if needed <= slots * _LOCKS_PER_SLOT:
        return None
    wanted = int(SERVER_SETTINGS["max_locks_per_transaction"])
    while needed > wanted * _LOCKS_PER_SLOT:
        wanted *= 2
    return (
        f"A query over all months takes {needed} locks. With max_locks_per_transaction = {slots}, queries fail with "
        '"out of shared memory" if many run at the same time. '
        f"Run: alter system set max_locks_per_transaction = {wanted}; then restart the server."
    )


postgres_checks = month_checks(
    postgres_tripdata,
    frozenset({"postgres"}),
    count,
    {LOCKS: "Warns if the server's max_locks_per_transaction is too small for queries over all months."},
)
