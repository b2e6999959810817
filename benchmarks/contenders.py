"""Other ways of loading a month: bare COPY as the lower bound, the Kestra flow, pandas and dlt.

Each is a plain implementation on the same server and settings, from the .csv.gz on disk; only bare COPY gets the
uncompressed CSV. `load` has the platform's own way.
"""

import os
import subprocess
from collections.abc import Hashable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
from psycopg import sql
from sqlalchemy import create_engine

from benchmarks.work import Work
from taxi_platform.destinations.postgres.tables import definition, name_of
from taxi_platform.trips.columns import FILENAME, UNIQUE_ROW_ID, Colour, Column, Kind
from taxi_platform.trips.partitions import TripMonth

_READ = 1 << 20


def floor(url: str, work: Work) -> None:
    """COPY the uncompressed CSV into an unlogged table: no row ids, no second table, not durable."""
    columns = list(work.month.colour.required_columns)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(create("create unlogged table floor ({})", columns))
        _copy(connection, "floor", columns, work.csv)


def flow_tables(url: str, colour: Colour) -> None:
    """Create the two tables of the flow."""
    with psycopg.connect(url, autocommit=True) as connection:
        for table in ("flow_tripdata", "flow_staging"):
            connection.execute(create(f"create table if not exists {table} ({{}})", colour.table_columns))


def flow(url: str, work: Work) -> None:
    """Load as the Kestra flow does: gunzip, COPY to a staging table, UPDATE with md5 and filename, MERGE by row id."""
    colour = work.month.colour
    unpacked = work.gz.with_suffix("")
    with unpacked.open("wb") as file:
        subprocess.run(["gunzip", "--stdout", work.gz], stdout=file, check=True)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("truncate flow_staging")
        _copy(connection, "flow_staging", list(colour.required_columns), unpacked)
        for statement in flow_statements(work.month):
            connection.execute(statement)


def flow_statements(month: TripMonth) -> list[sql.Composed]:
    """Return the flow's statements that follow the COPY into its staging table."""
    colour = month.colour
    row_id = sql.SQL(" || ").join(
        sql.SQL("coalesce(cast({} as text), '')").format(name_of(column)) for column in colour.row_id
    )
    names = [name_of(column) for column in colour.table_columns]
    return [
        sql.SQL("update flow_staging set unique_row_id = md5({}), filename = {}").format(
            row_id, sql.Literal(month.filename)
        ),
        sql.SQL(
            "merge into flow_tripdata as t using flow_staging as s on t.unique_row_id = s.unique_row_id "
            "when not matched then insert ({}) values ({})"
        ).format(sql.SQL(", ").join(names), sql.SQL(", ").join(sql.SQL("s.{}").format(name) for name in names)),
    ]


def pandas(url: str, work: Work) -> None:
    """Load with pandas, as learners do first: read_csv in chunks of 100,000 rows and to_sql."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg2://"))
    times = [column.name for column in (work.month.colour.pickup, work.month.colour.dropoff)]
    for chunk in pd.read_csv(work.gz, chunksize=100_000, parse_dates=times, low_memory=False):
        chunk.to_sql("pandas_tripdata", engine, if_exists="append", index=False)
    engine.dispose()


def dlt(url: str, work: Work) -> None:
    """Load with dlt: a pipeline from the CSV to Postgres that merges on the columns of the row id."""
    os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}
    dlt = import_module("dlt")
    colour = work.month.colour
    times = [column.name for column in (colour.pickup, colour.dropoff)]
    # pandas would infer other types for a chunk with empty fields.
    types: dict[Hashable, Any] = {
        column.name: "float64" for column in colour.required_columns if column.kind in (Kind.INTEGER, Kind.NUMBER)
    }
    types |= {column.name: "string" for column in colour.required_columns if column.kind in (Kind.TEXT, Kind.CODE)}

    # Without VendorID, because a key must not be empty.
    @dlt.resource(
        name="dlt_tripdata",
        write_disposition="merge",
        primary_key=[column.name for column in colour.row_id[1:]],
    )
    def trips() -> Iterator[pd.DataFrame]:
        yield from pd.read_csv(work.gz, chunksize=100_000, parse_dates=times, dtype=types)

    pipeline = dlt.pipeline(
        "bench",
        destination=dlt.destinations.postgres(url),
        dataset_name="dlt_bench",
        pipelines_dir=str(work.folder / "dlt"),
        dev_mode=True,
    )
    pipeline.run(trips(), loader_file_format="csv").raise_on_failed_jobs()


def create(statement: str, columns: Sequence[Column]) -> sql.Composed:
    """Return the statement with the definitions of the columns."""
    return sql.SQL(statement).format(sql.SQL(", ").join(definition(column) for column in columns))  # pyright: ignore[reportArgumentType]


def _copy(connection: psycopg.Connection, table: str, columns: list[Column], path: Path) -> None:
    assert not {UNIQUE_ROW_ID, FILENAME} & set(columns)
    command = sql.SQL("copy {} ({}) from stdin with (format csv, header)").format(
        sql.Identifier(table), sql.SQL(", ").join(name_of(column) for column in columns)
    )
    with path.open("rb") as file, connection.cursor() as cursor, cursor.copy(command) as copy:
        while block := file.read(_READ):
            copy.write(block)
