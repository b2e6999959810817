"""`taxi-platform lake`: SQL over the lake in DuckDB, as one statement or at a prompt."""

from __future__ import annotations

import shutil
import sys

import click

from taxi_platform.destinations.lake.libraries import duckdb
from taxi_platform.destinations.lake.resource import Lake
from taxi_platform.destinations.lake.snapshot import create_views, lake_files, snapshot
from taxi_platform.errors import PermanentError
from taxi_platform.local.instance import demo_directory
from taxi_platform.settings import Settings
from taxi_platform.trips.columns import COLOURS

PROMPT, CONTINUED = "lake> ", "  ... "
SHOWN_ROWS = 200


@click.command("lake")
@click.argument("query", required=False)
def lake_command(query: str | None) -> None:
    """Open a DuckDB prompt on the Parquet lake, or run QUERY in it.

    The lake is the folder of TAXI_LAKE_PATH, else `lake` in the data directory, else the demo's if there is no other.
    """
    lake = Lake()
    demo = demo_directory(Settings().data_directory) / "lake"
    if not lake.folder.exists() and demo.exists():
        lake = Lake(path=str(demo))
    click.echo(f"The lake in {lake.folder}.", err=True)
    if query:
        run_query(lake, query)
    else:
        run_prompt(lake)


def run_query(lake: Lake, query: str) -> None:
    """Run one statement and print its result."""
    with duckdb.connect() as connection:
        try:
            _print_result(connection, lake, query)
        except duckdb.Error as error:
            raise PermanentError(str(error), "Correct the statement.") from None


def run_prompt(lake: Lake) -> None:
    """Read statements that end with a semicolon from standard input until its end, and print their results."""
    if sys.stdin.isatty():
        # Importing it gives `input` a history and line editing.
        import readline  # noqa: F401, PLC0415

        views = ", ".join(colour.table for colour in COLOURS.values())
        print(f"Views: {views}. End a statement with ; and the prompt with Ctrl-D.")
    with duckdb.connect() as connection:
        while (statement := _read_statement()) is not None:
            try:
                _print_result(connection, lake, statement)
            except duckdb.Error as error:
                print(error, file=sys.stderr)


def _print_result(connection: duckdb.DuckDBPyConnection, lake: Lake, query: str) -> None:
    with snapshot(lake, lake_files(lake)) as files:
        create_views(connection, files)
        result = connection.sql(query)
        if result is not None:
            result.show(max_rows=SHOWN_ROWS, max_width=shutil.get_terminal_size().columns)


def _read_statement() -> str | None:
    lines: list[str] = []
    while not (lines and lines[-1].rstrip().endswith(";")):
        try:
            lines.append(input((CONTINUED if lines else PROMPT) if sys.stdin.isatty() else ""))
        except EOFError:
            return "\n".join(lines) if any(line.strip() for line in lines) else None
        except KeyboardInterrupt:
            print()
            lines.clear()
    return "\n".join(lines)
