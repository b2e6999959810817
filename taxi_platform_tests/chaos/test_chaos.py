"""A short run of the fault suite; `make chaos` is the long one."""

from pathlib import Path

import pytest

from taxi_platform_tests.chaos.__main__ import run_sequence
from taxi_platform_tests.chaos.tables import TABLES


@pytest.mark.parametrize("destination", TABLES)
def test_random_faults_leave_every_guarantee(destination: str, tmp_path: Path) -> None:
    assert len(run_sequence(destination, seed=20, steps=12, folder=tmp_path)) == 13
