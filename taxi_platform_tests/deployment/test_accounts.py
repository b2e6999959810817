"""Tests of the privileges of the trips database's roles."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import errors, sql

from taxi_platform.destinations.postgres.merge import merge
from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.destinations.postgres.staging import stage
from taxi_platform.errors import MissingRight
from taxi_platform.local.embedded_postgres import EmbeddedPostgres
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.conftest import new_database
from taxi_platform_tests.deployment.conftest import as_user, run_script
from taxi_platform_tests.support.compose import REPO, read_compose
from taxi_platform_tests.support.trip_files import csv_text, raw_file, trip

MONTH = TripMonth.from_key("green|2020-03")


@pytest.fixture
def trips_url(databases: EmbeddedPostgres) -> Iterator[str]:
    """The superuser's URL of a new trips database with the roles of the compose file."""
    with new_database(databases.url("postgres")) as url:
        script, settings = REPO / "deploy/postgres/trips.sql", read_compose()["services"]["trips-db"]["environment"]
        run_script(url, script, settings)
        # Again, as for a change of passwords.
        run_script(url, script, settings)
        yield url


@pytest.fixture
def loaded(trips_url: str, tmp_path: Path) -> str:
    """The same with a month that `taxi_loader` loaded and then replaced."""
    platform = Postgres(url=as_user(trips_url, "taxi_loader", "loader"))
    for rows in ([trip(MONTH, "01 10:00:00")], [trip(MONTH, "01 10:00:00"), trip(MONTH, "02 10:00:00")]):
        stage(platform, raw_file(tmp_path, MONTH, csv_text(MONTH, rows)))
        merge(platform, MONTH)
    return trips_url


def test_loader_loads_and_replaces_a_month(loaded: str) -> None:
    with psycopg.connect(loaded) as connection:
        assert connection.execute("select count(*) from green_tripdata").fetchone() == (2,)


def test_loader_has_no_privileges_over_others(loaded: str) -> None:
    with psycopg.connect(as_user(loaded, "taxi_loader", "loader"), autocommit=True) as connection:
        rights = connection.execute(
            "select rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls from pg_roles "
            "where rolname = current_user"
        ).fetchone()
        for forbidden in (
            "create database another",
            "create role another",
            "copy (select 1) to program 'true'",
            "select pg_read_file('postgresql.conf')",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(sql.SQL(forbidden))
    assert rights == (False,) * 5


def test_reader_reads_trips_and_changes_nothing(loaded: str) -> None:
    with psycopg.connect(as_user(loaded, "taxi_reader", "reader"), autocommit=True) as connection:
        assert connection.execute("select count(*) from green_tripdata").fetchone() == (2,)
        # Also after it has undone the default that its sessions are read-only.
        connection.execute("set default_transaction_read_only = off")
        for forbidden in (
            "delete from green_tripdata",
            "insert into green_tripdata (filename) values ('green_tripdata_2020-03.csv')",
            "drop table green_tripdata",
            "create table public.another ()",
            "create schema another",
            "create temp table another ()",
            "select * from trip_months.green_tripdata_2020_03",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(sql.SQL(forbidden))


def test_reader_reads_marts(trips_url: str) -> None:
    with psycopg.connect(as_user(trips_url, "taxi_loader", "loader"), autocommit=True) as connection:
        connection.execute("create schema if not exists marts")
        connection.execute("create table marts.a_model as select 7 as value")
    with psycopg.connect(as_user(trips_url, "taxi_reader", "reader"), autocommit=True) as connection:
        assert connection.execute("select value from marts.a_model").fetchone() == (7,)
        connection.execute("set default_transaction_read_only = off")
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute("create table marts.another ()")


def test_other_roles_cannot_connect(loaded: str) -> None:
    with psycopg.connect(loaded, autocommit=True) as connection:
        connection.execute("drop role if exists stranger")
        connection.execute("create role stranger login password 'stranger'")
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(as_user(loaded, "stranger", "stranger"))


def test_database_owner_can_create_the_roles(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "postgres")
    services = read_compose()["services"]
    try:
        url = server.start()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("create role owner login createrole createdb password 'owner'")
            connection.execute("create database ny_taxi owner owner")
        as_owner = as_user(server.url("ny_taxi"), "owner", "owner")
        run_script(as_owner, REPO / "deploy/postgres/trips.sql", services["trips-db"]["environment"])
        run_script(as_owner, REPO / "deploy/postgres/dagster.sql", services["dagster-db"]["environment"])

        platform = Postgres(url=as_user(as_owner, "taxi_loader", "loader"))
        stage(platform, raw_file(tmp_path, MONTH, csv_text(MONTH, [trip(MONTH, "01 10:00:00")])))
        merge(platform, MONTH)
        with psycopg.connect(as_user(as_owner, "taxi_reader", "reader")) as connection:
            assert connection.execute("select count(*) from green_tripdata").fetchone() == (1,)
        with psycopg.connect(as_user(server.url("dagster"), "dagster", "dagster")) as connection:
            connection.execute("create table of_dagster ()")
    finally:
        server.remove()


def test_missing_privilege_is_named(databases: EmbeddedPostgres, tmp_path: Path) -> None:
    with new_database(databases.url("postgres")) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("drop role if exists bare")
            connection.execute("create role bare login password 'bare'")
        with pytest.raises(MissingRight, match=r"CREATE and TEMPORARY.*trips\.sql"):
            stage(Postgres(url=as_user(url, "bare", "bare")), raw_file(tmp_path, MONTH, csv_text(MONTH, [])))
