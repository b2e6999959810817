"""The files that are written: types, row ids equal to those of Postgres, memory."""

import gzip
import random
import struct
from pathlib import Path

import duckdb
import psycopg
import pytest

from taxi_platform.destinations.lake.lake_files import file_path
from taxi_platform.destinations.lake.resource import Lake
from taxi_platform.destinations.lake.sql import statement
from taxi_platform.destinations.postgres.merge import merge
from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.destinations.postgres.staging import stage
from taxi_platform.source.raw_file import RawFile
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.destinations.contract import APRIL, Load, Query, Write
from taxi_platform_tests.support.trip_files import raw_file, trip


def test_columns_have_types_of_contract(lake: Lake, load: Load, write: Write) -> None:
    load(write(APRIL, [trip(APRIL)]))
    with duckdb.connect() as connection:
        found = connection.execute(
            "select name, duckdb_type, logical_type from parquet_schema($path) where type is not null",
            {"path": str(file_path(lake.folder, APRIL))},
        ).fetchall()
    types = {name: kind for name, kind, _ in found}
    assert list(types)[:4] == ["unique_row_id", "filename", "vendorid", "lpep_pickup_datetime"]
    assert {name for name, kind in types.items() if kind == "VARCHAR"} == {
        *("unique_row_id", "filename", "vendorid", "ratecodeid", "store_and_fwd_flag", "pulocationid", "dolocationid")
    }
    assert {name for name, kind in types.items() if kind == "INTEGER"} == {
        *("passenger_count", "payment_type", "trip_type")
    }
    times = {name: logical for name, kind, logical in found if kind == "TIMESTAMP"}
    assert times.keys() == {"lpep_pickup_datetime", "lpep_dropoff_datetime"}
    assert all("isAdjustedToUTC=0" in logical for logical in times.values())
    assert set(types.values()) == {"VARCHAR", "INTEGER", "TIMESTAMP", "DOUBLE"}


def test_numbers_have_text_form_of_postgres(postgres_url: str, tmp_path: Path) -> None:
    """Up to 2^53, above which Postgres does not always write the shortest form; no fare is that high."""
    chance = random.Random(17)
    texts = ["8", ".86", "1.", "-0.5", "-.5", "1e15", "-0", "0", "999999999999999.9", "1234567890123456", "1e-5"]
    texts += ["0.0001", "0.00012345", "1125899906842624.1", "-1125899906842624.5", "5e15", "1e-300", "123456.789e3"]
    for _ in range(20_000):
        texts.append(f"{chance.uniform(-300, 300):.2f}")
        texts.append(repr(chance.uniform(-(10 ** chance.randrange(-8, 16)), 10 ** chance.randrange(-8, 16))))
        (number,) = struct.unpack("d", chance.randbytes(8))
        if 1e-300 < abs(number) < 2**53:
            texts.append(repr(number))
    numbers = tmp_path / "numbers.csv"
    numbers.write_text("".join(f"{text}\n" for text in texts))
    with duckdb.connect() as connection:
        connection.execute(statement("postgres_text"))
        query = "select postgres_text(x) from read_csv($path, columns = {x: 'double'}, header = false)"
        ours = [text for (text,) in connection.execute(query, {"path": str(numbers)}).fetchall()]
    with psycopg.connect(postgres_url) as connection:
        connection.execute("create temp table numbers (place serial, x double precision)")
        with connection.cursor().copy("copy numbers (x) from stdin") as copy:
            copy.write(numbers.read_bytes())
        theirs = [text for (text,) in connection.execute("select x::text from numbers order by place").fetchall()]
    assert [pair for pair in zip(ours, theirs, strict=True) if pair[0] != pair[1]] == []


@pytest.mark.parametrize("month", ["2020-04", "2020-09"])
def test_real_rows_equal_those_of_postgres(
    load: Load, query: Query, postgres_url: str, real_files: Path, tmp_path: Path, month: str
) -> None:
    file = _published(real_files / "green" / f"green_tripdata_{month}.csv.gz", tmp_path)
    load(file)
    postgres = Postgres(url=postgres_url)
    stage(postgres, file)
    merge(postgres, file.month)
    with psycopg.connect(postgres_url) as connection:
        theirs = connection.execute("select * from green_tripdata").fetchall()
    ours = query("select * from green_tripdata")
    assert len(ours) == file.rows
    assert sorted(ours, key=repr) == sorted(theirs, key=repr)


def _published(path: Path, folder: Path) -> RawFile:
    colour, _, month = path.name.removesuffix(".csv.gz").partition("_tripdata_")
    return raw_file(folder, TripMonth.from_key(f"{colour}|{month}"), gzip.decompress(path.read_bytes()))
