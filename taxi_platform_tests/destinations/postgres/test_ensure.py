"""Tables that exist already: which are brought in line, and which are refused."""

import json
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from taxi_platform.destinations.postgres.catalog import loaded_months
from taxi_platform.destinations.postgres.ensure import DOCS
from taxi_platform.destinations.postgres.merge import merge
from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.destinations.postgres.staging import stage
from taxi_platform.errors import ForeignTable, TableBusy
from taxi_platform.trips.columns import GREEN, Column, Kind
from taxi_platform.trips.load_record import months_to_reload
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.destinations.contract import APRIL, MARCH, MAY, Load, Query, Write
from taxi_platform_tests.destinations.postgres.test_concurrency import COPYING, MINE, process, reading, together
from taxi_platform_tests.support.documentation import documented
from taxi_platform_tests.support.trip_files import trip
from taxi_platform_tests.support.waiting import until

KESTRA = """
create table public.green_tripdata (
    unique_row_id text, filename text, VendorID text, lpep_pickup_datetime timestamp, lpep_dropoff_datetime timestamp,
    store_and_fwd_flag text, RatecodeID text, PULocationID text, DOLocationID text, passenger_count integer,
    trip_distance double precision, fare_amount double precision, extra double precision, mta_tax double precision,
    tip_amount double precision, tolls_amount double precision, ehail_fee double precision,
    improvement_surcharge double precision, total_amount double precision, payment_type integer, trip_type integer,
    congestion_surcharge double precision)
"""
KESTRA_ROWS = """
insert into green_tripdata (unique_row_id, filename, vendorid) values
    ('a', 'green_tripdata_2020-03.csv', '1'), ('b', 'green_tripdata_2020-04.csv', '1'),
    ('c', 'green_tripdata_2020-04.csv', '2'), ('d', 'mine.csv', '2'), ('e', null, '2')
"""
VERSION_0_1 = f"""
create schema trip_months;
create function trip_months.time_text(at timestamp) returns text language plpgsql immutable strict parallel safe
    as $$ begin return at::text; end $$;
{KESTRA} partition by list (filename);
create table trip_months.green_tripdata_2020_03 (like green_tripdata,
    constraint of_this_file check (filename is not null and filename = 'green_tripdata_2020-03.csv'));
insert into trip_months.green_tripdata_2020_03
    (unique_row_id, filename, vendorid, lpep_pickup_datetime, lpep_dropoff_datetime, pulocationid, dolocationid)
    values (md5('old'), 'green_tripdata_2020-03.csv', '2', '2020-03-01', '2020-03-01', '1', '2');
create index on trip_months.green_tripdata_2020_03 (lpep_pickup_datetime, unique_row_id)
    where lpep_pickup_datetime is null or lpep_pickup_datetime < '2020-03-01' or lpep_pickup_datetime >= '2020-04-01';
create index on trip_months.green_tripdata_2020_03 using brin (lpep_pickup_datetime);
alter table green_tripdata attach partition trip_months.green_tripdata_2020_03
    for values in ('green_tripdata_2020-03.csv');
comment on table trip_months.green_tripdata_2020_03 is '{{"sha256": "0123", "rows": 3, "strays": 1, "kept_by":
    {{"green_tripdata_2020-02.csv": 2}}, "keepers": {{"green_tripdata_2020-02.csv": ""}},
    "loaded_at": "2026-11-01T10:00:00+00:00"}}';
"""
"""A database as version 0.1.0 created it, with one month loaded."""

TIP_KIND = Column("tip_kind", Kind.TEXT, "How the tip was given.", since="2020-04")


def columns_of(query: Query, table: str) -> list[str]:
    return [
        name
        for (name,) in query(
            "select attname::text from pg_attribute where attrelid = %s::regclass and attnum > 0 "
            "and not attisdropped order by attnum",
            table,
        )
    ]


@pytest.fixture
def with_new_column() -> Callable[[TripMonth], TripMonth]:
    """Return a month of green trips with one column more, as a later version's registry would have it."""

    def changed(month: TripMonth) -> TripMonth:
        return replace(month, colour=replace(month.colour, columns=(*month.colour.columns, TIP_KIND)))

    return changed


def test_plain_table_is_refused_and_docs_convert_it(
    load: Load, write: Write, query: Query, each_postgres_url: str
) -> None:
    query(KESTRA)
    query(KESTRA_ROWS)
    april = write(APRIL, [trip(APRIL)])
    with pytest.raises(ForeignTable, match=re.escape(DOCS)):
        load(april)
    assert query("select count(*) from green_tripdata") == [(5,)]

    with psycopg.connect(each_postgres_url, autocommit=True) as connection:
        statements = documented("from-kestra.md", "A table that the flow has filled")
        connection.execute(statements)  # pyright: ignore[reportArgumentType, reportCallIssue] - the reader's paste
    rows = "select filename, count(*) from green_tripdata group by 1 order by 1"
    assert query(rows) == [("green_tripdata_2020-03.csv", 1), ("green_tripdata_2020-04.csv", 2)]
    assert query("select count(*) from green_tripdata_before") == [(5,)]

    assert load(april).record.rows_in_table == 1
    assert query(rows) == [("green_tripdata_2020-03.csv", 1), ("green_tripdata_2020-04.csv", 1)]


@pytest.mark.parametrize(
    "other",
    [
        "create table green_tripdata (index bigint, vendorid text)",
        "create view green_tripdata as select 1 as filename",
        "create table green_tripdata (unique_row_id text, filename text) partition by hash (filename)",
        "create table green_tripdata (filename text, vendorid text) partition by list (filename)",
        "create table green_tripdata (unique_row_id text, filename text, extra text) partition by list (filename)",
    ],
)
def test_foreign_table_is_refused(load: Load, write: Write, query: Query, other: str) -> None:
    query(other)
    with pytest.raises(ForeignTable, match=r"was not created by the platform: .*\nRename it"):
        load(write(APRIL, [trip(APRIL)]))
    assert query("select count(*) from pg_namespace where nspname = 'trip_months'") == [(0,)]


def test_quoted_identifiers_do_not_make_a_table_foreign(
    each_postgres_url: str, load: Load, write: Write, query: Query
) -> None:
    load(write(APRIL, [trip(APRIL)]))
    quoting = Postgres(url=f"{each_postgres_url}?options=-cquote_all_identifiers%3Don")
    stage(quoting, write(APRIL, [trip(APRIL), trip(APRIL)]))
    assert merge(quoting, APRIL).record.rows == 2


def test_table_of_version_0_1_grows_with_months_in_parallel(
    load: Load, write: Write, query: Query, postgres: Postgres
) -> None:
    query(VERSION_0_1)
    together(*[lambda month=month: load(write(month, [trip(month)])) for month in (APRIL, MAY)])

    names = ["unique_row_id", "filename", *[column.folded_name for column in GREEN.columns]]
    assert columns_of(query, "green_tripdata") == names
    assert set(columns_of(query, "trip_months.green_tripdata_2020_03")) == set(names)
    assert query("select filename, count(*) from green_tripdata group by 1 order by 1") == [
        (month.filename, 1) for month in (MARCH, APRIL, MAY)
    ]
    assert loaded_months(postgres, GREEN)[MARCH].sha256 == "0123"
    assert query("select filename, rows_in_file, rows_in_table, duplicates_by_file from taxi_loads limit 1") == [
        (MARCH.filename, 3, 1, {"green_tripdata_2020-02.csv": 2})
    ]
    triggers = "select count(*) from pg_trigger where tgrelid = 'trip_months.green_tripdata_2020_03'::regclass"
    assert query(triggers) == [(2,)]


def test_new_column_is_added_and_older_months_show_null(
    load: Load, write: Write, query: Query, with_new_column: Callable[[TripMonth], TripMonth]
) -> None:
    load(write(MARCH, [trip(MARCH)]))
    load(write(APRIL, [trip(APRIL)]))
    april, may = with_new_column(APRIL), with_new_column(MAY)
    load(write(may, [trip(may, tip_kind="cash")]))
    assert query("select filename, tip_kind from green_tripdata order by 1") == [
        (MARCH.filename, None),
        (APRIL.filename, None),
        (MAY.filename, "cash"),
    ]
    with_column = write(april, [trip(april, tip_kind="card")])
    assert load(with_column).changed
    assert not load(with_column).changed
    assert query("select tip_kind from green_tripdata where filename = %s", APRIL.filename) == [("card",)]


def test_months_loaded_without_a_column_are_to_reload(
    load: Load, write: Write, postgres: Postgres, with_new_column: Callable[[TripMonth], TripMonth]
) -> None:
    for month in (MARCH, APRIL):
        load(write(month, [trip(month)]))
    found = loaded_months(postgres, with_new_column(APRIL).colour)
    assert [month.key for month in months_to_reload(found)] == [APRIL.key]


def test_month_staged_before_a_column_was_added_is_attached(
    postgres: Postgres, load: Load, write: Write, query: Query, with_new_column: Callable[[TripMonth], TripMonth]
) -> None:
    file = write(APRIL, [trip(APRIL)])
    stage(postgres, file)
    may = with_new_column(MAY)
    load(write(may, [trip(may, tip_kind="cash")]))
    assert merge(postgres, APRIL).changed
    assert query("select filename, tip_kind from green_tripdata order by 1") == [
        (APRIL.filename, None),
        (MAY.filename, "cash"),
    ]
    assert load(write(with_new_column(APRIL), [trip(APRIL)])).changed


def test_column_waits_for_readers_and_names_them(
    load: Load,
    write: Write,
    each_postgres_url: str,
    with_new_column: Callable[[TripMonth], TripMonth],
) -> None:
    load(write(APRIL, [trip(APRIL)]))
    may = with_new_column(MAY)
    file = write(may, [trip(may)])
    with reading(each_postgres_url) as pid, pytest.raises(TableBusy, match=f"could not be altered.*pid {pid}"):
        stage(Postgres(url=each_postgres_url, merge_timeout=0), file)
    assert load(file).changed


def test_killed_while_it_adds_a_column_next_run_succeeds(
    load: Load, write: Write, query: Query, each_postgres_url: str
) -> None:
    query(VERSION_0_1)
    file = write(APRIL, [trip(APRIL)])
    with reading(each_postgres_url), process(each_postgres_url, file) as victim:
        waits = f"select 1 {MINE} and wait_event_type = 'Lock' and query ~ '^(create trigger|alter table)'"
        until(lambda: query(waits), "the change waits for the reader, inside its transaction")
        victim.kill()
    until(lambda: not query(f"select 1 {MINE}"), "the server has noticed")
    assert load(file).changed
    assert query("select count(*) from green_tripdata") == [(2,)]


def test_killed_between_column_and_rows_next_run_succeeds(
    load: Load, write: Write, query: Query, postgres: Postgres, each_postgres_url: str
) -> None:
    query(VERSION_0_1)
    rows = [trip(APRIL, fare_amount=str(n)) for n in range(100_000)]
    file = write(APRIL, rows)
    with process(each_postgres_url, file) as victim:
        until(lambda: query(COPYING), "rows are copied", pause=0.01)
        victim.kill()
    until(lambda: not query(f"select 1 {MINE}"), "the server has noticed")
    assert list(loaded_months(postgres, GREEN)) == [MARCH]
    assert load(file).changed
    assert query("select count(*) from green_tripdata") == [(100_001,)]


def from_version_0_1_json(text: str) -> Mapping[str, Any] | None:
    """Version 0.1.0's parser of records, with the fields of its dataclass."""
    fields = ("sha256", "rows", "strays", "kept_by", "keepers", "loaded_at")
    try:
        found = json.loads(text or "")
        return {name: found[name] for name in fields} if set(found) == set(fields) else None
    except (ValueError, TypeError, KeyError):
        return None


def test_docs_let_version_0_1_read_the_records(load: Load, write: Write, query: Query, each_postgres_url: str) -> None:
    shared = trip(MARCH, "2020-04-05 12:00:00")
    march = load(write(MARCH, [shared])).record
    april = load(write(APRIL, [shared, trip(APRIL)])).record
    with psycopg.connect(each_postgres_url, autocommit=True) as connection:
        connection.execute(documented("upgrading.md", "Going back to 0.1.0"))  # pyright: ignore[reportArgumentType, reportCallIssue]
    comments = dict(query("select relname::text, obj_description(oid) from pg_class where relname ~ '2020_0[34]$'"))
    assert from_version_0_1_json(comments["green_tripdata_2020_04"]) == {
        "sha256": april.sha256,
        "rows": 2,
        "strays": 0,
        "kept_by": {MARCH.filename: 1},
        "keepers": {MARCH.filename: march.sha256},
        "loaded_at": april.loaded_at,
    }
    of_0_1 = ["unique_row_id", "filename", *[column.folded_name for column in GREEN.required_columns]]
    assert columns_of(query, "green_tripdata") == of_0_1
    # and forward again
    assert not load(write(APRIL, [shared, trip(APRIL)])).changed


def test_first_runs_in_parallel_create_tables_once(load: Load, write: Write, query: Query) -> None:
    months = [TripMonth.from_key(f"{colour}|2020-0{n}") for colour in ("green", "yellow") for n in (1, 2, 3)]
    files = [write(month, [trip(month)]) for month in months]
    with ThreadPoolExecutor(len(files)) as pool:
        assert all(merged.changed for merged in pool.map(load, files))
    assert query("select count(*), count(distinct filename) from taxi_loads") == [(6, 6)]
