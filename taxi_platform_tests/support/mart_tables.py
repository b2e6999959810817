"""Trip tables written by SQL, for tests of the marts: partitioned by file, as the platform leaves them."""

from collections.abc import Iterable

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from taxi_platform.trips.columns import COLOURS, FILENAME, UNIQUE_ROW_ID, Column, Kind
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.support.trip_files import Row

TYPES = {
    Kind.TEXT: "text",
    Kind.TIME: "timestamp",
    Kind.INTEGER: "integer",
    Kind.CODE: "integer",
    Kind.NUMBER: "double precision",
}


def columns(month: TripMonth) -> list[Column]:
    return [UNIQUE_ROW_ID, FILENAME, *month.colour.columns]


def create_trip_tables(url: str) -> None:
    """Create an empty trip table for each colour."""
    with psycopg.connect(url, autocommit=True) as connection:
        for colour in COLOURS.values():
            declared = ", ".join(
                f"{column.name} {TYPES[column.kind]}" for column in (UNIQUE_ROW_ID, FILENAME, *colour.columns)
            )
            connection.execute(f"create table public.{colour.table} ({declared}) partition by list (filename)".encode())


def load(url: str, month: TripMonth, rows: Iterable[Row]) -> None:
    """Replace the month's partition by the rows."""
    names = [column.name for column in columns(month)]
    with psycopg.connect(url, autocommit=True) as connection, connection.transaction():
        unload(connection, month)
        connection.execute(
            sql.SQL("create table {} partition of {} for values in ({})").format(
                sql.Identifier(month.filename), sql.Identifier(month.colour.table), sql.Literal(month.filename)
            )
        )
        insert = sql.SQL("insert into {} values ({})").format(
            sql.Identifier(month.colour.table), sql.SQL(", ").join([sql.Placeholder()] * len(names))
        )
        values = [{"unique_row_id": "", "filename": month.filename, **row} for row in rows]
        with connection.cursor() as cursor:
            cursor.executemany(insert, [[row.get(name) or None for name in names] for row in values])


def unload(connection: psycopg.Connection, month: TripMonth) -> None:
    """Drop the month's partition."""
    connection.execute(sql.SQL("drop table if exists {}").format(sql.Identifier(month.filename)))


def dbt_environment(url: str) -> dict[str, str]:
    """Return what profiles.yml reads for the server at the URL."""
    found = conninfo_to_dict(url)
    return {
        "DBT_POSTGRES_HOST": str(found["host"]),
        "DBT_POSTGRES_PORT": str(found["port"]),
        "DBT_POSTGRES_USER": str(found["user"]),
        "DBT_POSTGRES_DBNAME": str(found["dbname"]),
        "DBT_ENV_SECRET_POSTGRES_PASSWORD": str(found["password"]),
    }
