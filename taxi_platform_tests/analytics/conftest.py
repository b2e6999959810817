"""Tests of the marts need dbt in the environment."""

import sys
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def require_dbt() -> None:
    if not Path(sys.executable).with_name("dbt").exists():
        pytest.skip("dbt is not installed: pip install '.[marts]'")
