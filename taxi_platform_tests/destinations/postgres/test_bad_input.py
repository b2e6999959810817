"""Files and servers that cannot be loaded from or into. The form of lines is tested in `test_csv_validation`."""

import traceback
from collections.abc import Callable

import psycopg
import pytest

from taxi_platform.destinations.postgres.merge import merge
from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.destinations.postgres.staging import stage
from taxi_platform.errors import (
    BadFile,
    BadSetting,
    DatabaseUnavailable,
    MissingRight,
    NotStaged,
    PermanentError,
    SourceUnavailable,
)
from taxi_platform.source.raw_file import RawFile
from taxi_platform.trips.columns import GREEN
from taxi_platform.trips.load_record import MergeResult
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.support.trip_files import trip

Query = Callable[..., list[tuple]]
Load = Callable[[RawFile], MergeResult]
Write = Callable[..., RawFile]

APRIL = TripMonth.from_key("green|2020-04")
LEFT_OVER = "select relname from pg_class where relname ~ '(staging|loading)' and relkind = 'r'"


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("fare_amount", "much", 'invalid input syntax for type double precision: "much"'),
        ("passenger_count", "1.0", 'invalid input syntax for type integer: "1.0"'),
        ("passenger_count", "3000000000", 'value "3000000000" is out of range for type integer'),
        ("lpep_pickup_datetime", "2020-02-30 00:00:00", "date/time field value out of range"),
        ("lpep_pickup_datetime", "03/04/2021 0:30", "date/time field value out of range"),
    ],
)
def test_rejected_value_is_reported_with_its_line(
    load: Load, write: Write, query: Query, column: str, value: str, says: str
) -> None:
    load(write(APRIL, [trip(APRIL)]))
    with pytest.raises(BadFile, match="must be corrected first") as caught:
        load(write(APRIL, [trip(APRIL), trip(APRIL), trip(APRIL) | {column: value}, trip(APRIL)]))
    assert (caught.value.line, caught.value.column) == (4, column)
    assert caught.value.what.startswith(f"green_tripdata_2020-04.csv, line 4, column {column}: {says}")
    assert not caught.value.allow_retries
    assert query("select count(*) from green_tripdata") == [(1,)]
    assert query(LEFT_OVER) == []


def test_line_of_a_bad_value_counts_from_start_of_file(write: Write, postgres: Postgres) -> None:
    """The file has several blocks of a megabyte, copied by two connections."""
    rows = [trip(APRIL, fare_amount=str(n)) for n in range(60_000)]
    rows[51_234] |= {"tip_amount": "x"}
    with pytest.raises(BadFile) as caught:
        stage(postgres, write(APRIL, rows))
    assert (caught.value.line, caught.value.column) == (51_236, "tip_amount")


def test_file_replaced_during_staging_is_not_staged(write: Write, postgres: Postgres, query: Query) -> None:
    """It has as many rows as before, so only its sha256 tells."""
    file = write(APRIL, [trip(APRIL, fare_amount="8")])
    write(APRIL, [trip(APRIL, fare_amount="9")])
    with pytest.raises(SourceUnavailable, match=r"was replaced .*\nNothing was staged. A rerun may"):
        stage(postgres, file)
    assert query(LEFT_OVER) == []


def test_columns_are_loaded_by_name_in_any_order(load: Load, write: Write, query: Query) -> None:
    names = [column.name for column in GREEN.columns]
    load(write(APRIL, [trip(APRIL, tip_amount="1.5", trip_type="2")], header=reversed(names)))
    found = query("select vendorid, lpep_pickup_datetime::text, tip_amount, trip_type from green_tripdata")
    assert found == [("2", "2020-04-01 00:00:00", 1.5, 2)]


def test_header_names_match_in_any_case(load: Load, write: Write, query: Query) -> None:
    names = [column.name for column in GREEN.columns]
    row = {name.upper(): value for name, value in trip(APRIL).items()}
    load(write(APRIL, [row], header=[name.upper() for name in names]))
    assert query("select vendorid, trip_distance from green_tripdata") == [("2", 1.68)]


@pytest.mark.parametrize("name", ["airport_fee", "filename", "unique_row_id", "extra_20", 'odd "name" %s', "x" * 100])
def test_unknown_column_is_not_loaded(load: Load, write: Write, query: Query, name: str) -> None:
    names = [column.name for column in GREEN.columns]
    load(write(APRIL, [trip(APRIL) | {name: "7"}], header=[name, *names]))
    columns = query(
        "select attname::text from pg_attribute where attrelid = 'trip_months.green_tripdata_2020_04'::regclass "
        "and attnum > 0 and not attisdropped order by attnum"
    )
    assert [column for (column,) in columns] == ["unique_row_id", "filename", *[name.lower() for name in names]]
    assert query("select filename, vendorid from green_tripdata") == [("green_tripdata_2020-04.csv", "2")]


def test_swap_reports_objects_that_depend_on_partition(load: Load, write: Write, query: Query) -> None:
    load(write(APRIL, [trip(APRIL)]))
    query("create view mine as select * from trip_months.green_tripdata_2020_04")
    with pytest.raises(PermanentError, match=r"(?s)view mine depends on .*build on public.green_tripdata instead"):
        load(write(APRIL, [trip(APRIL), trip(APRIL)]))
    assert query("select count(*) from green_tripdata") == query("select count(*) from mine") == [(1,)]


def test_merge_without_staging_names_the_command(postgres: Postgres) -> None:
    with pytest.raises(NotStaged, match=r"with its upstream assets.*--partition 'green\|2020-04'"):
        merge(postgres, APRIL)


def test_merge_of_loaded_month_changes_nothing(load: Load, write: Write, postgres: Postgres) -> None:
    loaded = load(write(APRIL, [trip(APRIL)]))
    again = merge(postgres, APRIL)
    assert (again.changed, again.record) == (False, loaded.record)


def test_staging_replaces_an_earlier_staging_table(write: Write, postgres: Postgres, query: Query) -> None:
    stage(postgres, write(APRIL, [trip(APRIL)]))
    stage(postgres, write(APRIL, [trip(APRIL), trip(APRIL)]))
    assert query(LEFT_OVER) == [("green_tripdata_2020_04_staging",)]
    assert merge(postgres, APRIL).record.rows == 2


def test_staging_a_loaded_month_drops_its_staging_table(
    load: Load, write: Write, postgres: Postgres, query: Query
) -> None:
    rows = [trip(APRIL)]
    load(write(APRIL, rows))
    stage(postgres, write(APRIL, [*rows, *rows]))
    assert stage(postgres, write(APRIL, rows)).is_loaded
    assert query(LEFT_OVER) == []
    assert merge(postgres, APRIL).record.rows == 1


def test_unreachable_server_is_reported_without_password() -> None:
    postgres = Postgres(url="postgresql://taxi:secret-word@127.0.0.1:1/ny_taxi")
    with pytest.raises(DatabaseUnavailable) as caught, postgres.connect("tries"):
        pass
    assert "127.0.0.1" in str(caught.value)
    assert "secret-word" not in str(caught.value)
    assert caught.value.allow_retries


@pytest.mark.parametrize(
    "url",
    [
        "postgres//taxi:secret-word@localhost/x",
        "postgresql://taxi:secret-word%zz@localhost/x",
        "postgresql://taxi:se@secret-word@localhost/x",
        "postgresql://taxi:secret-word/se@localhost/x",
        "postgresql://taxi:12/secret-word@localhost/x",
    ],
)
def test_invalid_url_is_not_shown(url: str) -> None:
    with pytest.raises(BadSetting) as caught, Postgres(url=url).connect("tries"):
        pass
    shown = "".join(traceback.format_exception(caught.value))
    assert "TAXI_POSTGRES_URL" in shown
    assert "secret-word" not in shown


def test_missing_permission_names_what_to_grant(each_postgres_url: str, write: Write, query: Query) -> None:
    query("create role reader_only login password 'reader'")
    try:
        base = each_postgres_url.partition("@")[2]
        with pytest.raises(MissingRight, match="CREATE and TEMPORARY on the database and CREATE on schema public"):
            stage(Postgres(url=f"postgresql://reader_only:reader@{base}"), write(APRIL, [trip(APRIL)]))
    finally:
        query("drop role reader_only")


def test_read_only_role_names_what_to_grant(each_postgres_url: str, write: Write) -> None:
    reads = Postgres(url=f"{each_postgres_url}?options=-cdefault_transaction_read_only%3Don")
    with pytest.raises(MissingRight, match="read-only transaction"):
        stage(reads, write(APRIL, [trip(APRIL)]))


@pytest.mark.parametrize(
    "setting",
    ["statement_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout", "transaction_timeout"],
)
def test_timeouts_of_a_role_do_not_end_a_load(each_postgres_url: str, setting: str) -> None:
    with psycopg.connect(each_postgres_url) as plain:
        if setting == "transaction_timeout" and plain.info.server_version < 170000:
            return
    limited = Postgres(url=f"{each_postgres_url}?options=-c{setting}%3D50ms")
    with limited.connect("waits") as connection:
        assert connection.execute("select current_setting(%s)", [setting]).fetchone() == ("0",)
