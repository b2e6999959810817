"""The merge: which statements are sent, what happens if months are merged at the same time, and what is refused.

The emulator neither prunes partitions nor detects conflicts, so the tests read the statements, and the proxy responds
with BigQuery's messages.
"""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest

from taxi_platform.destinations.bigquery.merge import Merged, merge
from taxi_platform.destinations.bigquery.merged_table import loaded_files, loaded_months
from taxi_platform.destinations.bigquery.monthly import MonthlyTable, find_monthly
from taxi_platform.errors import ForeignTable, GoogleRefused, GoogleUnavailable, MissingRight, TableBusy
from taxi_platform.google_cloud.connection import GoogleCloud
from taxi_platform.google_cloud.dataset import Dataset
from taxi_platform.google_cloud.resources import WarehouseResource
from taxi_platform.trips.columns import GREEN
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.support.google_fixtures import Load, Query, Stage, Write
from taxi_platform_tests.support.trip_files import trip
from taxi_platform_tests.support.unreliable_google import Request, UnreliableGoogle, error
from taxi_platform_tests.support.waiting import PATIENCE

MARCH = TripMonth.from_key("green|2020-03")
APRIL = TripMonth.from_key("green|2020-04")
YELLOW = TripMonth.from_key("yellow|2020-04")

CONFLICT = error(
    400,
    "invalidQuery",
    "Query error: Transaction is aborted due to concurrent update against table "
    "test-project:zoomcamp.taxi_loads. Transaction ID: 5f3e2a at [10:1]",
)


def is_merge(request: Request) -> bool:
    return "BEGIN TRANSACTION" in request.statement


def days_named(statement: str, table: str) -> list[set[tuple[str, str]]]:
    """Return the ranges of days in each place in which the statement reads or changes the table."""
    places = re.findall(rf"(?:FROM|INTO) `[\w.-]+\.{table}`([^;`]*)", statement)
    return [set(re.findall(r"BETWEEN TIMESTAMP '(\S+) [^']*' AND TIMESTAMP '(\S+) ", place)) for place in places]


def side_by_side(cloud: GoogleCloud, *months: MonthlyTable) -> list[Merged]:
    """Merge the months at the same time, each with a client of its own."""

    def run(monthly: MonthlyTable) -> Merged:
        return merge(WarehouseResource(cloud=GoogleCloud(**cloud.model_dump())), monthly)

    with ThreadPoolExecutor(len(months)) as pool:
        return list(pool.map(run, months))


def test_merge_names_days_of_both_versions_as_constants(
    load: Load, write: Write, bigquery_front: UnreliableGoogle
) -> None:
    load(write(APRIL, [trip(APRIL, "02 02:00:00"), trip(APRIL, "2008-12-31 23:00:00"), trip(APRIL, "01 02:00:00")]))
    bigquery_front.requests.clear()
    load(write(APRIL, [trip(APRIL, "05 05:00:00"), trip(APRIL, "2041-01-01 00:00:00")]))
    expected = {
        ("2008-12-31", "2008-12-31"),
        ("2020-04-01", "2020-04-02"),
        ("2020-04-05", "2020-04-05"),
        ("2041-01-01", "2041-01-01"),
    }
    (sent,) = [sent for sent in bigquery_front.statements if "BEGIN TRANSACTION" in sent]
    assert days_named(sent, "green_tripdata").count(expected) == 4


def test_every_read_of_the_table_names_days(load: Load, write: Write, bigquery_front: UnreliableGoogle) -> None:
    """All but COUNT(*) of the whole table, which reads no bytes."""
    file = write(APRIL, [trip(APRIL)])
    load(file)
    load(file)
    sent = " ".join(bigquery_front.statements)
    mentions = re.findall(r"(?:FROM|JOIN|UPDATE) `[\w.-]+\.green_tripdata`[^;)]*", sent)
    counts = sent.count("SELECT COUNT(*) FROM `") + sent.count("SELECT COUNT(*) AS trips FROM `")
    assert sum("BETWEEN TIMESTAMP '2020-04-01 00:00:00+00'" in mention for mention in mentions) == 6
    assert len(mentions) == 6 + counts


def test_values_are_parameters_and_jobs_have_labels(load: Load, write: Write, bigquery_front: UnreliableGoogle) -> None:
    file = write(APRIL, [trip(APRIL)])
    load(file)
    for request in filter(is_merge, bigquery_front.requests):
        given = {each["name"]: each for each in request.query["queryParameters"]}
        assert given["filename"]["parameterValue"] == {"value": APRIL.filename}
        assert given["days"]["parameterType"]["arrayType"] == {"type": "DATE"}
        assert request.query["labels"] == {"colour": "green", "month": "2020-04", "asset": "bigquery_tripdata"}
        assert request.query["jobTimeoutMs"]
    for statement in bigquery_front.statements:
        assert APRIL.filename not in statement
        assert file.sha256 not in statement


def test_rows_and_record_change_in_one_transaction(load: Load, write: Write, bigquery_front: UnreliableGoogle) -> None:
    load(write(APRIL, [trip(APRIL)]))
    (sent,) = [sent for sent in bigquery_front.statements if "BEGIN TRANSACTION" in sent]
    inside = sent[sent.index("BEGIN TRANSACTION") : sent.index("COMMIT TRANSACTION")]
    for change in ("UPDATE", "DELETE FROM", "INSERT INTO"):
        assert sent.count(change) == inside.count(change) > 0
    assert inside.index("UPDATE") < inside.index("DELETE FROM"), (
        "the merge updates the colour's row before it changes anything"
    )


def test_first_load_and_rerun_take_few_requests(
    stage: Stage, write: Write, bigquery: WarehouseResource, bigquery_front: UnreliableGoogle
) -> None:
    merge(bigquery, stage(write(MARCH, [trip(MARCH)])))
    monthly = stage(write(APRIL, [trip(APRIL)]))
    for expected in (["GET", "POST", "POST"], ["GET", "POST", "POST"]):
        bigquery_front.requests.clear()
        merge(bigquery, monthly)
        assert [request.method for request in bigquery_front.requests] == expected


def test_tables_are_partitioned_and_described(load: Load, write: Write, dataset: Dataset) -> None:
    load(write(APRIL, [trip(APRIL)]))
    for name in ("green_tripdata", "green_tripdata_2020_04", "green_tripdata_2020_04_ext", "taxi_loads"):
        table = dataset.get_table(dataset.table_name(name))
        assert table is not None
        assert [field.name for field in table.schema if not field.description] == []
    merged = dataset.get_table(dataset.table_name("green_tripdata"))
    assert merged is not None
    assert merged.time_partitioning is not None
    assert (merged.time_partitioning.type_, merged.time_partitioning.field) == ("DAY", "lpep_pickup_datetime")
    types = {field.name: field.field_type for field in merged.schema}
    assert list(types) == ["unique_row_id", "filename", *(column.name for column in GREEN.columns)]
    assert {name: types[name] for name in ("unique_row_id", "filename", "lpep_pickup_datetime", "VendorID")} == {
        "unique_row_id": "BYTES",
        "filename": "STRING",
        "lpep_pickup_datetime": "TIMESTAMP",
        "VendorID": "STRING",
    }
    others = {"passenger_count": "INTEGER", "payment_type": "INTEGER", "trip_type": "STRING", "fare_amount": "NUMERIC"}
    assert {name: types[name] for name in others} == others


def test_record_describes_the_loaded_file(load: Load, write: Write, dataset: Dataset) -> None:
    no_times = {"lpep_dropoff_datetime": "", "lpep_pickup_datetime": ""}
    file = write(APRIL, [trip(APRIL), trip(APRIL, "2020-03-31 23:59:59"), trip(APRIL, **no_times)])
    load(file)
    record = loaded_files(dataset, GREEN)[APRIL.filename]
    assert (record.sha256, record.rows, record.out_of_month, record.undated) == (file.sha256, 3, 2, True)
    assert record.days == (date(2020, 3, 31), date(2020, 4, 1))
    assert record.columns == ("unique_row_id", "filename", *(column.name for column in GREEN.columns))
    assert (record.content["row_count"], float(record.content["fare_amount"])) == (3, 24)
    assert record.version == 2


def test_conflict_is_retried_after_reading_again(
    load: Load, write: Write, query: Query, bigquery_front: UnreliableGoogle
) -> None:
    bigquery_front.fail(2, CONFLICT, is_merge)
    merged = load(write(APRIL, [trip(APRIL)]))
    assert merged.record.rows_in_table == 1
    assert query("SELECT COUNT(*) FROM {green_tripdata}") == [(1,)]
    sent = bigquery_front.statements
    assert sum("BEGIN TRANSACTION" in each for each in sent) == 3
    assert sum("AS no_dropoff" in each for each in sent) == 4, "the first one finds no load log"


def test_conflicts_until_the_timeout_are_reported(
    stage: Stage, write: Write, cloud: GoogleCloud, bigquery_front: UnreliableGoogle
) -> None:
    monthly = stage(write(APRIL, [trip(APRIL)]))
    bigquery_front.fail(1000, CONFLICT, is_merge)
    impatient = WarehouseResource(cloud=GoogleCloud(**{**cloud.model_dump(), "merge_timeout": 2}))
    with pytest.raises(TableBusy, match=r"green\|2020-04 could not be merged"):
        merge(impatient, monthly)


def test_wrong_statement_is_not_retried(
    stage: Stage, write: Write, bigquery: WarehouseResource, bigquery_front: UnreliableGoogle
) -> None:
    monthly = stage(write(APRIL, [trip(APRIL)]))
    bigquery_front.fail(1000, error(400, "invalidQuery", "Syntax error: Unexpected keyword"), is_merge)
    with pytest.raises(GoogleRefused, match="Syntax error"):
        merge(bigquery, monthly)
    assert sum(map(is_merge, bigquery_front.requests)) == 1


def test_duplicate_of_two_concurrent_merges_is_loaded_once(
    stage: Stage, write: Write, query: Query, cloud: GoogleCloud, bigquery_front: UnreliableGoogle
) -> None:
    """Both have read the load log before either transaction, so the later one must read it again."""
    shared = trip(MARCH, "2020-04-05 10:00:00")
    months = [stage(write(MARCH, [shared, trip(MARCH)])), stage(write(APRIL, [shared, trip(APRIL)]))]
    both_read = threading.Barrier(2)
    held: set[str] = set()

    def hold(request: Request) -> None:
        name = str(request.query["queryParameters"]) if is_merge(request) else ""
        if name and len(held) < 2:
            held.add(name)
            both_read.wait(PATIENCE)

    bigquery_front.rules.append(hold)
    merged = side_by_side(cloud, *months)
    assert sorted(one.record.rows_in_table for one in merged) == [1, 2]
    assert query("SELECT COUNT(*), COUNT(DISTINCT unique_row_id) FROM {green_tripdata}") == [(3, 3)]
    assert sum(map(is_merge, bigquery_front.requests)) == 3


def test_concurrent_months_and_colours_are_complete(
    stage: Stage, write: Write, query: Query, cloud: GoogleCloud
) -> None:
    months = [TripMonth(GREEN, f"2020-{n:02}") for n in range(1, 5)] + [YELLOW]
    shared = {GREEN.name: trip(APRIL, "2020-02-20 20:00:00"), YELLOW.colour.name: trip(YELLOW, "2020-02-20 20:00:00")}
    tables = [
        stage(write(month, [shared[month.colour.name], trip(month), trip(month, "03 03:00:00")])) for month in months
    ]
    merged = side_by_side(cloud, *tables)
    assert sorted(one.record.rows_in_table for one in merged) == [2, 2, 2, 3, 3]
    assert query("SELECT COUNT(*), COUNT(DISTINCT unique_row_id) FROM {green_tripdata}") == [(9, 9)]
    assert query("SELECT COUNT(*) FROM {yellow_tripdata}") == [(3,)]
    assert query("SELECT COUNT(*) FROM {taxi_loads} WHERE filename IS NOT NULL") == [(5,)]


def test_two_runs_of_one_month_load_it_once(stage: Stage, write: Write, query: Query, cloud: GoogleCloud) -> None:
    monthly = stage(write(APRIL, [trip(APRIL), trip(APRIL, "02 02:00:00")]))
    merged = side_by_side(cloud, monthly, monthly)
    assert [one.record.rows_in_table for one in merged] == [2, 2]
    assert query("SELECT COUNT(*) FROM {green_tripdata}") == [(2,)]
    assert query("SELECT COUNT(*) FROM {taxi_loads} WHERE filename IS NOT NULL") == [(1,)]


def test_version_staged_during_the_merge_is_merged(
    stage: Stage, write: Write, query: Query, bigquery: WarehouseResource, bigquery_front: UnreliableGoogle
) -> None:
    monthly = stage(write(APRIL, [trip(APRIL)]))
    newer = write(APRIL, [trip(APRIL, "07 07:00:00"), trip(APRIL, "2009-01-01 00:00:00")])
    once = [newer]

    def replace(request: Request) -> None:
        if is_merge(request) and once:
            stage(once.pop())

    bigquery_front.rules.append(replace)
    merged = merge(bigquery, monthly)
    assert merged.record.sha256 == newer.sha256
    days = query("SELECT CAST(DATE(lpep_pickup_datetime) AS STRING) FROM {green_tripdata} ORDER BY 1")
    assert days == [("2009-01-01",), ("2020-04-07",)]


def test_monthly_table_replaced_by_hand_is_not_merged(
    stage: Stage, write: Write, query: Query, bigquery: WarehouseResource
) -> None:
    monthly = stage(write(APRIL, [trip(APRIL)]))
    query("CREATE OR REPLACE TABLE {green_tripdata_2020_04} AS SELECT * FROM {green_tripdata_2020_04} WHERE FALSE")
    with pytest.raises(GoogleUnavailable, match="was replaced by another run"):
        merge(bigquery, monthly)
    assert query("SELECT COUNT(*) FROM {green_tripdata}") == [(0,)]


def test_failed_merge_leaves_the_older_version(
    load: Load,
    write: Write,
    query: Query,
    stage: Stage,
    dataset: Dataset,
    bigquery: WarehouseResource,
    bigquery_front: UnreliableGoogle,
) -> None:
    older = load(write(APRIL, [trip(APRIL)]))
    monthly = stage(write(APRIL, [trip(APRIL, "02 02:00:00"), trip(APRIL, "03 03:00:00")]))
    bigquery_front.fail(1, error(403, "accessDenied", "Access Denied: Table green_tripdata"), is_merge)
    with pytest.raises(MissingRight, match="Access Denied"):
        merge(bigquery, monthly)
    assert query("SELECT CAST(DATE(lpep_pickup_datetime) AS STRING) FROM {green_tripdata}") == [("2020-04-01",)]
    assert loaded_files(dataset, GREEN)[APRIL.filename] == older.record


def test_reading_loaded_months_creates_nothing(dataset: Dataset) -> None:
    assert loaded_files(dataset, GREEN) == {}
    assert list(dataset.client.list_tables(dataset.name)) == []


def test_loaded_months_are_those_of_the_load_log(load: Load, write: Write, cloud: GoogleCloud) -> None:
    assert loaded_months(cloud, GREEN) == {}
    merged = load(write(APRIL, [trip(APRIL)]))
    assert loaded_months(cloud, GREEN) == {APRIL: merged.record}
    assert loaded_months(cloud, YELLOW.colour) == {}


def test_unfinished_monthly_table_is_not_found(stage: Stage, write: Write, query: Query, dataset: Dataset) -> None:
    stage(write(APRIL, [trip(APRIL)]))
    query("CREATE OR REPLACE TABLE {green_tripdata_2020_04} AS SELECT * FROM {green_tripdata_2020_04_ext}")
    assert find_monthly(dataset, APRIL) is None


def test_foreign_table_is_not_changed(load: Load, write: Write, query: Query) -> None:
    """As the Kestra flow leaves it: same name, similar columns, and rows."""
    query(
        "CREATE TABLE {green_tripdata} (unique_row_id BYTES, filename STRING, VendorID STRING, "
        "lpep_pickup_datetime TIMESTAMP) PARTITION BY DATE(lpep_pickup_datetime)"
    )
    query("INSERT INTO {green_tripdata} (filename) VALUES ('theirs')")
    with pytest.raises(ForeignTable, match="RENAME TO `green_tripdata_before`"):
        load(write(APRIL, [trip(APRIL)]))
    assert query("SELECT filename FROM {green_tripdata}") == [("theirs",)]


def test_rows_without_any_record_are_refused(load: Load, write: Write, query: Query) -> None:
    load(write(APRIL, [trip(APRIL)]))
    query("DELETE FROM {taxi_loads} WHERE TRUE")
    with pytest.raises(ForeignTable, match="has no record of them"):
        load(write(MARCH, [trip(MARCH)]))


def test_records_of_a_dropped_table_do_not_count(load: Load, write: Write, dataset: Dataset, query: Query) -> None:
    file = write(APRIL, [trip(APRIL)])
    load(file)
    dataset.drop_table(dataset.table_name("green_tripdata"))
    assert load(file).changed
    assert query("SELECT COUNT(*) FROM {green_tripdata}") == [(1,)]


def test_merges_are_counted(load: Load, write: Write, query: Query) -> None:
    load(write(APRIL, [trip(APRIL)]))
    load(write(MARCH, [trip(MARCH)]))
    load(write(MARCH, [trip(MARCH)]))
    assert query("SELECT turn FROM {taxi_loads} WHERE filename IS NULL") == [(2,)]
