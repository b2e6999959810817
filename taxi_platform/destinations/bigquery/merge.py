"""A month's rows into their place in `<colour>_tripdata`, in exchange for what stood there from the same file.

First it is looked which days are concerned and whether there is anything to do; then one transaction changes rows and
record together. Nothing that was looked at can have changed by then, because merges of a colour take turns: each one
counts the turn up in `taxi_loads` and fails when it is not the turn that it looked at. It then looks again.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from taxi_platform.destinations.bigquery import load_log as loads
from taxi_platform.destinations.bigquery.load_log import Load, Loads
from taxi_platform.destinations.bigquery.monthly import MonthlyTable, find_monthly, find_monthly_or_raise
from taxi_platform.destinations.bigquery.tables import (
    Sql,
    column_list,
    column_sql,
    merged_name,
    monthly_name,
    on_days,
    schema_fields,
    statement,
    table_columns,
    type_of,
)
from taxi_platform.errors import ForeignTable, GoogleUnavailable, TableBusy
from taxi_platform.google_cloud.dataset import Warehouse, job_labels
from taxi_platform.google_cloud.libraries import bigquery, exceptions
from taxi_platform.trips.columns import Colour
from taxi_platform.trips.load_record import MergeResult, is_current, rows_in_tables, skipped_for_another_version
from taxi_platform.trips.partitions import TripMonth

OVERTAKEN = "taxi_platform: another month was merged meanwhile"
MARK_LABEL = "taxi_platform"
ASSET = "bigquery_tripdata"

_CONFLICT = re.compile(
    rf"{re.escape(OVERTAKEN)}|aborted due to concurrent update|could not serialize access|"
    r"too many (?:concurrent )?(?:DML|mutation)|due to concurrent",
    re.IGNORECASE,
)
"""How BigQuery words a conflict: its reasons are those of any wrong query."""


@dataclass(frozen=True, kw_only=True)
class Merged(MergeResult):
    """What a merge did."""

    record: Load
    rows_replaced: int


class _OvertakenError(Exception):
    """Another merge came in between: look again."""


@dataclass(frozen=True)
class _Looked:
    """What a merge needs to know before its transaction."""

    staged: MonthlyTable
    mark: str
    before: Loads
    days: dict[date, int]
    """Trips by day of pickup."""
    undated: int
    """Trips without a pickup time."""

    @property
    def old(self) -> Load | None:
        return self.before.files.get(self.staged.month.filename)

    @property
    def strays(self) -> int:
        month = self.staged.month
        return self.undated + sum(trips for day, trips in self.days.items() if not month.has(day))


def merge(warehouse: Warehouse, month: TripMonth, *, patience_seconds: float) -> Merged:
    """Puts the month in its place; the five points of the contract hold when it returns.

    Raises TableBusy when other merges come in between for longer than `patience_seconds`.
    """
    loads.ensure(warehouse)
    mark = ensure_merged(warehouse, month.colour)
    attempts = Retrying(
        retry=retry_if_exception_type(_OvertakenError),
        wait=wait_random_exponential(multiplier=1, max=30),
        stop=stop_after_delay(patience_seconds),
        retry_error_callback=lambda state: _give_up(month, state),
    )
    return attempts(_merge_once, warehouse, month, mark)


def _merge_once(warehouse: Warehouse, month: TripMonth, mark: str) -> Merged:
    looked = _look(warehouse, month, mark)
    days, undated = _days_concerned(looked)
    held = rows_held(warehouse, month, days, undated=undated)
    old = looked.old
    current = is_current(looked.before.files, month, looked.staged.sha256)
    if old and current and held == old.rows_in_table:
        return _merged(looked.before, old, changed=False, replaced=None, rows_replaced=0)
    try:
        _exchange(warehouse, looked, on_days(month.colour.pickup, days, undated=undated))
    except exceptions.GoogleAPICallError as error:
        if _CONFLICT.search(error.message or ""):
            raise _OvertakenError from error
        raise
    staged = find_monthly(warehouse, month)
    if staged is None:
        raise GoogleUnavailable(
            f"{warehouse.name(monthly_name(month))} was made again while it was put in place.",
            "A rerun helps, when the run that makes it is done.",
        )
    if staged != looked.staged:
        # Another run staged another version of the file while this one was put in place.
        raise _OvertakenError
    after = loads.read(warehouse, month.colour, mark)
    if month.filename not in after.files:
        raise _OvertakenError
    record = after.files[month.filename]
    return _merged(after, record, changed=True, replaced=old, rows_replaced=held)


def _merged(after: Loads, record: Load, *, changed: bool, replaced: Load | None, rows_replaced: int) -> Merged:
    return Merged(
        record=record,
        changed=changed,
        replaced=replaced,
        rows_of_colour=rows_in_tables(after.files.values()),
        needs_reload=skipped_for_another_version(after.files, record.filename, record.sha256),
        rows_replaced=rows_replaced,
    )


def _look(warehouse: Warehouse, month: TripMonth, mark: str) -> _Looked:
    before = loads.read(warehouse, month.colour, mark)
    staged = find_monthly_or_raise(warehouse, month)
    found = warehouse.run(
        statement(
            "days",
            pickup=column_sql(month.colour.pickup),
            monthly=warehouse.name(monthly_name(month)).sql,
        ),
        job_labels(month, ASSET),
    )
    days = {row["pickup_day"]: row["trips"] for row in found}
    undated = days.pop(None, 0)
    return _Looked(staged, mark, before, days, undated)


def _days_concerned(looked: _Looked) -> tuple[set[date], bool]:
    """The days of the file and of the version that it replaces; whether either has rows without a pickup time."""
    old = looked.old
    return {*looked.days, *(old.days if old else ())}, bool(looked.undated or (old and old.undated))


def rows_held(warehouse: Warehouse, month: TripMonth, days: Iterable[date], *, undated: bool) -> int:
    """Rows of the month's file that stand in the merged table on these days, `undated`: also those without one."""
    (row,) = warehouse.run(
        statement(
            "held",
            merged=warehouse.name(merged_name(month.colour)).sql,
            on_these_days=on_days(month.colour.pickup, days, undated=undated),
        ),
        job_labels(month, ASSET),
        filename=month.filename,
    )
    return row["trips"]


def _exchange(warehouse: Warehouse, looked: _Looked, on_these_days: Sql) -> None:
    month = looked.staged.month
    warehouse.run(
        statement(
            "merge",
            merged=warehouse.name(merged_name(month.colour)).sql,
            monthly=warehouse.name(monthly_name(month)).sql,
            loads=warehouse.name(loads.TABLE).sql,
            columns=column_list(table_columns(month.colour)),
            on_these_days=on_these_days,
        ),
        job_labels(month, ASSET),
        colour=month.colour.name,
        filename=month.filename,
        table_mark=looked.mark,
        turn=looked.before.turn or 0,
        sha256=looked.staged.sha256,
        rows_in_file=looked.staged.rows,
        strays=looked.strays,
        days=sorted(looked.days),
        undated=looked.undated > 0,
        overtaken=OVERTAKEN,
    )


def loaded(warehouse: Warehouse, colour: Colour) -> dict[str, Load]:
    """What is loaded of a colour, by file name, as BigQuery itself says; makes nothing."""
    mark = _mark_of(warehouse.table(warehouse.name(merged_name(colour))), colour)
    if mark is None or warehouse.table(warehouse.name(loads.TABLE)) is None:
        return {}
    return loads.read(warehouse, colour, mark).files


def ensure_merged(warehouse: Warehouse, colour: Colour) -> str:
    """Makes the colour's merged table and its row in `taxi_loads` where they are missing; the table's mark.

    Raises ForeignTable when a table of that name is not ours; it is left as it is.
    """
    name = warehouse.name(merged_name(colour))
    there = warehouse.table(name)
    if there is None:
        table = bigquery.Table(str(name), schema=schema_fields(colour))
        table.time_partitioning = bigquery.TimePartitioning(field=colour.pickup.name)
        table.description = f"{colour.name.capitalize()} taxi trips, all months; taxi_loads says which are loaded."
        table.labels = {MARK_LABEL: uuid.uuid4().hex, "colour": colour.name}
        warehouse.create(table)
        there = warehouse.table(name)
    mark = _mark_of(there, colour)
    if mark is None:
        raise ForeignTable(
            f"{name} is there, and it is not ours or has other columns than ours. Nothing was changed.",
            "A rerun does not help until it is out of the way. This keeps it under another name, and months are "
            f"loaded from their files the next time they are run:\n\n"
            f"ALTER TABLE `{name}` RENAME TO `{name.table}_before`;",
        )
    if loads.read(warehouse, colour, mark).turn is None:
        _begin(warehouse, colour, mark)
    return mark


def _begin(warehouse: Warehouse, colour: Colour, mark: str) -> None:
    merged = warehouse.name(merged_name(colour))
    (row,) = warehouse.run(Sql(f"SELECT COUNT(*) AS trips FROM {merged.sql}"), {"colour": colour.name, "asset": ASSET})
    if row["trips"]:
        if loads.read(warehouse, colour, mark).turn is not None:
            # Another run began the record, and put the colour's first month in place, while this one counted.
            return
        raise ForeignTable(
            f"{merged} holds {row['trips']:,} rows, and {warehouse.name(loads.TABLE)} knows nothing of them: "
            "the record was lost. Nothing was changed.",
            "A rerun does not help. Restore taxi_loads as it was (BigQuery keeps a table's past for seven days: "
            "FOR SYSTEM_TIME AS OF), or drop the table and load its months again.",
        )
    loads.begin(warehouse, colour, mark)


def _mark_of(table: bigquery.Table | None, colour: Colour) -> str | None:
    """The mark of a table that is ours: labelled, partitioned by day of pickup, with the registry's columns."""
    if table is None:
        return None
    partitioning = table.time_partitioning
    ours = (
        partitioning is not None
        and (partitioning.type_, partitioning.field) == ("DAY", colour.pickup.name)
        and [(field.name, field.field_type) for field in table.schema]
        == [(column.name, type_of(column)) for column in table_columns(colour)]
    )
    return table.labels.get(MARK_LABEL) if ours else None


def _give_up(month: TripMonth, state: RetryCallState) -> Merged:
    raise TableBusy(
        f"Other months were merged into {month.colour.table} for {state.seconds_since_start:.0f} s, and {month} "
        "never had its turn.",
        "A rerun helps. Fewer months at once help too. The older version of the month is still in place, whole.",
    )
