"""Waiting for conditions. Every limit of time in the tests is PATIENCE or a multiple of what an idle machine needs."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 600.0
"""Seconds until a condition that never comes fails a test. An idle machine needs at most 30 for the slowest; other
processes may keep the cores busy."""


def until(condition: Callable[[], T | None], what: str = "", pause: float = 0.2) -> T:
    """Return what the condition returns, as soon as that is true. It is evaluated after each `pause`, in seconds."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(pause)
    raise AssertionError(f"waited {PATIENCE:g} s for: {what or condition}")
