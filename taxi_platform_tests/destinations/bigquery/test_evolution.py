"""Tables of release 0.1: they get new columns, loaded months stay loaded, and release 0.1 can still read the log."""

import multiprocessing
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from google.cloud import bigquery as google

from taxi_platform.destinations.bigquery import load_log
from taxi_platform.destinations.bigquery.merge import merge
from taxi_platform.destinations.bigquery.merged_table import loaded_months
from taxi_platform.destinations.bigquery.monthly import MonthlyTable
from taxi_platform.destinations.bigquery.tables import schema_fields
from taxi_platform.errors import ForeignTable
from taxi_platform.google_cloud.connection import GoogleCloud
from taxi_platform.google_cloud.dataset import Dataset
from taxi_platform.google_cloud.resources import WarehouseResource
from taxi_platform.source.raw_file import RawFile
from taxi_platform.trips.columns import GREEN, YELLOW, Colour, Column, Kind
from taxi_platform.trips.load_record import months_to_reload
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.destinations.bigquery.test_merge import is_merge, side_by_side
from taxi_platform_tests.support.documentation import documented
from taxi_platform_tests.support.google_fixtures import Load, Query, Stage, Write
from taxi_platform_tests.support.trip_files import trip
from taxi_platform_tests.support.unreliable_google import Request, Response, UnreliableGoogle, error
from taxi_platform_tests.support.waiting import until

FEE = Column("made_up_fee", Kind.NUMBER, "Fee that files have since April 2020.", since="2020-04")
NEW = replace(GREEN, columns=(*GREEN.required_columns, FEE))
MARCH, APRIL, MAY = (TripMonth(NEW, f"2020-{month:02}") for month in (3, 4, 5))
OLD_HEADER = [column.name for column in GREEN.required_columns]
OLD_LOG_COLUMNS = {
    "colour",
    "filename",
    "turn",
    "table_mark",
    "sha256",
    "rows_in_file",
    "strays",
    "days",
    "undated",
    "kept_by",
    "loaded_at",
}
MARK = "0123456789abcdef"
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def march(dataset: Dataset, query: Query, write: Write) -> RawFile:
    """Create the tables as release 0.1 did, with one row of March; return March's file."""
    file = write(MARCH, [trip(MARCH, "05 05:00:00")], header=OLD_HEADER)
    old = [field for field in schema_fields(NEW) if field.name != FEE.name]
    merged = google.Table(str(dataset.table_name("green_tripdata")), schema=old)
    merged.time_partitioning = google.TimePartitioning(field="lpep_pickup_datetime")
    merged.labels = {"taxi_platform": MARK, "colour": "green"}
    dataset.create_table(merged)
    log_schema = [field for field in load_log.schema() if field.name in OLD_LOG_COLUMNS]
    dataset.create_table(google.Table(str(dataset.table_name("taxi_loads")), schema=log_schema))
    query(
        "INSERT INTO {green_tripdata} (filename, unique_row_id, VendorID, lpep_pickup_datetime, fare_amount) "
        "VALUES (@filename, MD5('a'), '2', TIMESTAMP '2020-03-05 05:00:00+00', 8)",
        filename=MARCH.filename,
    )
    query("INSERT INTO {taxi_loads} (colour, table_mark, turn) VALUES ('green', @mark, 1)", mark=MARK)
    query(
        "INSERT INTO {taxi_loads} "
        "(colour, filename, table_mark, sha256, rows_in_file, strays, days, undated, loaded_at) "
        "VALUES ('green', @filename, @mark, @sha256, 1, 0, [DATE '2020-03-05'], FALSE, CURRENT_TIMESTAMP())",
        filename=MARCH.filename,
        mark=MARK,
        sha256=file.sha256,
    )
    return file


def is_description(request: Request) -> bool:
    return request.method == "PATCH" and "green_tripdata?" in request.path


def run_merge(cloud: dict[str, Any], monthly: MonthlyTable) -> None:
    """Merge a month, in a process of its own."""
    merge(WarehouseResource(cloud=GoogleCloud(**cloud)), monthly)


def with_fee(month: TripMonth) -> dict[str, str]:
    return trip(month, "06 06:00:00") | {FEE.name: "1.25"}


def fees(query: Query) -> list[tuple]:
    return query("SELECT filename, CAST(made_up_fee AS FLOAT64) FROM {green_tripdata} ORDER BY filename")


def test_old_table_gets_the_new_column(
    load: Load, write: Write, query: Query, cloud: GoogleCloud, march: RawFile
) -> None:
    merged = load(write(APRIL, [with_fee(APRIL)]))
    assert FEE.name in merged.record.columns
    assert fees(query) == [(MARCH.filename, None), (APRIL.filename, 1.25)]
    records = loaded_months(cloud, NEW)
    assert {month.month: record.version for month, record in records.items()} == {"2020-03": 1, "2020-04": 2}
    assert not load(march).changed


def test_optional_column_may_be_absent_in_a_file(load: Load, write: Write, query: Query) -> None:
    load(write(MARCH, [trip(MARCH)], header=OLD_HEADER))
    load(write(APRIL, [with_fee(APRIL)]))
    assert fees(query) == [(MARCH.filename, None), (APRIL.filename, 1.25)]


def test_month_loaded_without_its_column_is_reloaded(
    load: Load, write: Write, query: Query, dataset: Dataset, march: RawFile
) -> None:
    """The published file has the column, and the record says that the table had not."""
    april = write(APRIL, [with_fee(APRIL)])
    query(
        "INSERT INTO {taxi_loads} "
        "(colour, filename, table_mark, sha256, rows_in_file, strays, days, undated, loaded_at) "
        "VALUES ('green', @filename, @mark, @sha256, 1, 0, [DATE '2020-04-06'], FALSE, CURRENT_TIMESTAMP())",
        filename=APRIL.filename,
        mark=MARK,
        sha256=april.sha256,
    )
    query(
        "INSERT INTO {green_tripdata} (filename, unique_row_id, lpep_pickup_datetime) "
        "VALUES (@filename, MD5('b'), TIMESTAMP '2020-04-06 06:00:00+00')",
        filename=APRIL.filename,
    )
    assert load(april).changed
    assert fees(query) == [(MARCH.filename, None), (APRIL.filename, 1.25)]
    assert not load(april).changed


def test_two_months_at_once_add_the_column_once(
    stage: Stage, write: Write, query: Query, cloud: GoogleCloud, march: RawFile
) -> None:
    months = [stage(write(month, [with_fee(month)])) for month in (APRIL, MAY)]
    merged = side_by_side(cloud, *months)
    assert [one.record.rows_in_table for one in merged] == [1, 1]
    assert fees(query) == [(MARCH.filename, None), (APRIL.filename, 1.25), (MAY.filename, 1.25)]


@pytest.mark.parametrize(
    ("killed_at", "passed_on"),
    [(is_description, False), (is_merge, False), (is_merge, True)],
    ids=["column without description", "rows not sent", "rows sent"],
)
def test_load_killed_after_the_new_column_can_be_rerun(
    load: Load,
    stage: Stage,
    write: Write,
    query: Query,
    cloud: GoogleCloud,
    march: RawFile,
    bigquery_front: UnreliableGoogle,
    killed_at: Callable[[Request], bool],
    passed_on: bool,
) -> None:
    april = write(APRIL, [with_fee(APRIL)])
    process = SPAWN.Process(target=run_merge, args=(cloud.model_dump(), stage(april)))

    def kill(request: Request) -> Response | None:
        if not killed_at(request):
            return None
        bigquery_front.rules.clear()
        process.kill()
        return None if passed_on else error(503, "backendError")

    bigquery_front.rules.append(kill)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    if passed_on:
        until(lambda: len(fees(query)) == 2)
    assert query("SELECT COUNT(*) FROM {green_tripdata}") == [(1 + passed_on,)]
    assert load(april).changed != passed_on
    assert fees(query) == [(MARCH.filename, None), (APRIL.filename, 1.25)]
    assert not load(april).changed


def test_columns_of_release_0_1_are_still_filled(load: Load, write: Write, query: Query, march: RawFile) -> None:
    shared = trip(APRIL, "06 06:00:00")
    load(write(MAY, [shared]))
    load(write(APRIL, [trip(APRIL), shared, trip(APRIL, "2009-01-01 00:00:00")]))
    [found] = query(
        f"SELECT {', '.join(sorted(OLD_LOG_COLUMNS - {'sha256', 'loaded_at', 'turn'}))} FROM {{taxi_loads}} "
        f"WHERE filename = '{APRIL.filename}' AND sha256 IS NOT NULL AND loaded_at IS NOT NULL"
    )
    colour, days, filename, kept_by, rows, strays, mark, undated = found
    assert (colour, filename, rows, strays, mark, undated) == ("green", APRIL.filename, 3, 1, MARK, False)
    assert days == [date(2009, 1, 1), date(2020, 4, 1), date(2020, 4, 6)]
    assert [(each["filename"], each["trips"]) for each in kept_by] == [(MAY.filename, 1)]


def loaded_for_version_0_1(dataset: Dataset, query: Query, colour: Colour) -> dict[str, dict[str, Any]]:
    """Version 0.1.0's reader of load records: none of a table whose columns are not exactly its registry's."""
    merged = dataset.get_table(dataset.table_name(colour.table))
    assert merged is not None
    partitioning = merged.time_partitioning
    assert partitioning is not None
    assert (partitioning.type_, partitioning.field) == ("DAY", colour.pickup.name)
    known = schema_fields(replace(colour, columns=colour.required_columns))
    if [(field.name, field.field_type) for field in merged.schema] != [(each.name, each.field_type) for each in known]:
        return {}
    names = ["filename", "sha256", "rows_in_file", "strays", "days", "undated", "kept_by", "loaded_at"]
    rows = query(
        f"SELECT {', '.join(names)} FROM {{taxi_loads}} "
        "WHERE colour = @colour AND table_mark = @mark AND filename IS NOT NULL",
        colour=colour.name,
        mark=merged.labels["taxi_platform"],
    )
    return {row[0]: dict(zip(names, row, strict=True)) for row in rows}


def describe_again(dataset: Dataset, colour: Colour) -> None:
    """Describe a table by what a query returns: the emulator's description keeps columns that were dropped."""
    name = dataset.table_name(colour.table)
    table = dataset.get_table(name)
    assert table is not None
    table.schema = dataset.client.query_and_wait(f"SELECT * FROM {name.sql} LIMIT 0").schema
    dataset.update_table(table, ["schema"])


def test_docs_let_version_0_1_read_the_records(
    load: Load, write: Write, query: Query, dataset: Dataset, cloud: GoogleCloud
) -> None:
    march, april, january = (TripMonth(GREEN, month) for month in ("2020-03", "2020-04", "2025-01"))
    shared = trip(march, "2020-04-05 12:00:00")
    first, second = load(write(march, [shared])).record, load(write(april, [shared, trip(april)])).record
    with_charge = write(january, [trip(january, cbd_congestion_fee="0.75")])
    load(with_charge)
    load(write(TripMonth(YELLOW, "2020-04"), []))
    assert loaded_for_version_0_1(dataset, query, GREEN) == {}

    statements = documented("upgrading.md", "Going back to 0.1.0", "BigQuery")
    for statement in statements.split(";")[:-1]:
        query(statement.replace("zoomcamp.", f"{dataset.name}."))
    describe_again(dataset, GREEN)
    describe_again(dataset, YELLOW)
    found = loaded_for_version_0_1(dataset, query, GREEN)
    loaded_at = found[april.filename].pop("loaded_at")
    assert loaded_at.isoformat(timespec="seconds") == second.loaded_at
    assert set(found) == {march.filename, april.filename, january.filename}
    assert found[april.filename] == {
        "filename": april.filename,
        "sha256": second.sha256,
        "rows_in_file": 2,
        "strays": 0,
        "days": [date(2020, 4, 1), date(2020, 4, 5)],
        "undated": False,
        "kept_by": [{"filename": march.filename, "sha256": first.sha256, "trips": 1}],
    }
    assert list(loaded_for_version_0_1(dataset, query, YELLOW)) == ["yellow_tripdata_2020-04.csv"]
    # and forward again
    assert months_to_reload(loaded_months(cloud, GREEN)) == [january]
    assert not load(write(april, [shared, trip(april)])).changed
    assert load(with_charge).changed
    assert query("SELECT COUNT(cbd_congestion_fee), COUNT(*) FROM {green_tripdata}") == [(1, 3)]


@pytest.mark.parametrize("column", ["VendorID INT64", "VendorID STRING, surprise STRING"])
def test_table_with_other_columns_is_refused(load: Load, write: Write, query: Query, column: str) -> None:
    query(
        f"CREATE TABLE {{green_tripdata}} (unique_row_id BYTES, filename STRING, {column}, "
        "lpep_pickup_datetime TIMESTAMP) PARTITION BY DATE(lpep_pickup_datetime) "
        f"OPTIONS (labels = [('taxi_platform', '{MARK}')])"
    )
    with pytest.raises(ForeignTable, match="columns of other names or types"):
        load(write(APRIL, [with_fee(APRIL)]))


def test_merge_needs_no_upgrade_of_new_tables(
    load: Load, write: Write, stage: Stage, bigquery, bigquery_front: UnreliableGoogle
) -> None:
    load(write(APRIL, [with_fee(APRIL)]))
    monthly = stage(write(MAY, [with_fee(MAY)]))
    bigquery_front.requests.clear()
    merge(bigquery, monthly)
    assert not [sent for sent in bigquery_front.statements if "ALTER" in sent]
