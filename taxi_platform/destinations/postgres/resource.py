"""The Postgres server: connections to it, made the same way everywhere.

Not here: what is done with a connection (`taxi_platform.postgres`), and how the embedded server is run
(`resources.embedded_postgres`).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import PrivateAttr

from taxi_platform.errors import BadSetting, DatabaseUnavailable, MissingRight, ends_when_stopped
from taxi_platform.local.embedded_postgres import EmbeddedPostgres
from taxi_platform.settings import Settings

DATABASE = "ny_taxi"

# The row id is made of the server's text forms of times and numbers, so both are fixed; the rest keeps a role's own
# settings from ending a load half way. `YMD` makes the server refuse day-month forms instead of guessing.
_SESSION = """
set datestyle = 'ISO, YMD'; set extra_float_digits = 1; set timezone = 'UTC'; set client_encoding = 'UTF8';
set search_path = public; set statement_timeout = 0; set idle_in_transaction_session_timeout = 0;
set idle_session_timeout = 0;
"""
_SESSION_FROM_17 = "set transaction_timeout = 0;"


class Postgres(dg.ConfigurableResource):
    """A PostgreSQL server from version 15: the one at `url`, or the embedded one when there is no URL.

    `url`: `postgresql://user:password@host:port/database`; None takes the setting TAXI_POSTGRES_URL.
    `patience`: seconds to go on trying when a reader's open transaction holds up an exchange.
    """

    url: str | None = None
    patience: float = 60
    _embedded_url: str | None = PrivateAttr(default=None)

    def resolve_url(self) -> str:
        """The server's URL, after starting the embedded server if that is the one. It may hold a password."""
        if self.url:
            return self.url
        settings = Settings()
        if settings.postgres_url:
            return settings.postgres_url.get_secret_value()
        if self._embedded_url is None:
            server = EmbeddedPostgres(settings.home_folder / "postgres")
            server.start()
            server.ensure_database(DATABASE)
            self._embedded_url = server.url(DATABASE)
        return self._embedded_url

    @contextmanager
    def connect(self, purpose: str) -> Iterator[psycopg.Connection]:
        """A connection in autocommit mode; `purpose` is what `pg_stat_activity` shows as the application.

        Raises DatabaseUnavailable when the server does not answer or breaks off, and MissingRight when the user may
        not do something.
        """
        try:
            with (
                ends_when_stopped(),
                psycopg.connect(
                    checked_url(self.resolve_url()),
                    autocommit=True,
                    connect_timeout=10,
                    application_name=f"taxi_platform {purpose}",
                ) as connection,
            ):
                is_from_17 = connection.info.server_version >= 170000
                connection.execute(_SESSION + _SESSION_FROM_17 if is_from_17 else _SESSION)
                yield connection
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction) as error:
            raise MissingRight(
                f"Postgres: {error.diag.message_primary}",
                "A rerun does not help: the platform's user needs CREATE and TEMPORARY on the database and CREATE on "
                "schema public, and must own the tables it loads. deploy/postgres/trips.sql makes such a user.",
            ) from error
        except psycopg.OperationalError as error:
            # The next connection starts the embedded server again, on another port if need be.
            self._embedded_url = None
            raise DatabaseUnavailable(
                f"Postgres does not answer, broke off or could not go on: {_first_line(error)}",
                "A rerun may help. Is the server up, and are user, password and database in TAXI_POSTGRES_URL right?",
            ) from error


def checked_url(url: str) -> str:
    """The URL, when libpq can read it, and reads no part of the password as something else.

    Its own complaints would show the URL, or what it took for a host or a port.
    """
    place, _, path = url.partition("://")[2].partition("?")[0].partition("/")
    try:
        ports = str(conninfo_to_dict(url).get("port", "")).split(",")
        readable = place.count("@") < 2 and "@" not in path and all(port.isdecimal() or not port for port in ports)
    except psycopg.ProgrammingError:
        readable = False
    if not readable:
        raise BadSetting(
            "TAXI_POSTGRES_URL cannot be read as the address of a server.",
            "A rerun does not help: write it as postgresql://user:password@host:port/database, with %, @ and / in the "
            "password as %25, %40 and %2F.",
        )
    return url


def _first_line(error: psycopg.Error) -> str:
    """libpq's messages name host, port, user and database, never the password."""
    return str(error).strip().split("\n", 1)[0]
