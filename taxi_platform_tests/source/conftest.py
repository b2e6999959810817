"""A faulty server with one published month, and the store that downloads it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from taxi_platform.source.file_store import RawFiles
from taxi_platform_tests.source.downloads import CONTENT, PATH, raw_files
from taxi_platform_tests.support.faulty_server import FaultyServer


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    """A server that publishes the green month."""
    with FaultyServer().running() as server:
        server.publish(PATH, CONTENT)
        yield server


@pytest.fixture
def files(server: FaultyServer, tmp_path: Path) -> RawFiles:
    """A store in the test's folder."""
    return raw_files(server.url, tmp_path)
