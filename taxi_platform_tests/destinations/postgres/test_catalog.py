"""Changes of loaded rows by hand, and the view of all load records."""

from collections.abc import Callable

import psycopg
import pytest

from taxi_platform.destinations.postgres.catalog import Partition, attached, changes_by_hand
from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.trips.columns import GREEN
from taxi_platform_tests.destinations.contract import APRIL, MARCH, Load, Query, Write
from taxi_platform_tests.support.trip_files import trip

PARTITION = "trip_months.green_tripdata_2020_04"
ROWS = [trip(APRIL), trip(APRIL, "02 02:00:00"), trip(APRIL, "03 03:00:00")]


@pytest.fixture
def changes(postgres: Postgres) -> Callable[[], str | None]:
    """Return what is found to be changed in April by hand."""

    def found() -> str | None:
        with postgres.connect("tests") as connection:
            return changes_by_hand(connection, attached(connection, GREEN)[APRIL.filename])

    return found


@pytest.mark.parametrize(
    ("statements", "operations"),
    [
        (["update green_tripdata set fare_amount = 0 where lpep_pickup_datetime = '2020-04-02 02:00'"], ["UPDATE"]),
        ([f"update {PARTITION} set vendorid = '9'"], ["UPDATE"]),
        (
            [
                f"delete from {PARTITION} where ctid = '(0,1)'",
                f"insert into green_tripdata select * from {PARTITION} limit 1",
            ],
            ["DELETE", "INSERT"],
        ),
        ([f"truncate {PARTITION}"], ["TRUNCATE"]),
        (["truncate green_tripdata"], ["TRUNCATE"]),
    ],
)
def test_change_by_hand_is_noticed_and_rerun_restores(
    load: Load,
    write: Write,
    query: Query,
    changes: Callable[[], str | None],
    statements: list[str],
    operations: list[str],
) -> None:
    file = write(APRIL, ROWS)
    load(file)
    loaded = query("select * from green_tripdata order by lpep_pickup_datetime")
    assert changes() is None
    for statement in statements:
        query(statement)
    found = changes()
    assert found
    assert all(f"{operation} by taxi at 20" in found for operation in operations)
    assert load(file).changed
    assert changes() is None
    assert query("select * from green_tripdata order by lpep_pickup_datetime") == loaded
    assert not load(file).changed


def test_loads_record_no_changes(load: Load, write: Write, query: Query) -> None:
    shared = trip(MARCH, "2020-04-05 12:00:00")
    load(write(MARCH, [shared]))
    load(write(APRIL, [shared, *ROWS]))
    load(write(APRIL, [shared, *ROWS, *ROWS]))
    assert query("select count(*) from trip_months.changes") == [(0,)]


def test_change_that_is_rolled_back_is_not_recorded(
    load: Load, write: Write, each_postgres_url: str, changes: Callable[[], str | None]
) -> None:
    load(write(APRIL, ROWS))
    with psycopg.connect(each_postgres_url) as connection:
        connection.execute("delete from green_tripdata")
        connection.rollback()
    assert changes() is None


def test_change_of_many_rows_is_one_entry(load: Load, write: Write, query: Query) -> None:
    load(write(APRIL, [trip(APRIL, fare_amount=str(n)) for n in range(2000)]))
    query("update green_tripdata set vendorid = '1'")
    assert query("select filename, operation, changed_by from trip_months.changes") == [
        (APRIL.filename, "UPDATE", "taxi")
    ]


def test_change_names_a_role_without_other_permissions(
    load: Load, write: Write, query: Query, each_postgres_url: str, changes: Callable[[], str | None]
) -> None:
    load(write(APRIL, ROWS))
    query("create role mary login password 'mary'")
    query("grant select, update on green_tripdata to mary")
    try:
        with psycopg.connect(f"postgresql://mary:mary@{each_postgres_url.partition('@')[2]}") as connection:
            connection.execute("update green_tripdata set tip_amount = 5")
        assert "UPDATE by mary at 20" in str(changes())
    finally:
        query("drop owned by mary")
        query("drop role mary")


def test_disabled_triggers_are_noticed_and_enabled_again(
    load: Load, write: Write, query: Query, changes: Callable[[], str | None]
) -> None:
    file = write(APRIL, ROWS)
    load(file)
    query("alter table green_tripdata disable trigger record_change")
    query("update green_tripdata set tip_amount = 5")
    assert "record changes were disabled" in str(changes())
    assert load(file).changed
    assert changes() is None
    assert query("select count(*) from green_tripdata where tip_amount = 5") == [(0,)]
    query("update green_tripdata set tip_amount = 5")
    assert "UPDATE by taxi" in str(changes())


@pytest.mark.parametrize("deletes", ["delete from {} where lpep_pickup_datetime = '2020-04-05 12:00'", "truncate {}"])
def test_row_deleted_from_first_file_is_loaded_with_second(
    load: Load, write: Write, query: Query, deletes: str
) -> None:
    shared = trip(MARCH, "2020-04-05 12:00:00")
    march, april = write(MARCH, [shared, trip(MARCH)]), write(APRIL, [shared, trip(APRIL)])
    load(march)
    load(april)
    query(deletes.format("trip_months.green_tripdata_2020_03"))
    assert load(april).changed
    rows = "select filename from green_tripdata where lpep_pickup_datetime = '2020-04-05 12:00'"
    assert query(rows) == [(APRIL.filename,)]
    assert load(march).changed
    assert query(rows) == [(APRIL.filename,)]
    assert query("select count(*) from green_tripdata") == [(3,)]


def test_other_row_deleted_from_first_file_leaves_second(load: Load, write: Write, query: Query) -> None:
    shared = trip(MARCH, "2020-04-05 12:00:00")
    load(write(MARCH, [shared, trip(MARCH)]))
    april = write(APRIL, [shared, trip(APRIL)])
    load(april)
    before = query(f"select *, xmin::text from {PARTITION}")
    query("delete from green_tripdata where lpep_pickup_datetime = '2020-03-01'")
    assert not load(april).changed
    assert query(f"select *, xmin::text from {PARTITION}") == before
    assert query("select relname from pg_class where relname ~ '(staging|loading)' and relkind = 'r'") == []


def test_view_lists_load_records(load: Load, write: Write, query: Query) -> None:
    shared = trip(MARCH, "2020-04-05 12:00:00")
    march, april = load(write(MARCH, [shared])).record, load(write(APRIL, [shared, trip(APRIL)])).record
    columns = "colour, month, filename, sha256, rows_in_file, rows_in_table, duplicates_by_file, loaded_at::text"
    loads = query(f"select {columns} from taxi_loads")
    assert [row[:-1] for row in loads] == [
        ("green", "2020-03", MARCH.filename, march.sha256, 1, 1, {}),
        ("green", "2020-04", APRIL.filename, april.sha256, 2, 1, {MARCH.filename: 1}),
    ]
    assert all(row[-1].startswith("20") for row in loads)


def test_view_skips_comments_that_are_no_record(load: Load, write: Write, query: Query) -> None:
    load(write(MARCH, [trip(MARCH)]))
    load(write(APRIL, [trip(APRIL)]))
    query(f"comment on table {PARTITION} is '{{\"rows\": 1, mine'")
    assert query("select filename from taxi_loads") == [(MARCH.filename,)]
    assert Partition(1, "a", "b", "FOR VALUES IN ('x')", '{"rows": 1, mine').record is None


def test_view_is_readable_without_other_permissions(
    load: Load, write: Write, query: Query, each_postgres_url: str
) -> None:
    load(write(APRIL, [trip(APRIL)]))
    query("create role reads login password 'reads'")
    query("grant select on taxi_loads to reads")
    try:
        with psycopg.connect(f"postgresql://reads:reads@{each_postgres_url.partition('@')[2]}") as connection:
            assert connection.execute("select rows_in_file from taxi_loads").fetchall() == [(1,)]
    finally:
        query("drop owned by reads")
        query("drop role reads")
