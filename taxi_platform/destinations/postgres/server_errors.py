"""Translates errors of the Postgres server: what happened, what to do, and by SQLSTATE whether a retry may help."""

import re

import psycopg

from taxi_platform.destinations.postgres.refusal import sqlstate_of_refusal
from taxi_platform.errors import BadSetting, DatabaseUnavailable, MissingRight, PermanentError, TaxiError

# For where the SQLSTATE of a refused connection is not known.
_REFUSED_AT_CONNECT = re.compile(
    r"password authentication failed|authentication failed for user|no password supplied|no pg_hba\.conf entry|"
    r'(?:role|database) ".*" does not exist|is not permitted to log in|permission denied for database'
)

_REMEDIES = {
    "53100": "Free disk space on the server, then re-execute. Nothing was changed.",
    "54": "The file or the table exceeds a limit of Postgres. Nothing was changed.",
    "55000": "Nothing was changed.",
}

_TRANSIENT = re.compile(r"08|40|53[023]|55006|55P03|57")
"""SQLSTATEs after which a retry may succeed: lost connection, conflict with another transaction, too many connections,
out of memory, lock not available, shutdown or cancelled."""


def classified(error: psycopg.Error, url: str) -> TaxiError:
    """Return the platform's error for an error of the server at `url` or of the connection to it."""
    state = error.sqlstate or ""
    if url and not state and isinstance(error, psycopg.OperationalError):
        state = sqlstate_of_refusal(url)
    message = error.diag.message_primary or _first_line(error)
    if state in ("42501", "25006"):
        return MissingRight(
            f"Postgres: {message}.",
            "The platform's user needs CONNECT, CREATE and TEMPORARY on the database and CREATE on schema public, and "
            "must own the tables it loads. deploy/postgres/trips.sql creates such a user.",
        )
    if state.startswith(("28", "3D")) or (not state and _REFUSED_AT_CONNECT.search(message)):
        return BadSetting(f"Postgres refused the connection: {message}", "Correct TAXI_POSTGRES_URL.")
    if _TRANSIENT.match(state) or (not state and isinstance(error, psycopg.OperationalError)):
        return DatabaseUnavailable(
            f"Postgres does not respond or interrupted the work: {message}",
            "Is the server running, and is its address in TAXI_POSTGRES_URL right?",
        )
    remedy = next((text for prefix, text in _REMEDIES.items() if state.startswith(prefix)), "Nothing was changed.")
    return PermanentError(f"Postgres rejected a statement: {message} (SQLSTATE {state or 'none'}).", remedy)


def _first_line(error: psycopg.Error) -> str:
    """Return the first line of libpq's message, which has host, port, user and database, never the password."""
    return str(error).strip().split("\n", 1)[0]
