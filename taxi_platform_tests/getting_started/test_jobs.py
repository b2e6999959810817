"""The job hello_world: what it logs, and in which order."""

import dagster as dg
import pytest

from taxi_platform.getting_started.jobs import HELLO_LIMIT_TAG, hello_world


def logs(run_config: dict[str, str] | None) -> list[str]:
    """Return what the ops of one run log."""
    with dg.DagsterInstance.ephemeral() as instance:
        result = hello_world.execute_in_process(run_config=run_config, instance=instance)
        assert result.success
        return [entry.user_message for entry in instance.all_logs(result.run_id) if not entry.is_dagster_event]


@pytest.mark.parametrize(("run_config", "name"), [(None, "Will"), ({}, "Will"), ({"name": "Ann"}, "Ann")])
def test_hello_world_greets_name_and_passes_value(run_config: dict[str, str] | None, name: str) -> None:
    assert logs(run_config) == [
        f"Hello, {name}!",
        "This is an output: I was generated during this run.",
        f"Goodbye, {name}!",
    ]


def test_hello_world_has_tag_that_the_instance_limits() -> None:
    assert hello_world.tags[HELLO_LIMIT_TAG] == "hello_world"
