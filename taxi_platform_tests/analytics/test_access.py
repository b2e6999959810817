"""Who reads the marts, and the answers of docs/homework.md."""

import re
import shlex
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors

from taxi_platform.analytics.dbt_process import PROJECT, ZONES_SEED, Dbt
from taxi_platform.local.embedded_postgres import EmbeddedPostgres
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.conftest import REPO, new_database
from taxi_platform_tests.deployment.conftest import as_user, run_script
from taxi_platform_tests.support.mart_tables import create_trip_tables, dbt_environment, load
from taxi_platform_tests.support.trip_files import trip

HOMEWORK = (REPO / "docs" / "homework.md").read_text(encoding="utf-8").partition("# Module 4")[2].split("\n## ")[1:]
MONTHS = [TripMonth.from_key(key) for key in ("green|2019-04", "green|2019-10", "green|2020-04")]
PASSWORDS = {"TRIPS_PASSWORD": "loader", "TRIPS_READER_PASSWORD": "reader"}


@pytest.fixture(scope="module")
def marts_url(embedded: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database in which the platform's account loaded three months and built their marts."""
    with new_database(embedded.start()) as url:
        run_script(url, REPO / "deploy/postgres/trips.sql", PASSWORDS)
        loader = as_user(url, "taxi_loader", "loader")
        create_trip_tables(loader)
        for number, month in enumerate(MONTHS, start=2):
            days = range(1, number)
            trips = [trip(month, f"{day:02} 10:00:00", PULocationID="74", fare_amount=f"{day}") for day in days]
            load(loader, month, [*trips, trip(month, "20 10:00:00", PULocationID="75", total_amount="1")])
        dbt = Dbt("postgres", tmp_path_factory.mktemp("dbt"), dbt_environment(loader))
        nodes, output = dbt.build(["*"], zones=PROJECT / "seeds" / ZONES_SEED)
        assert all(node.succeeded for node in nodes), output
        yield url


def test_reader_reads_marts_only(marts_url: str) -> None:
    with psycopg.connect(as_user(marts_url, "taxi_reader", "reader"), autocommit=True) as connection:
        for mart in ("fct_trips", "fct_monthly_zone_revenue", "dim_zones", "built_files"):
            row = connection.execute(f"select count(*) from marts.{mart}".encode()).fetchone()
            assert row
            assert row[0] > 0
        connection.execute("set default_transaction_read_only = off")
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute("delete from marts.fct_trips")


def test_statements_of_homework_answer(marts_url: str) -> None:
    answers = []
    with psycopg.connect(marts_url) as connection:
        for section in HOMEWORK:
            (line,) = re.findall(r"^    (taxi-platform sql .+)$", section, re.MULTILINE)
            answers.append(connection.execute(shlex.split(line)[2].encode()).fetchall())
    rows, zone, trips, percentiles, growth = answers
    assert rows == [(6,)]
    assert zone == [("East Harlem North",)]
    assert trips == [(3,)]
    assert percentiles == [(8, 8, 8)]
    assert [(service, quarter, float(growth_percent)) for service, quarter, growth_percent in growth] == [
        ("Green", 2, 180.58)
    ]
