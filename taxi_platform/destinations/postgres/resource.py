"""Connections to the Postgres server, all with the same session settings.

`server_errors` classifies the server's errors; `taxi_platform.local` runs the embedded server.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, LiteralString

import dagster as dg
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo, TransactionStatus
from pydantic import Field, PrivateAttr

from taxi_platform.destinations.postgres.server_errors import classified
from taxi_platform.errors import BadSetting, ends_when_stopped
from taxi_platform.local.embedded_postgres import EmbeddedPostgres
from taxi_platform.settings import Settings

DATABASE = "ny_taxi"

# The row id is made of the server's text forms of times and numbers, so both are fixed; the rest overrides settings of
# a role or a server that would change a load. `YMD` makes the server reject day-month forms instead of guessing.
# `jit`: compiling the queries of a merge takes longer than the merge.
_SESSION = """
set datestyle = 'ISO, YMD'; set extra_float_digits = 1; set timezone = 'UTC'; set client_encoding = 'UTF8';
set search_path = public; set quote_all_identifiers = off; set default_transaction_isolation = 'read committed';
set jit = off; set lock_timeout = 0; set statement_timeout = 0; set idle_in_transaction_session_timeout = 0;
set idle_session_timeout = 0;
"""
_SESSION_FROM_17 = "set transaction_timeout = 0;"
_RESET = "discard temp; select pg_advisory_unlock_all(); reset all;"
"""What a step leaves in its session."""


class Postgres(dg.ConfigurableResource):
    """A PostgreSQL server, version 15 or newer."""

    url: str | None = Field(
        default=None,
        description="postgresql://user:password@host:port/database. If empty, the setting TAXI_POSTGRES_URL; without "
        "that setting, the embedded server in the data directory.",
    )
    merge_timeout: float = Field(
        default=60, description="Seconds to retry while other sessions' transactions block a merge."
    )
    _settings: Settings | None = PrivateAttr(default=None)
    _embedded_url: str | None = PrivateAttr(default=None)
    _kept: list[psycopg.Connection] | None = PrivateAttr(default=None)
    """Connections that are not in use; None outside of a run."""

    def resolve_url(self) -> str:
        """Return the server's URL, which may contain a password. Start the embedded server if no other is set."""
        if self.url:
            return self.url
        settings = self._settings = self._settings or Settings()
        if settings.postgres_url:
            return settings.postgres_url.get_secret_value()
        if self._embedded_url is None:
            server = EmbeddedPostgres(settings.data_directory / "postgres")
            server.start()
            server.ensure_database(DATABASE)
            self._embedded_url = server.url(DATABASE)
        return self._embedded_url

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["Postgres"]:
        """Keep connections for the steps of one run: a connection costs as much processor time as a small query."""
        self._kept = []
        try:
            yield self
        finally:
            kept, self._kept = self._kept, None
            for connection in kept:
                connection.close()

    @contextmanager
    def connect(self, purpose: str) -> Iterator[psycopg.Connection]:
        """Yield a connection in autocommit mode; `purpose` is its application name in `pg_stat_activity`.

        Errors of the server are raised as the platform's: a PermanentError or DatabaseUnavailable.
        """
        url = ""
        try:
            url = checked_url(self.resolve_url())
            with ends_when_stopped():
                connection = self._open(url, f"taxi_platform {purpose}")
                try:
                    yield connection
                except BaseException:
                    connection.close()
                    raise
                self._keep(connection)
        except psycopg.Error as error:
            # The next connection starts the embedded server again, on another port if necessary.
            self._embedded_url = None
            raise classified(error, url) from error

    def _open(self, url: str, name: str) -> psycopg.Connection:
        while self._kept:
            connection = self._kept.pop()
            with suppress(psycopg.Error):  # the server may have ended it meanwhile
                connection.execute(sql.SQL("set application_name = {}").format(sql.Literal(name)))
                return connection
            connection.close()
        connection = psycopg.connect(url, autocommit=True, connect_timeout=10, application_name=name)
        connection.execute(_session(connection))
        return connection

    def _keep(self, connection: psycopg.Connection) -> None:
        if self._kept is not None and connection.info.transaction_status is TransactionStatus.IDLE:
            with suppress(psycopg.Error):
                connection.execute(_RESET + _session(connection))
                self._kept.append(connection)
                return
        connection.close()


def _session(connection: psycopg.Connection) -> LiteralString:
    return _SESSION + _SESSION_FROM_17 if connection.info.server_version >= 170000 else _SESSION


def libpq_environment(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return connection parameters as libpq's environment variables, without those that have none."""
    variables = {option.keyword.decode(): option.envvar.decode() for option in Conninfo.get_defaults() if option.envvar}
    return {variables[key]: str(value) for key, value in parameters.items() if key in variables}


def checked_url(url: str) -> str:
    """Return the URL. Raise BadSetting if libpq cannot parse it or would read a part of the password as host or port.

    libpq's own message would show that part of the password.
    """
    place, _, path = url.partition("://")[2].partition("?")[0].partition("/")
    try:
        ports = str(conninfo_to_dict(url).get("port", "")).split(",")
        readable = place.count("@") < 2 and "@" not in path and all(port.isdecimal() or not port for port in ports)
    except psycopg.ProgrammingError:
        readable = False
    if not readable:
        raise BadSetting(
            "TAXI_POSTGRES_URL is not a valid address of a server.",
            "Write it as postgresql://user:password@host:port/database, with %, @ and / in the password as "
            "%25, %40 and %2F.",
        )
    return url
