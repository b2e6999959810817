"""The command `taxi-platform`: the demo, the web interface, backfills, the embedded server, a way to type SQL.

Not here: loading one month. That is Dagster's own: `dagster asset materialize -m taxi_platform ...`.
"""

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import click
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo

from taxi_platform.automation.backfill.progress import show
from taxi_platform.demo import gcp as gcp_demo
from taxi_platform.demo.postgres import load_samples, loaded_months, run_examples
from taxi_platform.destinations.base import Destination
from taxi_platform.destinations.postgres.resource import checked_url
from taxi_platform.destinations.registry import DESTINATIONS
from taxi_platform.errors import TaxiError
from taxi_platform.local.instance import claim, demo_home, embedded_server, is_claimed, prepare
from taxi_platform.local.server_account import wheel_programs
from taxi_platform.settings import Settings
from taxi_platform.trips.columns import COLOURS
from taxi_platform.trips.partitions import months_between

_AFTER_DEMO_GCP = """
The tables were in the emulators' memory, and are gone with them.

With a Google Cloud project of your own: docs/google-cloud.md says what to set and what to grant; then
  .venv/bin/dagster asset materialize -m taxi_platform --select '+key:bigquery_tripdata' --partition 'green|2020-04'
                                         sends 0.7 MB to the lake and loads 35,612 rows
"""

_AFTER_DEMO = """
What next:
  make sql                               query these rows; one statement: make sql QUERY='select ...'
  {dev:<37}see them and how they were loaded, in the browser
  make stop                              stop the database server, which goes on running until then

With real trips, kept apart from these:
  .venv/bin/dagster asset materialize -m taxi_platform --select '+key:postgres_tripdata' --partition 'green|2020-04'
                                         downloads 0.7 MB from the public mirror and loads 35,612 rows
  make dev                               the web interface, to load more of them
"""


class _DestinationChoice(click.Choice):
    """A destination by its name or, not shown, by an earlier name."""

    def __init__(self) -> None:
        super().__init__([destination.name for destination in DESTINATIONS])

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Destination:
        for destination in DESTINATIONS:
            if value in (destination.name, *destination.aliases):
                return destination
        return self.fail(self.get_invalid_choice_message(value, ctx), param, ctx)


class _Group(click.Group):
    """Shows errors that the platform raises on purpose as text, not as a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except TaxiError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Group)
def main() -> None:
    """New York's taxi trips, month by month, into PostgreSQL and BigQuery."""


@main.command()
def demo() -> None:
    """Load invented sample trips into a database of their own, and show what came of it."""
    _, home = _homes()
    click.echo("Sample data: invented trips in files like the published ones, not real ones.")
    click.echo(f"Everything is kept in {_shown(home)}.\n")
    for month in load_samples(home):
        click.echo(f"  loaded {month.colour.name} {month.month}", err=True)
    click.echo(f"\n{'table':<24}{'month':<10}{'rows in file':>14}{'in table':>12}{'duplicates skipped':>23}")
    for found in loaded_months(embedded_server(home).url()):
        click.echo(
            f"{f'public.{found.month.colour.table}':<24}{found.month.month:<10}"
            f"{found.rows_in_file:>14,}{found.rows_in_table:>12,}{found.rows_skipped:>23,}"
        )
    click.echo("\nA row that appears in two files is loaded once, from the file that was loaded first.")
    click.echo("\nThe first examples: hello_world, and the mean price of sample products by brand, in DuckDB.\n")
    for brand, price in run_examples(home):
        click.echo(f"  {brand:<22}{price:>10,.2f}")
    click.echo(_AFTER_DEMO.format(dev=f"TAXI_HOME={_shown(home)} make dev "))


@main.command()
def demo_gcp() -> None:
    """Load invented sample trips into BigQuery, on emulators on this machine, and show what came of it."""
    home = Settings().home_folder / "demo-gcp"
    click.echo("Sample data: invented trips in files like the published ones, not real ones.")
    click.echo("The bucket and BigQuery are emulators on this machine; no account, nothing leaves it.\n")
    with gcp_demo.emulated_cloud(home):
        for month in gcp_demo.load_samples(home):
            click.echo(f"  loaded {month.colour.name} {month.month}", err=True)
        click.echo(f"\n{'merged table':<26}{'month':<10}{'rows in file':>14}{'in table':>12}{'duplicates skipped':>23}")
        for found in gcp_demo.loaded_months():
            click.echo(
                f"{f'{gcp_demo.DATASET}.{found.month.colour.table}':<26}{found.month.month:<10}"
                f"{found.rows_in_file:>14,}{found.rows_in_table:>12,}{found.rows_skipped:>23,}"
            )
        click.echo(f"\n{'table in the dataset':<40}{'kind':<12}{'rows':>10}")
        for table in gcp_demo.tables():
            click.echo(f"{f'{gcp_demo.DATASET}.{table.name}':<40}{table.kind.lower():<12}{table.rows:>10,}")
    click.echo(_AFTER_DEMO_GCP)


@main.command()
@click.option("--colour", type=click.Choice(list(COLOURS)), required=True)
@click.option("--from", "first", metavar="YYYY-MM", required=True, help="The first month.")
@click.option("--to", "last", metavar="YYYY-MM", required=True, help="The last month, included.")
@click.option("--destination", type=_DestinationChoice(), default=DESTINATIONS[0].name, show_default=True)
@click.option("--again", is_flag=True, help="Load months again that are loaded; an unchanged file changes nothing.")
def backfill(colour: str, first: str, last: str, destination: Destination, again: bool) -> None:
    """Load the months of a colour, several side by side; it needs nothing else to run.

    Ends with 0 when all these months are loaded, with 1 when some are not, with 130 after Ctrl-C.
    """
    try:
        months = months_between(COLOURS[colour], first, last)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    sys.exit(show(months, destination, again=again))


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def dev(options: tuple[str, ...]) -> None:
    """Open the web interface, with the daemon and a run history that lasts.

    OPTIONS go to `dagster dev`, for example `--port 3001`.
    """
    home = Settings().home_folder
    environment = {**os.environ, **prepare(home)}
    if not claim(home):
        raise click.ClickException(f"`make dev` runs already in {_shown(home)}. End it with Ctrl-C where it runs.")
    click.echo("The web interface: http://127.0.0.1:3000, unless a line below names another port. Ctrl-C ends it.")
    click.echo("The embedded database goes on running then; `make stop` stops it.")
    sys.stdout.flush()
    # In place of this process, so that signals reach Dagster itself. A script's background job would ignore this one.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # `dagster dev` recommends a tool that wants another layout of the project; that is no news to whoever runs this.
    quietly = ["-W", "ignore:Function `dev_command` is superseded"]
    command = [sys.executable, *quietly, "-m", "dagster", "dev", "-m", "taxi_platform", *options]
    os.execve(sys.executable, command, environment)


@main.command()
@click.argument("query", required=False)
def sql(query: str | None) -> None:
    """Open psql on the database of trips, or run QUERY in it.

    That is the one of TAXI_POSTGRES_URL, else the embedded one, else the demo's when there is no other.
    """
    told = conninfo_to_dict(checked_url(_trips_url()))
    # In the environment, where other users do not see the password; libpq says which variable an option has.
    names = {option.keyword.decode(): option.envvar.decode() for option in Conninfo.get_defaults() if option.envvar}
    environment = {**os.environ, **{names[key]: str(value) for key, value in told.items() if key in names}}
    program = str(wheel_programs() / "psql")
    sys.stdout.flush()
    os.execve(program, [program, "--no-psqlrc", *(["--command", query] if query else [])], environment)


for _destination in DESTINATIONS:
    for _command in _destination.commands:
        main.add_command(_command)


@main.command()
def stop() -> None:
    """Stop the embedded servers of this home and of its demo."""
    _demand_no_daemon()
    for home in _homes():
        server = embedded_server(home)
        was_running = server.running()
        server.stop()
        click.echo(f"{_shown(home)}: {'stopped' if was_running else 'was not running'}")


@main.command()
def clean() -> None:
    """Stop the embedded servers, and remove the demo with its database. Real rows stay."""
    _demand_no_daemon()
    home, sample_home = _homes()
    embedded_server(home).stop()
    embedded_server(sample_home).remove()
    shutil.rmtree(sample_home, ignore_errors=True)
    if home.exists():
        click.echo(f"{_shown(home)} is left: it holds the rows and downloads of real months. Remove it by hand.")


def _trips_url() -> str:
    url = Settings().postgres_url
    if url is not None:
        return url.get_secret_value()
    home, sample_home = _homes()
    chosen = sample_home if (sample_home / "postgres").exists() and not (home / "postgres").exists() else home
    server = embedded_server(chosen)
    server.start()
    click.echo(f"The database in {_shown(chosen)}.", err=True)
    return server.ensure_database()


def _demand_no_daemon() -> None:
    """Its history is in the embedded server."""
    for home in _homes():
        if is_claimed(home):
            raise click.ClickException(f"`make dev` runs in {_shown(home)}: end it first, with Ctrl-C where it runs.")


def _homes() -> tuple[Path, Path]:
    home = Settings().home_folder
    return home, demo_home(home)


def _shown(path: Path) -> str:
    """The path as short as it can be typed from here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
