"""Merges into tables that were changed by hand, and what snapshots older than a swap see."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from taxi_platform.destinations.postgres.merge import merge
from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.destinations.postgres.staging import stage
from taxi_platform.errors import PermanentError
from taxi_platform_tests.destinations.contract import APRIL, MARCH, Load, Query, Write
from taxi_platform_tests.support.trip_files import trip

SHARED = trip(MARCH, "2020-04-05 12:00:00")
COUNT = "select count(*) from green_tripdata where filename = 'green_tripdata_2020-04.csv'"


@contextmanager
def repeatable_read(url: str) -> Iterator[psycopg.Connection]:
    """Yield a REPEATABLE READ transaction that has taken its snapshot."""
    with psycopg.connect(url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("select 1")
        yield connection


def test_publication_of_all_tables_does_not_block_merges(load: Load, write: Write, query: Query) -> None:
    query("create publication everything for all tables")
    load(write(MARCH, [SHARED, trip(MARCH)]))
    assert load(write(APRIL, [SHARED, trip(APRIL)])).record.rows_in_table == 1
    assert load(write(APRIL, [SHARED, trip(APRIL), trip(APRIL)])).record.rows_in_table == 2


@pytest.mark.parametrize("has_duplicates", [False, True])
def test_snapshot_between_staging_and_merge_sees_no_duplicate(
    postgres: Postgres, load: Load, write: Write, each_postgres_url: str, has_duplicates: bool
) -> None:
    """It sees the month whole, or empty if rows were skipped: never with the duplicates."""
    load(write(MARCH, [SHARED, trip(MARCH)]))
    stage(postgres, write(APRIL, [SHARED, trip(APRIL)] if has_duplicates else [trip(APRIL)]))
    with repeatable_read(each_postgres_url) as reader:
        merge(postgres, APRIL)
        assert reader.execute(COUNT).fetchall() == [(0 if has_duplicates else 1,)]


def test_snapshot_before_a_swap_sees_the_month_empty(
    postgres: Postgres, load: Load, write: Write, each_postgres_url: str
) -> None:
    load(write(APRIL, [trip(APRIL)]))
    with repeatable_read(each_postgres_url) as reader:
        load(write(APRIL, [trip(APRIL), trip(APRIL)]))
        assert reader.execute(COUNT).fetchall() == [(0,)]
    with repeatable_read(each_postgres_url) as reader:
        assert reader.execute(COUNT).fetchall() == [(2,)]


@pytest.mark.parametrize(("volatility", "sees"), [("stable", 0), ("volatile", 2)])
def test_function_of_a_statement_older_than_a_swap(
    load: Load, write: Write, query: Query, each_postgres_url: str, volatility: str, sees: int
) -> None:
    """A STABLE function that first reads the table after a swap uses the snapshot of the statement that calls it."""
    load(write(APRIL, [trip(APRIL)]))
    query(
        f"create function rows_of_april() returns bigint language plpgsql {volatility} "
        f"as $$ begin return ({COUNT}); end $$"
    )
    with psycopg.connect(each_postgres_url, autocommit=True) as connection, connection.cursor("calls") as cursor:
        connection.execute("begin")
        # The cursor's snapshot is taken here; the function runs when the second row is fetched.
        cursor.execute("select case n when 1 then -1 else rows_of_april() end from generate_series(1, 2) as n")
        assert cursor.fetchone() == (-1,)
        load(write(APRIL, [trip(APRIL), trip(APRIL)]))
        assert cursor.fetchone() == (sees,)


@pytest.mark.parametrize(
    ("by_hand", "says", "remedy"),
    [
        (
            ["create table rest partition of green_tripdata default", "insert into rest (filename) values ({april})"],
            'default partition "rest" would be violated',
            "The default partition has rows of this file",
        ),
        (
            ["create table two_files partition of green_tripdata for values in ({april}, 'mine.csv')"],
            'would overlap partition "two_files"',
            "Detach the partition that was created by hand",
        ),
        (
            ["create unique index on green_tripdata (filename, unique_row_id)"],
            "could not create unique index",
            "Drop the unique index",
        ),
        (
            ["create table trip_months.green_tripdata_2020_04 ()"],
            'relation "green_tripdata_2020_04" already exists',
            "is not attached: rename or drop it",
        ),
        (
            ["alter table green_tripdata add column mine text not null default ''"],
            "must be marked NOT NULL",
            "Undo what was added to the table by hand",
        ),
    ],
)
def test_obstacle_by_hand_is_one_clear_error(
    load: Load, write: Write, query: Query, by_hand: list[str], says: str, remedy: str
) -> None:
    load(write(MARCH, [trip(MARCH)]))
    for statement in by_hand:
        query(statement.format(april=f"'{APRIL.filename}'"))
    before = query("select count(*) from green_tripdata")
    with pytest.raises(PermanentError, match=f"(?s)green.2020-04 cannot be attached.*{says}.*{remedy}"):
        load(write(APRIL, [trip(APRIL), trip(APRIL)]))
    assert query("select count(*) from green_tripdata") == before


def test_column_added_by_hand_is_null_in_new_months(load: Load, write: Write, query: Query) -> None:
    load(write(MARCH, [trip(MARCH)]))
    query('alter table green_tripdata add column "My note" varchar(20)')
    load(write(APRIL, [SHARED, trip(APRIL)]))
    assert query('select distinct "My note" from green_tripdata') == [(None,)]


def test_role_default_of_repeatable_read_does_not_hide_a_month(
    each_postgres_url: str, load: Load, write: Write, query: Query
) -> None:
    load(write(MARCH, [SHARED]))
    strict = Postgres(url=f"{each_postgres_url}?options=-cdefault_transaction_isolation%3Dserializable")
    with strict.connect("tests") as connection:
        assert connection.execute("show transaction_isolation").fetchone() == ("read committed",)
    stage(strict, write(APRIL, [SHARED, trip(APRIL)]))
    assert merge(strict, APRIL).record.rows_in_table == 1


def test_sessions_do_not_compile_queries(postgres: Postgres) -> None:
    with postgres.connect("tests") as connection:
        assert connection.execute("show jit").fetchone() == ("off",)
