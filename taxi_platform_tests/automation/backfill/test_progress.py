"""What a backfill prints: a line for each month, and the word for what is being done."""

import dagster as dg
import pytest

from taxi_platform.automation.backfill.progress import phase_of
from taxi_platform.destinations.registry import DESTINATIONS


@pytest.mark.parametrize("destination", DESTINATIONS, ids=lambda each: each.name)
def test_each_step_has_a_phase(destination) -> None:
    steps = [dg.AssetKey("raw_csv"), *destination.keys_of_table]
    phases = [phase_of(key.to_python_identifier(), destination) for key in steps]
    assert phases[0] == "downloading"
    assert phases[-1] == "merging"
    assert set(phases[1:-1]) <= {"copying"}
    assert phase_of("every_row_accounted_for", destination) == "checking"
