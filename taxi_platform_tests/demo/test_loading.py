"""The tutorial's examples that the demo runs without a network."""

from pathlib import Path

import dagster as dg
import pytest

from taxi_platform.demo.loading import run_examples
from taxi_platform.demo.sample_products import sample_page
from taxi_platform.getting_started.duckdb_file import DuckDBFile
from taxi_platform_tests.getting_started.test_products import means


def test_examples_run_on_sample_products_whatever_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAXI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TAXI_PRODUCTS_URL", "http://127.0.0.1:9/products")
    with dg.DagsterInstance.ephemeral() as instance:
        run_examples(tmp_path / "home", instance)
    with DuckDBFile().get_connection() as connection:
        assert connection.execute("from products_by_brand").fetchall() == means(sample_page()["products"])
    shown = capfd.readouterr().err
    assert "Hello, Will!" in shown
    assert "DEBUG" not in shown
