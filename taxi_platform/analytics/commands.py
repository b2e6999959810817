"""The command `taxi-platform report`."""

import webbrowser

import click

from taxi_platform.analytics.definitions import MARTS
from taxi_platform.analytics.report.asset import chosen_marts, make_report
from taxi_platform.data_directory import shown


@click.command()
@click.option(
    "--destination",
    type=click.Choice([marts.name for marts in MARTS]),
    default=next((marts.name for marts in MARTS), None),
    show_default=True,
    help="The destination whose marts are shown.",
)
@click.option("--open/--no-open", "opens", default=True, help="Open the page in a browser.")
def report(destination: str, opens: bool) -> None:
    """Create the report on a destination's marts, one HTML page, and open it."""
    marts = chosen_marts(MARTS, destination)
    made = make_report(marts, marts.destination.resources({}))
    click.echo(f"{made.trips:,} trips of {made.months} months: {shown(made.page)}")
    if opens and not webbrowser.open(made.page.as_uri()):
        click.echo("No browser was found; open the file in one.")
