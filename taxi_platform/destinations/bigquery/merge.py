"""The merge of a month: its rows replace the older version of the file in `<colour>_tripdata`, in one transaction.

The steps are numbered as in docs/architecture.md, "BigQuery", which explains why concurrent merges are right.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from taxi_platform.destinations.bigquery import load_log
from taxi_platform.destinations.bigquery.load_log import Load, LoadLog
from taxi_platform.destinations.bigquery.merged_table import (
    ASSET,
    begin_log,
    content_difference,
    days_of_file,
    ensure_merged,
)
from taxi_platform.destinations.bigquery.monthly import MonthlyTable, find_monthly
from taxi_platform.destinations.bigquery.tables import (
    column_list,
    content_of_rows,
    monthly_name,
    on_days,
    statement,
    table_columns,
)
from taxi_platform.errors import GoogleUnavailable, TableBusy
from taxi_platform.google_cloud.dataset import Dataset, Dates, Row, Work, job_labels
from taxi_platform.google_cloud.identifiers import Sql, identifier
from taxi_platform.google_cloud.libraries import exceptions
from taxi_platform.trips.load_record import (
    VERSION,
    MergeResult,
    is_current,
    rows_in_tables,
    skipped_for_another_version,
)
from taxi_platform.trips.partitions import TripMonth

if TYPE_CHECKING:
    from taxi_platform.google_cloud.resources import WarehouseResource

OVERTAKEN = "taxi_platform: another merge was committed meanwhile"

_CONFLICT = re.compile(
    rf"{re.escape(OVERTAKEN)}|aborted due to concurrent update|could not serialize access|"
    r"too many (?:concurrent )?(?:DML|mutation)|due to concurrent",
    re.IGNORECASE,
)
"""BigQuery's messages for a conflict. The error's reason does not tell a conflict from an invalid query."""


@dataclass(frozen=True, kw_only=True)
class Merged(MergeResult):
    """The outcome of a merge in BigQuery."""

    work: Work


class _OvertakenError(Exception):
    """Another merge was committed since this one read the load log."""


@dataclass(frozen=True)
class _State:
    """What step 2 read: the load log, and the days on which the transaction changes or compares rows."""

    staged: MonthlyTable
    mark: str
    log: LoadLog
    trips_by_day: Mapping[date | None, int]
    """Rows of the monthly table by day of pickup, None for undated rows."""
    days: frozenset[date | None]
    """Days on which the merged table may have rows of the file or duplicates of them, None for undated rows."""
    found_elsewhere: bool
    """Whether the merged table has rows of the file on days on which it should have none."""

    @property
    def month(self) -> TripMonth:
        return self.staged.month

    @property
    def old(self) -> Load | None:
        return self.log.files.get(self.month.filename)

    @property
    def out_of_month(self) -> int:
        return sum(trips for day, trips in self.trips_by_day.items() if day is None or not self.month.has(day))

    @property
    def on_these_days(self) -> Sql:
        days = [day for day in self.days if day is not None]
        return on_days(self.month.colour.pickup, days, undated=None in self.days)


def merge(bigquery: WarehouseResource, monthly: MonthlyTable) -> Merged:
    """Load the rows of a monthly table into the merged table; the guarantees hold when it returns.

    Raise TableBusy if other merges keep being committed first for longer than the resource's `merge_timeout`.
    """
    month = monthly.month
    given: MonthlyTable | None = monthly
    with bigquery.open_dataset(f"merging {month}") as dataset:
        mark = ensure_merged(dataset, month.colour)

        def attempt() -> Merged:
            nonlocal given
            staged, given = given or _find_again(dataset, month), None
            return _merge_once(dataset, staged, mark)

        attempts = Retrying(
            retry=retry_if_exception_type(_OvertakenError),
            wait=wait_random_exponential(multiplier=1, max=30),
            stop=stop_after_delay(bigquery.cloud.merge_timeout),
            retry_error_callback=lambda state: _give_up(month, state),
        )
        return attempts(attempt)


def _find_again(dataset: Dataset, month: TripMonth) -> MonthlyTable:
    found = find_monthly(dataset, month)
    if found is None:
        raise GoogleUnavailable(
            f"{dataset.table_name(monthly_name(month))} was replaced by another run while it was merged."
        )
    return found


def _merge_once(dataset: Dataset, staged: MonthlyTable, mark: str) -> Merged:
    before = _read_state(dataset, staged, mark)
    if before.old and _is_unchanged(dataset, before):
        return _result(dataset, before.log, before.old, changed=False, replaced=None)
    try:
        after = load_log.parse(_replace_rows(dataset, before))
    except exceptions.GoogleAPICallError as error:
        if _CONFLICT.search(error.message or ""):
            raise _OvertakenError from error
        raise
    record = after.files.get(before.month.filename)
    if record is None:
        raise _OvertakenError
    return _result(dataset, after, record, changed=True, replaced=before.old)


def _result(dataset: Dataset, log: LoadLog, record: Load, *, changed: bool, replaced: Load | None) -> Merged:
    return Merged(
        record=record,
        changed=changed,
        replaced=replaced,
        rows_of_colour=rows_in_tables(log.files.values()),
        needs_reload=skipped_for_another_version(log.files, record.filename, record.sha256),
        work=dataset.work,
    )


def _read_state(dataset: Dataset, staged: MonthlyTable, mark: str) -> _State:
    """Read the load log, the days of the monthly table, and the number of rows of the merged table. Step 2."""
    month = staged.month
    found = _query_state(dataset, month, mark)
    log = load_log.parse(found["loads"])
    if "content" not in found["loads"][0]:
        load_log.ensure(dataset)
    trips: dict[date | None, int] = {}
    days: set[date | None] = set()
    for each in found["days"]:
        trips[each["pickup_day"]] = trips.get(each["pickup_day"], 0) + each["trips"]
        # A row with only a pickup and one with only a dropoff can have equal ids.
        days |= {each["pickup_day"], *({each["dropoff_day"]} - {None}), *([None] if each["no_dropoff"] else [])}
    old = log.files.get(month.filename)
    recorded = {*old.days, *([None] if old.undated else [])} if old else set()
    elsewhere: set[date | None] = set()
    if found["rows_of_table"] != rows_in_tables(log.files.values()):
        # Rows were inserted or deleted by hand, perhaps of this file.
        elsewhere = days_of_file(dataset, month) - recorded
    return _State(staged, mark, log, trips, frozenset(days | recorded | elsewhere), bool(elsewhere))


def _query_state(dataset: Dataset, month: TripMonth, mark: str) -> Row:
    text = statement(
        "before",
        loads=dataset.table_name(load_log.TABLE).sql,
        monthly=dataset.table_name(monthly_name(month)).sql,
        merged=dataset.table_name(month.colour.table).sql,
        pickup=identifier(month.colour.pickup.name),
        dropoff=identifier(month.colour.dropoff.name),
    )
    labels = job_labels(month, ASSET)
    values = {"colour": month.colour.name, "table_mark": mark}
    try:
        (row,) = dataset.run(text, labels, **values)
    except exceptions.NotFound:
        row = None
    if row is None or load_log.parse(row["loads"]).merges is None:
        begin_log(dataset, month.colour, mark)
        (row,) = dataset.run(text, labels, **values)
    return row


def _is_unchanged(dataset: Dataset, state: _State) -> bool:
    """Return whether the month is loaded from this file and no row of it is missing or was changed by hand. Step 3.

    The rows that were skipped must still be in the files that had them.
    """
    old = state.old
    if old is None or state.found_elsewhere or not is_current(state.log.files, state.month, state.staged.sha256):
        return False
    (row,) = dataset.run(
        statement(
            "unchanged",
            content=content_of_rows(state.month.colour),
            monthly=dataset.table_name(monthly_name(state.month)).sql,
            merged=dataset.table_name(state.month.colour.table).sql,
            on_these_days=state.on_these_days,
        ),
        job_labels(state.month, ASSET),
        filename=state.month.filename,
    )
    skipped = {each["filename"]: each["trips"] for each in row["skipped"]}
    return not content_difference(old, json.loads(row["content"])) and skipped == {
        name: each.rows for name, each in old.skipped.items()
    }


def _replace_rows(dataset: Dataset, state: _State) -> list[Row]:
    """Replace the rows and the record in one transaction, and return the rows of the load log after it. Step 4."""
    month, columns = state.month, table_columns(state.month.colour)
    return dataset.run(
        statement(
            "merge",
            merged=dataset.table_name(month.colour.table).sql,
            monthly=dataset.table_name(monthly_name(month)).sql,
            loads=dataset.table_name(load_log.TABLE).sql,
            columns=column_list(columns),
            content=content_of_rows(month.colour),
            on_these_days=state.on_these_days,
        ),
        job_labels(month, ASSET),
        colour=month.colour.name,
        filename=month.filename,
        table_mark=state.mark,
        turn=state.log.merges or 0,
        version=VERSION,
        sha256=state.staged.sha256,
        staged_content=state.staged.content,
        rows_in_file=state.staged.rows,
        out_of_month=state.out_of_month,
        days=Dates(sorted(day for day in state.trips_by_day if day is not None)),
        undated=None in state.trips_by_day,
        columns=[column.name for column in columns],
        overtaken=OVERTAKEN,
    )


def _give_up(month: TripMonth, state: RetryCallState) -> Merged:
    raise TableBusy(
        f"Other months were merged into {month.colour.table} for {state.seconds_since_start:.0f} s, and {month} could "
        "not be merged in between. The older version of the month is unchanged.",
        "Load fewer months at the same time.",
    )
