"""The part of the demo that runs the first examples without a network."""

from pathlib import Path

import pytest

from taxi_platform.demo import postgres as demo
from taxi_platform.demo.sample_products import sample_page
from taxi_platform_tests.getting_started.test_products import means


def test_the_examples_greet_and_make_the_table_from_sample_products(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("TAXI_HOME", str(tmp_path / "home"))
    # A setting that leads to the network, as a user's .env may have: the demo must not follow it.
    monkeypatch.setenv("TAXI_PRODUCTS_URL", "http://127.0.0.1:9/products")
    assert demo.run_examples(tmp_path / "home") == means(sample_page()["products"])
    said = capfd.readouterr().err
    assert "Hello, Will!" in said
    assert "DEBUG" not in said
