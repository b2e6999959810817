"""The command `taxi-platform`: backfills, the web interface, the embedded server, and the commands of other folders.

A single month is loaded with Dagster's own command, `dg launch --assets ... --partition ...`.
"""

import os
import shutil
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from taxi_platform.automation import reconcile as reconciliation
from taxi_platform.automation.backfill.progress import show
from taxi_platform.data_directory import shown
from taxi_platform.destinations.base import Destination
from taxi_platform.destinations.registry import DESTINATIONS
from taxi_platform.errors import TaxiError
from taxi_platform.local.instance import (
    acquire_daemon_lock,
    daemon_lock_is_held,
    demo_directory,
    embedded_server,
    prepare,
)
from taxi_platform.settings import Settings
from taxi_platform.trips.columns import COLOURS
from taxi_platform.trips.partitions import months_between

_LATE = {
    "demo": ("taxi_platform.demo.commands", "demo"),
    "demo-gcp": ("taxi_platform.demo.commands", "demo_gcp"),
    "report": ("taxi_platform.analytics.commands", "report"),
}
"""Module and function of each command that is imported when it is run."""


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
    """A command group that prints the platform's errors without a traceback and exits with status 1.

    It does so for an option's value that does not exist, such as a colour, too. Commands in `_LATE` are imported when
    one is run, because importing what they need takes half a second.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_LATE])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _LATE:
            module, function = _LATE[cmd_name]
            return getattr(import_module(module), function)
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except TaxiError as error:
            raise click.ClickException(str(error)) from error
        except click.MissingParameter:
            raise
        except click.BadParameter as error:
            raise click.ClickException(error.format_message()) from error


@click.group(cls=_Group)
def main() -> None:
    """New York's taxi trips, month by month, into PostgreSQL, BigQuery and a Parquet lake."""


@main.command()
@click.option("--colour", type=click.Choice(list(COLOURS)), required=True)
@click.option("--from", "first", metavar="YYYY-MM", required=True, help="The first month.")
@click.option("--to", "last", metavar="YYYY-MM", required=True, help="The last month, included.")
@click.option("--destination", type=_DestinationChoice(), default=DESTINATIONS[0].name, show_default=True)
@click.option("--again", is_flag=True, help="Reload months that are loaded; an unchanged file changes nothing.")
def backfill(colour: str, first: str, last: str, destination: Destination, again: bool) -> None:
    """Load the months of a colour, several at a time, without a running web interface.

    Exits with status 0 if all these months are loaded, 1 if some are not, 130 after Ctrl-C.
    """
    sys.exit(show(months_between(COLOURS[colour], first, last), destination, again=again))


@main.command()
@click.option("--colour", type=click.Choice(list(COLOURS)), multiple=True, help="A colour; all if there is none.")
@click.option("--from", "first", metavar="YYYY-MM", default="", help="The first month.")
@click.option("--to", "last", metavar="YYYY-MM", default="9999-12", help="The last month, included.")
def reconcile(colour: tuple[str, ...], first: str, last: str) -> None:
    """Compare the months that several destinations have loaded from the same file.

    Exits with status 1 if rows, sums or a checksum differ, and names the columns.
    """
    resources: dict[str, Any] = {}
    for destination in DESTINATIONS:
        resources |= destination.resources({})
    click.echo(reconciliation.heading())
    differ = False
    for name in colour or COLOURS:
        for comparison in reconciliation.reconcile(resources, COLOURS[name], first, last):
            click.echo(reconciliation.line(comparison))
            differ |= bool(comparison.differing)
    sys.exit(differ)


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def dev(options: tuple[str, ...]) -> None:
    """Open the web interface, with the daemon and a run history that is kept.

    OPTIONS are passed to `dagster dev`, for example `--port 3001`.
    """
    directory = Settings().data_directory
    environment = {**os.environ, **prepare(directory)}
    if not acquire_daemon_lock(directory):
        raise click.ClickException(f"Another `make dev` is using {shown(directory)}. Stop it with Ctrl-C first.")
    click.echo("Web interface: http://127.0.0.1:3000, unless a line below names another port. Stop it with Ctrl-C.")
    click.echo("The embedded database keeps running; `make stop` stops it.")
    sys.stdout.flush()
    # Dagster replaces this process, so that signals reach it. A shell's background job ignores SIGINT by default.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # `dagster dev` prints that `dg dev` supersedes it; both work here.
    quietly = ["-W", "ignore:Function `dev_command` is superseded"]
    command = [sys.executable, *quietly, "-m", "dagster", "dev", "-m", "taxi_platform", *options]
    os.execve(sys.executable, command, environment)


@main.command()
def stop() -> None:
    """Stop the embedded servers of the data directory and of its demo."""
    _require_no_daemon()
    for directory in _data_directories():
        server = embedded_server(directory)
        was_running = server.running()
        server.stop()
        click.echo(f"{shown(directory)}: {'stopped' if was_running else 'was not running'}")


@main.command()
def clean() -> None:
    """Stop the embedded servers and remove the demo with its database. Real trips are kept."""
    _require_no_daemon()
    directory, sample_directory = _data_directories()
    embedded_server(directory).stop()
    embedded_server(sample_directory).remove()
    shutil.rmtree(sample_directory, ignore_errors=True)
    if directory.exists():
        click.echo(f"{shown(directory)} is kept: it holds the rows and downloads of real months. Remove it by hand.")


def _require_no_daemon() -> None:
    """Raise ClickException if a daemon uses the embedded server of the data directory or its demo."""
    for directory in _data_directories():
        if daemon_lock_is_held(directory):
            raise click.ClickException(f"`make dev` is using {shown(directory)}. Stop it with Ctrl-C first.")


def _data_directories() -> tuple[Path, Path]:
    directory = Settings().data_directory
    return directory, demo_directory(directory)


for _command in (command for destination in DESTINATIONS for command in destination.commands):
    main.add_command(_command)
