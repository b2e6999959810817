"""Tables of release 0.1: they get new columns, loaded months stay loaded, and release 0.1 can still read the log."""

from dataclasses import replace
from datetime import date

import pytest
from google.cloud import bigquery as google

from taxi_platform.destinations.bigquery import load_log
from taxi_platform.destinations.bigquery.merge import merge
from taxi_platform.destinations.bigquery.merged_table import loaded_months
from taxi_platform.destinations.bigquery.tables import schema_fields
from taxi_platform.errors import ForeignTable, MissingRight
from taxi_platform.google_cloud.connection import GoogleCloud
from taxi_platform.google_cloud.dataset import Dataset
from taxi_platform.source.raw_file import RawFile
from taxi_platform.trips.columns import GREEN, Column, Kind
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.destinations.bigquery.test_merge import is_merge, side_by_side
from taxi_platform_tests.support.google_fixtures import Load, Query, Stage, Write
from taxi_platform_tests.support.trip_files import trip
from taxi_platform_tests.support.unreliable_google import UnreliableGoogle, error

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


@pytest.mark.parametrize("lost", ["merge", "description"])
def test_load_killed_after_the_new_column_can_be_rerun(
    load: Load, write: Write, query: Query, march: RawFile, bigquery_front: UnreliableGoogle, lost: str
) -> None:
    april = write(APRIL, [with_fee(APRIL)])
    bigquery_front.fail(
        1,
        error(403, "accessDenied", "killed"),
        is_merge
        if lost == "merge"
        else lambda request: request.method == "PATCH" and "green_tripdata?" in request.path,
    )
    with pytest.raises(MissingRight, match="killed"):
        load(april)
    assert query("SELECT filename FROM {green_tripdata}") == [(MARCH.filename,)]
    load(april)
    assert fees(query) == [(MARCH.filename, None), (APRIL.filename, 1.25)]


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
