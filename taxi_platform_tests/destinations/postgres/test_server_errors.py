"""Errors of the server by SQLSTATE: which are retried, and what they say."""

import uuid
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.destinations.postgres.server_errors import classified
from taxi_platform.destinations.postgres.staging import stage
from taxi_platform.errors import BadSetting, DatabaseUnavailable, MissingRight, PermanentError, TaxiError
from taxi_platform.local.ports import free_port
from taxi_platform_tests.destinations.contract import APRIL, Write
from taxi_platform_tests.support.trip_files import trip


@pytest.fixture
def own_role(each_postgres_url: str) -> Iterator[str]:
    """Yield the name of a role with the password `own`, dropped at the end."""
    name = f"test_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(each_postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("create role {} login password 'own'").format(sql.Identifier(name)))
        yield name
        connection.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


@pytest.mark.parametrize(
    ("state", "kind", "says"),
    [
        ("53100", PermanentError, "Free disk space on the server"),
        ("54000", PermanentError, "exceeds a limit of Postgres"),
        ("54011", PermanentError, "exceeds a limit of Postgres"),
        ("55000", PermanentError, "Postgres rejected a statement: on purpose"),
        ("42703", PermanentError, "SQLSTATE 42703"),
        ("42501", MissingRight, "deploy/postgres/trips.sql"),
        ("53200", DatabaseUnavailable, "A rerun may succeed"),
        ("53300", DatabaseUnavailable, "A rerun may succeed"),
        ("57P01", DatabaseUnavailable, "A rerun may succeed"),
        ("40P01", DatabaseUnavailable, "A rerun may succeed"),
    ],
)
def test_sqlstate_decides_on_a_retry(postgres: Postgres, state: str, kind: type[TaxiError], says: str) -> None:
    with pytest.raises(TaxiError) as caught, postgres.connect("tests") as connection:
        connection.execute(f"do $$ begin raise exception 'on purpose' using errcode = '{state}'; end $$")  # pyright: ignore[reportArgumentType, reportCallIssue]
    assert type(caught.value) is kind
    assert says in str(caught.value)
    assert caught.value.allow_retries is (kind is DatabaseUnavailable)


def test_wrong_password_is_a_setting_to_correct(each_postgres_url: str) -> None:
    password = each_postgres_url.split(":")[2].partition("@")[0]
    wrong = Postgres(url=each_postgres_url.replace(password, "not-the-password"))
    says = r"password authentication failed.*\nCorrect TAXI_POSTGRES_URL"
    with pytest.raises(BadSetting, match=says) as caught, wrong.connect("tests"):
        pass
    assert "not-the-password" not in str(caught.value)


def test_missing_database_is_a_setting_to_correct(each_postgres_url: str) -> None:
    missing = Postgres(url=f"{each_postgres_url.rpartition('/')[0]}/nowhere")
    with pytest.raises(BadSetting, match='database "nowhere" does not exist'), missing.connect("tests"):
        pass


REFUSED = psycopg.OperationalError("FATAL:  Verbindung abgelehnt")
"""As of a server whose messages are in another language; libpq gives such an error no SQLSTATE."""


def test_wrong_password_is_recognized_in_any_language(each_postgres_url: str) -> None:
    password = each_postgres_url.split(":")[2].partition("@")[0]
    error = classified(REFUSED, each_postgres_url.replace(password, "not-the-password"))
    assert type(error) is BadSetting
    assert str(error) == "Postgres refused the connection: FATAL:  Verbindung abgelehnt\nCorrect TAXI_POSTGRES_URL."


def test_missing_database_is_recognized_in_any_language(each_postgres_url: str) -> None:
    error = classified(REFUSED, f"{each_postgres_url.rpartition('/')[0]}/nowhere")
    assert type(error) is BadSetting


def test_too_many_connections_are_retried_in_any_language(each_postgres_url: str, own_role: str) -> None:
    with psycopg.connect(each_postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("alter role {} connection limit 0").format(sql.Identifier(own_role)))
    error = classified(REFUSED, make_conninfo(each_postgres_url, user=own_role, password="own"))
    assert type(error) is DatabaseUnavailable


def test_unreachable_server_is_retried(each_postgres_url: str) -> None:
    error = classified(REFUSED, make_conninfo(each_postgres_url, port=free_port()))
    assert type(error) is DatabaseUnavailable


def test_too_many_columns_fail_without_a_retry(postgres: Postgres, write: Write) -> None:
    names = [column.name for column in APRIL.colour.columns]
    with pytest.raises(PermanentError, match="tables can have at most 1600 columns"):
        stage(postgres, write(APRIL, [trip(APRIL)], header=[*names, *[f"more_{n}" for n in range(1600)]]))
