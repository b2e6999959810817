"""A short run of the fault suite; `make chaos` is the long one."""

from pathlib import Path

import pytest

from taxi_platform_tests.chaos.__main__ import TABLES, run_sequence


@pytest.mark.parametrize("destination", TABLES)
def test_random_faults_leave_every_guarantee(destination: str, tmp_path: Path) -> None:
    """The seed was chosen for its faults: kills, an edit, loads at the same time, a full disk and a faulty mirror."""
    assert len(run_sequence(destination, seed=653, steps=8, folder=tmp_path)) == 9
