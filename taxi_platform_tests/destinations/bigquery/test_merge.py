"""What the merge sends to BigQuery, what it does when others merge at the same time, and what it refuses.

The emulator neither prunes partitions nor detects conflicts: here the statements are read, and answers are given in
BigQuery's words.
"""

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest

from taxi_platform.destinations.bigquery.loaded import loaded_months
from taxi_platform.destinations.bigquery.merge import Merged, loaded, merge
from taxi_platform.destinations.bigquery.monthly import find_monthly
from taxi_platform.destinations.bigquery.tables import Sql
from taxi_platform.errors import ForeignTable, NotStaged, TableBusy
from taxi_platform.google_cloud.dataset import Warehouse
from taxi_platform.google_cloud.resources import GoogleBigQuery
from taxi_platform.source.raw_file import RawFile
from taxi_platform.trips.columns import GREEN
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.destinations.bigquery.conftest import Load, Query, Write
from taxi_platform_tests.support.trip_files import trip
from taxi_platform_tests.support.unreliable_google import Asked, UnreliableGoogle, error, failed_job

MARCH = TripMonth.from_key("green|2020-03")
APRIL = TripMonth.from_key("green|2020-04")
YELLOW = TripMonth.from_key("yellow|2020-04")

Stage = Callable[[RawFile], None]

CONFLICT = failed_job(
    "invalidQuery",
    "Query error: Transaction is aborted due to concurrent update against table "
    "test-project:zoomcamp.taxi_loads. Transaction ID: 5f3e2a at [10:1]",
)


def is_merge(asked: Asked) -> bool:
    return "BEGIN TRANSACTION" in asked.statement


def days_named(statement: str, table: str) -> list[set[tuple[str, str]]]:
    """For each place in which the statement reads or changes the table: the stretches of days that it names."""
    places = re.findall(rf"(?:FROM|INTO) `[\w.-]+\.{table}`([^;`]*)", statement)
    return [set(re.findall(r"BETWEEN TIMESTAMP '(\S+) [^']*' AND TIMESTAMP '(\S+) ", place)) for place in places]


def test_the_merge_names_the_days_of_both_versions_as_constants(
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
    touching = [sent for sent in bigquery_front.statements if "green_tripdata`" in sent]
    assert len(touching) == 3, "looked at, merged, counted"
    for sent in touching:
        for named in days_named(sent, "green_tripdata"):
            assert named == expected or "INSERT INTO" in sent, sent
    (merge_sent,) = [sent for sent in touching if "BEGIN TRANSACTION" in sent]
    assert days_named(merge_sent, "green_tripdata").count(expected) == 3


def test_every_part_of_a_statement_that_touches_the_table_names_days(
    load: Load, write: Write, bigquery_front: UnreliableGoogle
) -> None:
    """Each mention of the merged table, save the one that rows are added to, comes with its days in the same clause."""
    load(write(APRIL, [trip(APRIL)]))
    (sent,) = [sent for sent in bigquery_front.statements if "BEGIN TRANSACTION" in sent]
    mentions = re.findall(r"(?:FROM|JOIN|UPDATE) `[\w.-]+\.green_tripdata`[^;)]*", sent)
    assert len(mentions) == 3
    assert all("BETWEEN TIMESTAMP '2020-04-01 00:00:00+00'" in mention for mention in mentions)


def test_values_are_parameters_and_jobs_are_labelled(
    load: Load, write: Write, bigquery_front: UnreliableGoogle
) -> None:
    file = write(APRIL, [trip(APRIL)])
    load(file)
    for asked in filter(is_merge, bigquery_front.requests):
        given = {each["name"]: each for each in asked.job["query"]["queryParameters"]}
        assert given["filename"]["parameterValue"] == {"value": APRIL.filename}
        assert given["days"]["parameterType"]["arrayType"] == {"type": "DATE"}
        assert asked.job["labels"] == {"colour": "green", "month": "2020-04", "asset": "bigquery_tripdata"}
        assert asked.job["jobTimeoutMs"]
    for statement in bigquery_front.statements:
        assert APRIL.filename not in statement
        assert file.sha256 not in statement


def test_rows_and_record_change_in_one_transaction(load: Load, write: Write, bigquery_front: UnreliableGoogle) -> None:
    load(write(APRIL, [trip(APRIL)]))
    (sent,) = [sent for sent in bigquery_front.statements if "BEGIN TRANSACTION" in sent]
    inside = sent[sent.index("BEGIN TRANSACTION") : sent.index("COMMIT TRANSACTION")]
    for change in ("UPDATE", "DELETE FROM", "INSERT INTO"):
        assert sent.count(change) == inside.count(change) > 0
    assert inside.index("UPDATE") < inside.index("DELETE FROM"), "the turn is taken before anything is changed"


def test_the_table_is_partitioned_and_described(load: Load, write: Write, warehouse: Warehouse) -> None:
    load(write(APRIL, [trip(APRIL)]))
    for name in ("green_tripdata", "green_tripdata_2020_04", "green_tripdata_2020_04_ext", "taxi_loads"):
        table = warehouse.table(warehouse.name(name))
        assert table is not None
        assert [field.name for field in table.schema if not field.description] == []
    merged = warehouse.table(warehouse.name("green_tripdata"))
    assert merged is not None
    assert merged.time_partitioning is not None
    assert (merged.time_partitioning.type_, merged.time_partitioning.field) == ("DAY", "lpep_pickup_datetime")
    assert [(field.name, field.field_type) for field in merged.schema] == [
        ("unique_row_id", "BYTES"),
        ("filename", "STRING"),
        ("VendorID", "STRING"),
        ("lpep_pickup_datetime", "TIMESTAMP"),
        ("lpep_dropoff_datetime", "TIMESTAMP"),
        ("store_and_fwd_flag", "STRING"),
        ("RatecodeID", "STRING"),
        ("PULocationID", "STRING"),
        ("DOLocationID", "STRING"),
        ("passenger_count", "INTEGER"),
        ("trip_distance", "NUMERIC"),
        ("fare_amount", "NUMERIC"),
        ("extra", "NUMERIC"),
        ("mta_tax", "NUMERIC"),
        ("tip_amount", "NUMERIC"),
        ("tolls_amount", "NUMERIC"),
        ("ehail_fee", "NUMERIC"),
        ("improvement_surcharge", "NUMERIC"),
        ("total_amount", "NUMERIC"),
        ("payment_type", "INTEGER"),
        ("trip_type", "STRING"),
        ("congestion_surcharge", "NUMERIC"),
    ]


def test_the_record_says_what_is_loaded(load: Load, write: Write, warehouse: Warehouse) -> None:
    file = write(
        APRIL,
        [
            trip(APRIL),
            trip(APRIL, "2020-03-31 23:59:59"),
            trip(APRIL, lpep_dropoff_datetime="", lpep_pickup_datetime=""),
        ],
    )
    load(file)
    record = loaded(warehouse, GREEN)[APRIL.filename]
    assert (record.sha256, record.rows, record.out_of_month, record.undated) == (file.sha256, 3, 2, True)
    assert record.days == (date(2020, 3, 31), date(2020, 4, 1))


def test_a_conflict_is_tried_again_from_a_fresh_look(
    load: Load, write: Write, query: Query, bigquery_front: UnreliableGoogle
) -> None:
    bigquery_front.fail(2, CONFLICT, is_merge)
    merged = load(write(APRIL, [trip(APRIL)]))
    assert merged.record.rows_in_table == 1
    assert query("SELECT COUNT(*) FROM {green_tripdata}") == [(1,)]
    sent = bigquery_front.statements
    assert sum("BEGIN TRANSACTION" in each for each in sent) == 3
    assert sum("pickup_day" in each for each in sent) == 3


def test_a_conflict_that_does_not_end_is_told(
    stage: Stage, write: Write, warehouse: Warehouse, bigquery_front: UnreliableGoogle
) -> None:
    stage(write(APRIL, [trip(APRIL)]))
    bigquery_front.fail(1000, CONFLICT, is_merge)
    with pytest.raises(TableBusy, match=r"green\|2020-04 never had its turn"):
        merge(warehouse, APRIL, patience_seconds=2)


def test_a_wrong_statement_is_not_tried_again(
    stage: Stage, write: Write, warehouse: Warehouse, bigquery_front: UnreliableGoogle
) -> None:
    stage(write(APRIL, [trip(APRIL)]))
    bigquery_front.fail(1000, failed_job("invalidQuery", "Syntax error: Unexpected keyword"), is_merge)
    with pytest.raises(Exception, match="Syntax error"):
        merge(warehouse, APRIL, patience_seconds=30)
    assert sum(map(is_merge, bigquery_front.requests)) == 1


def test_two_months_that_looked_at_the_same_time_do_not_both_keep_a_row(
    stage: Stage, write: Write, query: Query, bigquery: GoogleBigQuery, bigquery_front: UnreliableGoogle
) -> None:
    """Both have looked before either merges: the later one has to look again."""
    shared = trip(MARCH, "2020-04-05 10:00:00")
    stage(write(MARCH, [shared, trip(MARCH)]))
    stage(write(APRIL, [shared, trip(APRIL)]))
    both_looked = threading.Barrier(2)
    held: set[str] = set()

    def hold(asked: Asked) -> None:
        name = str(asked.job["query"]["queryParameters"]) if is_merge(asked) else ""
        if name and len(held) < 2:
            held.add(name)
            both_looked.wait(30)

    bigquery_front.rules.append(hold)
    merged = side_by_side(bigquery, MARCH, APRIL)
    assert sorted(one.record.rows_in_table for one in merged) == [1, 2]
    assert query("SELECT COUNT(*), COUNT(DISTINCT unique_row_id) FROM {green_tripdata}") == [(3, 3)]
    assert sum(map(is_merge, bigquery_front.requests)) == 3


def test_months_and_colours_side_by_side_end_as_one_after_another(
    stage: Stage, write: Write, query: Query, bigquery: GoogleBigQuery
) -> None:
    months = [TripMonth(GREEN, f"2020-{n:02}") for n in range(1, 5)] + [YELLOW]
    shared = {GREEN.name: trip(APRIL, "2020-02-20 20:00:00"), YELLOW.colour.name: trip(YELLOW, "2020-02-20 20:00:00")}
    for month in months:
        stage(write(month, [shared[month.colour.name], trip(month), trip(month, "03 03:00:00")]))
    merged = side_by_side(bigquery, *months)
    assert sorted(one.record.rows_in_table for one in merged) == [2, 2, 2, 3, 3]
    assert query("SELECT COUNT(*), COUNT(DISTINCT unique_row_id) FROM {green_tripdata}") == [(9, 9)]
    assert query("SELECT COUNT(*) FROM {yellow_tripdata}") == [(3,)]
    assert query("SELECT COUNT(*) FROM {taxi_loads} WHERE filename IS NOT NULL") == [(5,)]


def test_two_runs_of_one_month_end_as_one(stage: Stage, write: Write, query: Query, bigquery: GoogleBigQuery) -> None:
    stage(write(APRIL, [trip(APRIL), trip(APRIL, "02 02:00:00")]))
    merged = side_by_side(bigquery, APRIL, APRIL)
    assert [one.record.rows_in_table for one in merged] == [2, 2]
    assert query("SELECT COUNT(*) FROM {green_tripdata}") == [(2,)]
    assert query("SELECT COUNT(*) FROM {taxi_loads} WHERE filename IS NOT NULL") == [(1,)]


def test_another_version_that_is_staged_during_the_merge_is_merged_too(
    stage: Stage, write: Write, query: Query, warehouse: Warehouse, bigquery_front: UnreliableGoogle
) -> None:
    stage(write(APRIL, [trip(APRIL)]))
    newer = write(APRIL, [trip(APRIL, "07 07:00:00"), trip(APRIL, "2009-01-01 00:00:00")])
    once = [newer]

    def exchange(asked: Asked) -> None:
        if is_merge(asked) and once:
            stage(once.pop())

    bigquery_front.rules.append(exchange)
    merged = merge(warehouse, APRIL, patience_seconds=30)
    assert merged.record.sha256 == newer.sha256
    days = query("SELECT CAST(DATE(lpep_pickup_datetime) AS STRING) FROM {green_tripdata} ORDER BY 1")
    assert days == [("2009-01-01",), ("2020-04-07",)]


def test_a_merge_that_fails_leaves_the_older_version(
    load: Load, write: Write, query: Query, warehouse: Warehouse, stage: Stage, bigquery_front: UnreliableGoogle
) -> None:
    older = load(write(APRIL, [trip(APRIL)]))
    stage(write(APRIL, [trip(APRIL, "02 02:00:00"), trip(APRIL, "03 03:00:00")]))
    bigquery_front.fail(1, error(403, "accessDenied", "Access Denied: Table green_tripdata"), is_merge)
    with pytest.raises(Exception, match="Access Denied"):
        merge(warehouse, APRIL, patience_seconds=5)
    assert query("SELECT CAST(DATE(lpep_pickup_datetime) AS STRING) FROM {green_tripdata}") == [("2020-04-01",)]
    assert loaded(warehouse, GREEN)[APRIL.filename] == older.record


def test_asking_what_is_loaded_makes_nothing(warehouse: Warehouse) -> None:
    assert loaded(warehouse, GREEN) == {}
    assert list(warehouse.client.list_tables(warehouse.dataset)) == []


def test_the_loaded_months_can_be_asked_for(load: Load, write: Write, bigquery: GoogleBigQuery) -> None:
    assert loaded_months(bigquery, GREEN) == {}, "not even a dataset"
    merged = load(write(APRIL, [trip(APRIL)]))
    assert loaded_months(bigquery, GREEN) == {APRIL: merged.record}
    assert loaded_months(bigquery, YELLOW.colour) == {}


def test_a_merge_without_a_monthly_table_says_so(warehouse: Warehouse) -> None:
    with pytest.raises(NotStaged, match="green_tripdata_2020_04"):
        merge(warehouse, APRIL, patience_seconds=5)


def test_a_monthly_table_that_was_not_finished_is_not_merged(
    stage: Stage, write: Write, query: Query, warehouse: Warehouse
) -> None:
    stage(write(APRIL, [trip(APRIL)]))
    query("CREATE OR REPLACE TABLE {green_tripdata_2020_04} AS SELECT * FROM {green_tripdata_2020_04_ext}")
    assert find_monthly(warehouse, APRIL) is None
    with pytest.raises(NotStaged, match="was not finished"):
        merge(warehouse, APRIL, patience_seconds=5)


def test_a_table_that_is_not_ours_is_left_alone(load: Load, write: Write, query: Query) -> None:
    """As the Kestra flow leaves it: same name, same columns, rows in it."""
    query(
        "CREATE TABLE {green_tripdata} (unique_row_id BYTES, filename STRING, VendorID STRING, "
        "lpep_pickup_datetime TIMESTAMP) PARTITION BY DATE(lpep_pickup_datetime)"
    )
    query("INSERT INTO {green_tripdata} (filename) VALUES ('theirs')")
    with pytest.raises(ForeignTable, match="RENAME TO `green_tripdata_before`"):
        load(write(APRIL, [trip(APRIL)]))
    assert query("SELECT filename FROM {green_tripdata}") == [("theirs",)]


def test_rows_without_their_record_are_not_built_upon(load: Load, write: Write, query: Query) -> None:
    load(write(APRIL, [trip(APRIL)]))
    query("DELETE FROM {taxi_loads} WHERE TRUE")
    with pytest.raises(ForeignTable, match="the record was lost"):
        load(write(MARCH, [trip(MARCH)]))


def test_records_of_a_table_that_was_dropped_count_for_nothing(
    load: Load, write: Write, warehouse: Warehouse, query: Query
) -> None:
    file = write(APRIL, [trip(APRIL)])
    load(file)
    warehouse.drop(warehouse.name("green_tripdata"))
    again = load(file)
    assert again.changed
    assert query("SELECT COUNT(*) FROM {green_tripdata}") == [(1,)]


def side_by_side(bigquery: GoogleBigQuery, *months: TripMonth) -> list[Merged]:
    """Merges the months at the same time, each on a client of its own."""

    def run(month: TripMonth) -> Merged:
        with bigquery.warehouse(f"merged {month}") as own:
            return merge(own, month, patience_seconds=60)

    with ThreadPoolExecutor(len(months)) as pool:
        return list(pool.map(run, months))


def test_the_turn_is_counted(load: Load, write: Write, query: Query) -> None:
    load(write(APRIL, [trip(APRIL)]))
    load(write(MARCH, [trip(MARCH)]))
    load(write(MARCH, [trip(MARCH)]))
    assert query("SELECT turn FROM {taxi_loads} WHERE filename IS NULL") == [(2,)]


def test_statements_are_of_checked_parts(warehouse: Warehouse) -> None:
    with pytest.raises(ValueError, match="not a table's name"):
        _ = warehouse.name("trips`; DROP TABLE x; --").sql
    assert warehouse.run(Sql("SELECT @text AS said"), {}, text="'; DROP TABLE x") == [{"said": "'; DROP TABLE x"}]
