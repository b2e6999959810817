"""What the benchmarks load and where to: generated months in the mirror's layout, and empty databases."""

import gzip
import mmap
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from taxi_platform.demo.sample_trips import write_sample
from taxi_platform.local.embedded_postgres import SERVER_SETTINGS, EmbeddedPostgres
from taxi_platform.trips.partitions import TripMonth

ROWS = 1_500_000
_MEMORY = 3 << 29
_PIECE = bytes(1 << 20)
# The shortest month, because its days exist in every other month.
_BASE = TripMonth.from_key("yellow|2019-02")


@dataclass(frozen=True)
class Work:
    """A month's file in a folder with the mirror's layout, and the same text uncompressed."""

    month: TripMonth
    folder: Path

    @property
    def gz(self) -> Path:
        return self.folder / self.month.colour.name / self.month.gz_name

    @property
    def csv(self) -> Path:
        return self.folder / self.month.filename


class Files:
    """A folder of generated files. Months differ only in their dates, so that each takes the same time to load."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def month(self, number: int, *, rows: int = ROWS, times: int = 1, changed: bool = False) -> Work:
        """Return month number `number`, from 0. `times` repeats its rows; `changed` returns another version of it."""
        name = f"{_BASE.start.year + number // 12}-{number % 12 + 1:02}"
        work = Work(TripMonth(_BASE.colour, name), self._folder / f"{rows}-{times}{'-changed' if changed else ''}")
        if not work.gz.exists():
            header, text = self._base(rows)
            text = text.replace(f"{_BASE.month}-".encode(), f"{name}-".encode()) * times
            if changed:
                # The flag is not part of the row id, so the flow looks up all rows and inserts none.
                text = text.replace(b",N,", b",Y,", 1000)
            work.gz.parent.mkdir(parents=True, exist_ok=True)
            work.csv.write_bytes(header + text)
            work.gz.write_bytes(gzip.compress(header + text, compresslevel=6, mtime=0))
        return work

    def _base(self, rows: int) -> tuple[bytes, bytes]:
        folder = self._folder / f"{rows}-base"
        path = Work(_BASE, folder).gz
        if not path.exists():
            write_sample(folder, _BASE, rows, shared=False)
        header, *lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
        # Without the pickups far outside the month, which would be the same rows in every month.
        inside = f"{_BASE.month}-".encode()
        return header, b"".join(line for line in lines if line.split(b",", 2)[1].startswith(inside))


class StockPostgres(EmbeddedPostgres):
    """The embedded server with PostgreSQL's default settings, apart from the address that it listens on."""

    settings: ClassVar = {name: SERVER_SETTINGS[name] for name in ("listen_addresses", "unix_socket_directories")}


def settle(url: str) -> None:
    """Give all contenders the same start: earlier changes are on the disk, and memory is allocated to the machine."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("checkpoint")
    os.sync()
    _take_memory()


def _take_memory() -> None:
    """Use as much memory as a load does, and release it.

    A virtual machine may have to request it from its host, which was seen to take half the time of a load, in one month
    and not in the next.
    """
    with mmap.mmap(-1, _MEMORY) as memory:
        for offset in range(0, _MEMORY, len(_PIECE)):
            memory[offset : offset + len(_PIECE)] = _PIECE


@contextmanager
def empty_database(server_url: str) -> Iterator[str]:
    """Create a database, yield its URL, and drop it at the end."""
    name = f"bench_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        try:
            yield urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
        finally:
            connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
