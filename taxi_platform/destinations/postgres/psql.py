"""The command `taxi-platform sql`: psql on the database of trips."""

import os
import sys

import click
from psycopg.conninfo import conninfo_to_dict

from taxi_platform.data_directory import shown
from taxi_platform.destinations.postgres.resource import checked_url, libpq_environment
from taxi_platform.local.instance import demo_directory, embedded_server
from taxi_platform.local.server_account import wheel_programs
from taxi_platform.settings import Settings


@click.command("sql")
@click.argument("query", required=False)
def sql_command(query: str | None) -> None:
    """Open psql on the database of trips, or run QUERY in it.

    The database is the one of TAXI_POSTGRES_URL, else the embedded one, else the demo's if there is no other.
    """
    # As environment variables, because other users of the machine can read a process's arguments.
    given = libpq_environment(conninfo_to_dict(checked_url(_trips_url())))
    program = str(wheel_programs() / "psql")
    sys.stdout.flush()
    os.execve(program, [program, "--no-psqlrc", *(["--command", query] if query else [])], os.environ | given)


def _trips_url() -> str:
    settings = Settings()
    if settings.postgres_url is not None:
        return settings.postgres_url.get_secret_value()
    directory = settings.data_directory
    demo = demo_directory(directory)
    chosen = demo if (demo / "postgres").exists() and not (directory / "postgres").exists() else directory
    server = embedded_server(chosen)
    server.start()
    click.echo(f"Database in {shown(chosen)}.", err=True)
    return server.ensure_database()
