"""The code in docs/lake.md reads a lake, with the tools that are installed for the tests."""

import re

import duckdb
import pandas as pd
import pytest

from benchmarks.readers import codes
from taxi_platform.destinations.lake.resource import Lake
from taxi_platform_tests.destinations.contract import APRIL, MARCH, Load, Write
from taxi_platform_tests.support.trip_files import trip


@pytest.fixture
def reads(lake: Lake, load: Load, write: Write, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Return the page's code by tool, in the folder of a lake with two months of one and two trips."""
    load(write(MARCH, [trip(MARCH)]))
    load(write(APRIL, [trip(APRIL), trip(APRIL)]))
    monkeypatch.chdir(lake.folder.parent)
    return dict(codes())


def test_pandas_reads_the_lake(reads: dict[str, str]) -> None:
    found = {tool: eval(code, {"pd": pd}) for tool, code in reads.items() if tool.startswith("pandas")}
    assert [len(frame) for frame in found.values()] == [2, 3]
    assert found["pandas, two columns of all months"].groupby("month", observed=True)[
        "total_amount"
    ].sum().to_dict() == {
        "2020-03": 9.3,
        "2020-04": 18.6,
    }


def test_duckdb_reads_the_lake(reads: dict[str, str]) -> None:
    [query] = re.findall(r'"(.+)"', reads["DuckDB"])
    assert sorted(duckdb.execute(query).fetchall()) == [("2020-03", 9.3), ("2020-04", 18.6)]
