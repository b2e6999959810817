"""The commands `taxi-platform demo` and `taxi-platform demo-gcp`."""

import os
from contextlib import ExitStack
from pathlib import Path

import click
import dagster as dg

from taxi_platform.data_directory import shown
from taxi_platform.demo import gcp
from taxi_platform.demo.loading import load_samples, print_comparison, print_summary, run_examples, sample_folder
from taxi_platform.demo.marts import build_marts, print_mart_comparison, show_marts
from taxi_platform.destinations.bigquery.destination import BIGQUERY
from taxi_platform.destinations.lake.destination import LAKE
from taxi_platform.destinations.postgres.destination import POSTGRES
from taxi_platform.getting_started.duckdb_file import DuckDBFile
from taxi_platform.local.instance import demo_directory, embedded_server, prepare
from taxi_platform.settings import Settings

_SAMPLES = "Sample data: generated trips in files like the published ones, not real trips."

_AFTER_DEMO_GCP = """
The tables were in the emulators' memory and are gone with them.

With a Google Cloud project of your own, docs/google-cloud.md says what to set and what to grant; then
  .venv/bin/dg launch --assets '+key:"bigquery_tripdata"' --partition 'green|2020-04'
                                         uploads 0.7 MB to the bucket and loads 35,612 rows
"""

_AFTER_DEMO = """
Next:
  make sql                               query these rows; one statement: make sql QUERY='select ...'
  make lake                              query the Parquet lake with DuckDB, without a server
  {dev:<37}see them and how they were loaded, in the browser
  make stop                              stop the database server, which keeps running until then

With real trips, kept apart from these:
  .venv/bin/dg launch --assets '+key:"postgres_tripdata"' --partition 'green|2020-04'
                                         downloads 0.7 MB from the public mirror and loads 35,612 rows
  make dev                               the web interface, to load more of them
"""


@click.command()
def demo() -> None:
    """Load generated sample trips into a database and a Parquet lake of their own, compare the two, print both."""
    directory = demo_directory(Settings().data_directory)
    click.echo(f"{_SAMPLES}\nEverything is kept in {shown(directory)}.\n")
    _set_up(directory)
    with dg.DagsterInstance.get() as instance:
        for month in load_samples(directory, [POSTGRES, LAKE], instance):
            click.echo(f"  loaded {month.colour.name} {month.month}", err=True)
        print_summary(POSTGRES, "public.")
        print_summary(LAKE, "")
        click.echo("\nA row that appears in two files is loaded once, from the file that was loaded first.")
        print_comparison([POSTGRES, LAKE])
        click.echo("\nThe tutorial's examples: hello_world, and the mean price of sample products by brand.\n")
        run_examples(directory, instance)
    with DuckDBFile().get_connection() as connection:
        for brand, price in connection.execute("from products_by_brand").fetchall():
            click.echo(f"  {brand:<22}{price:>10,.2f}")
    with dg.DagsterInstance.get() as instance:
        show_marts(POSTGRES, instance)
    click.echo(_AFTER_DEMO.format(dev=f"TAXI_HOME={shown(directory)} make dev "))


def _set_up(directory: Path) -> None:
    """Start the demo's server, and set every setting that leads to data, so that `.env` cannot lead elsewhere."""
    os.environ |= prepare(directory)
    os.environ |= {
        "TAXI_SOURCE_URL": sample_folder(directory).as_uri(),
        "TAXI_POSTGRES_URL": embedded_server(directory).ensure_database(),
        "TAXI_LAKE_PATH": str(directory / "lake"),
    }


@click.command("demo-gcp")
def demo_gcp() -> None:
    """Load generated sample trips into BigQuery, on emulators on this machine, and print a summary.

    If TAXI_DBT names a dbt with dbt-bigquery, build the marts there and in Postgres, and compare the two.
    """
    directory = Settings().data_directory / "demo-gcp"
    click.echo(f"{_SAMPLES}\nThe bucket and BigQuery are emulators on this machine; no account, nothing leaves it.\n")
    compares = bool(Settings().dbt)
    with ExitStack() as servers, dg.DagsterInstance.ephemeral() as instance:
        servers.enter_context(gcp.emulated_cloud(directory))
        if compares:
            servers.enter_context(gcp.own_postgres(directory))
        for month in load_samples(directory, [BIGQUERY, *([POSTGRES] if compares else [])], instance):
            click.echo(f"  loaded {month.colour.name} {month.month}", err=True)
        print_summary(BIGQUERY, f"{gcp.DATASET}.")
        click.echo(f"\n{'table in the dataset':<40}{'kind':<12}{'rows':>10}")
        for table in gcp.tables():
            click.echo(f"{f'{gcp.DATASET}.{table.name}':<40}{table.kind.lower():<12}{table.rows:>10,}")
        if compares:
            show_marts(BIGQUERY, instance)
            build_marts(POSTGRES, instance)
            print_mart_comparison(BIGQUERY, POSTGRES)
    click.echo(_AFTER_DEMO_GCP)
