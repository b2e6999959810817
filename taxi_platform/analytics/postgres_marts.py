"""The marts in PostgreSQL: schema `marts` of the database of trips."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from taxi_platform.analytics.marts import Marts, Query
from taxi_platform.destinations.base import Resources
from taxi_platform.destinations.postgres.resource import Postgres, checked_url, libpq_environment

_LOCK = "select pg_advisory_lock(hashtext('taxi_platform marts'))"


class PostgresMarts(Marts):
    """Marts that dbt builds in the server, one build at a time."""

    @contextmanager
    def building(self, resources: Resources) -> Iterator[None]:
        """Hold an advisory lock of the database."""
        postgres: Postgres = resources["postgres"]
        with postgres.connect("builds marts") as connection:
            connection.execute(_LOCK)
            yield

    @contextmanager
    def connecting(self, resources: Resources) -> Iterator[Mapping[str, str]]:
        """Yield host, user and password of the server."""
        postgres: Postgres = resources["postgres"]
        yield dbt_environment(postgres.resolve_url())

    @contextmanager
    def reading(self, resources: Resources) -> Iterator[Query]:
        """Connect to the server."""
        postgres: Postgres = resources["postgres"]
        with postgres.connect("reads marts") as connection:

            def query(statement: str) -> list[tuple[Any, ...]]:
                try:
                    return connection.execute(statement.encode()).fetchall()
                except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
                    return []

            yield query


def dbt_environment(url: str) -> dict[str, str]:
    """Return what profiles.yml and libpq read for the server at the URL."""
    found = {key: str(value) for key, value in conninfo_to_dict(checked_url(url)).items()}
    environment = {
        "DBT_POSTGRES_HOST": found.pop("host", "localhost"),
        "DBT_POSTGRES_PORT": found.pop("port", "5432"),
        "DBT_POSTGRES_USER": found.pop("user", ""),
        "DBT_POSTGRES_DBNAME": found.pop("dbname", ""),
        "DBT_ENV_SECRET_POSTGRES_PASSWORD": found.pop("password", ""),
    }
    # The other parameters, such as sslmode, have environment variables of libpq's own.
    return environment | libpq_environment(found)
