"""The comparison of two destinations' marts."""

from pathlib import Path

import psycopg
import pytest

from taxi_platform.demo.marts import MartsDiffer, print_mart_comparison
from taxi_platform.destinations.lake.destination import LAKE
from taxi_platform.destinations.postgres.destination import POSTGRES


def test_different_marts_are_named(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAXI_HOME", str(tmp_path))
    monkeypatch.setenv("TAXI_POSTGRES_URL", postgres_url)
    print_mart_comparison(POSTGRES, LAKE)
    assert "DIFFERENT" not in capsys.readouterr().out
    with psycopg.connect(postgres_url) as connection:
        connection.execute("create schema marts")
        connection.execute("create table marts.vendors as select 1 as vendor_id, 'A company' as vendor")
    with pytest.raises(MartsDiffer, match="differ: vendors"):
        print_mart_comparison(POSTGRES, LAKE)
    shown = capsys.readouterr().out.splitlines()
    assert [line.split() for line in shown if "DIFFERENT" in line] == [["vendors", "1", "0", "DIFFERENT"]]
