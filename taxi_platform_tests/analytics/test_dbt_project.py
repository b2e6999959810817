"""The dbt project on PostgreSQL: incremental builds, what they read, descriptions."""

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from taxi_platform.analytics.dbt_process import PROJECT, ZONES_SEED, Dbt
from taxi_platform.trips.columns import COLOURS, FILENAME, UNIQUE_ROW_ID
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.support.mart_tables import create_trip_tables, dbt_environment, load, unload
from taxi_platform_tests.support.trip_files import Row, trip

APRIL = TripMonth.from_key("green|2020-04")
MAY = TripMonth.from_key("green|2020-05")
YELLOW = TripMonth.from_key("yellow|2020-04")
YELLOW_2025 = TripMonth.from_key("yellow|2025-02")
ZONES = PROJECT / "seeds" / ZONES_SEED
BY_FILE = ("fct_trips", "zone_revenue_by_file", "hourly_trips_by_file")


def rows(month: TripMonth, count: int, **fields: str) -> list[Row]:
    return [
        trip(
            month,
            f"{1 + index % 28:02} {index % 24:02}:00:{index % 60:02}",
            PULocationID=str(1 + index % 263),
            **fields,
        )
        for index in range(count)
    ]


class Marts:
    """A database with trip tables, and the marts that dbt builds in it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.dbt = Dbt("postgres", folder, dbt_environment(url))

    def build(self, *months: TripMonth, version: str | None = "1") -> None:
        built = {"sha256": version, "load_record": f"record {version}"} if version else None
        nodes, output = self.dbt.build(
            ["*"] if not months else ["built_files", *BY_FILE],
            files={month.filename: built for month in months},
            zones=ZONES,
        )
        assert all(node.succeeded for node in nodes), output

    def query(self, statement: str) -> list[tuple]:
        with psycopg.connect(self.url) as connection:
            return connection.execute(statement.encode()).fetchall()

    def contents(self) -> dict[str, list[tuple]]:
        return {name: self.query(f"select * from marts.{name} order by 1, 2, 3, 4, 5, 6") for name in BY_FILE}


@pytest.fixture
def marts(each_postgres_url: str, tmp_path: Path) -> Marts:
    create_trip_tables(each_postgres_url)
    return Marts(each_postgres_url, tmp_path / "dbt")


def test_incremental_builds_equal_full_rebuild(postgres_url: str, tmp_path: Path) -> None:
    """On one version of PostgreSQL, because it takes four runs of dbt."""
    create_trip_tables(postgres_url)
    marts = Marts(postgres_url, tmp_path / "dbt")
    out_of_month = trip(MAY, "2020-04-30 23:59:00", PULocationID="75")
    refund = trip(APRIL, "01 00:00:00", PULocationID="1", fare_amount="-8", total_amount="-9.3")
    load(marts.url, APRIL, [*rows(APRIL, 40), refund, trip(APRIL, "02 00:00:00", VendorID="")])
    load(marts.url, YELLOW, rows(YELLOW, 30))
    marts.build()
    load(marts.url, MAY, [*rows(MAY, 20), out_of_month])
    load(marts.url, APRIL, rows(APRIL, 25, fare_amount="11.5"))
    marts.build(APRIL, MAY, version="2")
    assert partitions_read(marts, APRIL, MAY)
    with psycopg.connect(marts.url) as connection:
        unload(connection, YELLOW)
    marts.build(YELLOW, version=None)
    incremental = marts.contents()
    built = marts.query("select distinct filename, sha256, load_record from marts.built_files order by 1")
    marts.build()

    assert [len(contents) for contents in incremental.values()] == [46, 46, 46]
    assert incremental == marts.contents()
    assert built == [(APRIL.filename, "2", "record 2"), (MAY.filename, "2", "record 2")]
    revenue = "select sum(revenue_monthly_total_amount) from marts.fct_monthly_zone_revenue"
    loaded = "select sum(total_amount)::numeric from green_tripdata where lpep_pickup_datetime"
    assert marts.query(f"{revenue} where revenue_month = '2020-04-01'") == marts.query(f"{loaded} < '2020-05-01'")


def partitions_read(marts: Marts, *months: TripMonth) -> bool:
    """Return whether the last build of the trips reads the partitions of these months and no others."""
    (compiled,) = (marts.dbt.folder / "target" / "compiled").rglob("fct_trips.sql")
    plan = "\n".join(line for (line,) in marts.query(f"explain {compiled.read_text()}"))
    return all((month.filename in plan) == (month in months) for month in (APRIL, MAY, YELLOW))


def test_first_file_of_one_colour_builds(marts: Marts) -> None:
    with psycopg.connect(marts.url) as connection:
        connection.execute("drop table yellow_tripdata")
    load(marts.url, APRIL, rows(APRIL, 10))
    marts.build()
    marts.build(APRIL)
    assert marts.query("select count(*) from marts.fct_trips") == [(10,)]
    assert_described(marts.dbt.folder / "target" / "manifest.json")


def test_tables_of_earlier_version_get_columns(marts: Marts) -> None:
    optional = [column.name for column in YELLOW.colour.columns if column.optional]
    dropped = ", ".join(f"drop column {name}" for name in optional)
    with psycopg.connect(marts.url) as connection:
        connection.execute(f"alter table yellow_tripdata {dropped}".encode())
        connection.execute("alter table green_tripdata drop column cbd_congestion_fee")
    marts.build()
    added = ", ".join(f"add column {name} double precision" for name in optional)
    with psycopg.connect(marts.url) as connection:
        connection.execute(f"alter table yellow_tripdata {added}".encode())
        connection.execute("alter table marts.built_files drop column load_record")
        connection.execute(f"alter table marts.fct_trips {dropped}".encode())
    load(marts.url, YELLOW_2025, rows(YELLOW_2025, 5, airport_fee="1.75", cbd_congestion_fee="0.75"))
    marts.build(YELLOW_2025)

    fees = (
        "select file_month::text, airport_fee::float, cbd_congestion_fee::float from marts.fct_trips group by 1, 2, 3"
    )
    assert marts.query(f"{fees} order by 1") == [("2025-02-01", 1.75, 0.75)]
    assert marts.query("select distinct filename, load_record from marts.built_files") == [
        (YELLOW_2025.filename, "record 1")
    ]


def assert_described(path: Path) -> None:
    manifest = json.loads(path.read_text(encoding="utf-8"))
    for node in described(manifest):
        assert node["description"], node["name"]
        assert all(column["description"] for column in node["columns"].values()), node["name"]
    for colour in COLOURS.values():
        source = manifest["sources"][f"source.taxi_trips.trips.{colour.table}"]
        columns = (UNIQUE_ROW_ID, FILENAME, *colour.columns)
        assert list(source["columns"]) == [column.folded_name for column in columns]


def described(manifest: dict) -> Iterator[dict]:
    yield from manifest["sources"].values()
    yield from (node for node in manifest["nodes"].values() if node["resource_type"] in ("model", "seed"))
