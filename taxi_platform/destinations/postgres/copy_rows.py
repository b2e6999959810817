"""Copies a file's rows into a table on several connections. Part of step 3 in docs/architecture.md.

The connections COPY alternate blocks of whole lines, and commit at the same moment.
"""

import hashlib
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.errors import BadFile, SourceUnavailable
from taxi_platform.source.gzip_lines import read_blocks
from taxi_platform.source.raw_file import RawFile

STREAMS = 2
"""Connections that COPY one file. The server parses and hashes rows, a core for each; a third gained nothing on two."""


def copied_columns(file: RawFile) -> dict[str, str]:
    """Return the loading table's columns in the file's order, each with its name in the file.

    A column that the registry does not have gets a name that no other column has; it is dropped after the copy.
    """
    known = {column.folded_name for column in file.month.colour.columns}
    names = [
        (name.lower() if name.lower() in known else f"extra_{place}", name) for place, name in enumerate(file.header)
    ]
    return dict(names)


def extra_columns(file: RawFile) -> list[str]:
    """Return the loading table's columns that the registry does not have."""
    return [name for name in copied_columns(file) if name.startswith("extra_")]


@dataclass
class _Blocks:
    """A file's blocks of whole lines, each handed out once, with its number, to one of several streams."""

    blocks: Iterator[tuple[int, bytes]]
    lock: threading.Lock = field(default_factory=threading.Lock)
    copied: threading.Barrier = field(default_factory=lambda: threading.Barrier(STREAMS))
    """Where streams wait for each other before they commit."""
    stopped: bool = False

    def take(self) -> tuple[int, bytes] | None:
        """Return the next block, or None at the end."""
        with self.lock:
            return None if self.stopped else next(self.blocks, None)

    def stop(self) -> None:
        """Let all streams end without a commit."""
        self.stopped = True
        self.copied.abort()


def copy_rows(postgres: Postgres, file: RawFile, table: sql.Identifier) -> int:
    """Copy the file into the table; return the number of rows that the server counted.

    Raise BadFile for a value that Postgres rejects, and SourceUnavailable if the file on disk was replaced.
    """
    read = hashlib.sha256()
    blocks = _Blocks(enumerate(read_blocks(file.path, read=read)))
    try:
        with ThreadPoolExecutor(STREAMS, thread_name_prefix="copy") as pool:
            streams = [pool.submit(_copy_stream, postgres, file, table, blocks) for _ in range(STREAMS)]
    except BaseException:
        blocks.stop()
        raise
    errors = [error for stream in streams if (error := stream.exception())]
    if errors:
        # Both streams may find a bad value: the first one of the file is reported. A broken barrier follows an error.
        raise min(errors, key=_rank)
    if read.hexdigest() != file.sha256:
        raise SourceUnavailable(f"{file.path} was replaced while it was being staged.", "Nothing was staged.")
    return sum(stream.result() for stream in streams)


def _rank(error: BaseException) -> float:
    if isinstance(error, threading.BrokenBarrierError):
        return float("inf")
    return error.line or 0 if isinstance(error, BadFile) else 0


def _copy_stream(postgres: Postgres, file: RawFile, table: sql.Identifier, blocks: _Blocks) -> int:
    columns = sql.SQL(", ").join(sql.Identifier(name) for name in copied_columns(file))
    # The server reads the text format with less work than CSV. A validated file has no quotes, and a backslash, which
    # has a meaning in that format, is doubled.
    command = sql.SQL("copy {} ({}) from stdin with (format text, delimiter ',', null '')").format(table, columns)
    sent: list[int] = []
    try:
        with postgres.connect(f"copies {file.month}") as connection, connection.cursor() as cursor:
            # The commit that gives the table its staging name flushes the log, and with it these rows.
            connection.execute("set synchronous_commit = off")
            with connection.transaction():
                try:
                    with cursor.copy(command) as copy:
                        while taken := blocks.take():
                            number, block = taken
                            sent.append(number)
                            copy.write(block.replace(b"\\", b"\\\\"))
                except (psycopg.DataError, psycopg.errors.ProgramLimitExceeded) as error:
                    raise _bad_value(file, error, sent) from error
                blocks.copied.wait()
            return cursor.rowcount
    except BaseException:
        blocks.stop()
        raise


def _bad_value(file: RawFile, error: psycopg.Error, sent: list[int]) -> BadFile:
    """Return the server's error with the stream's line turned into the file's."""
    context = re.search(r"line (\d+)(?:, column ([^:]+))?", error.diag.context or "")
    line = column = None
    if context:
        line = _line_in_file(file, int(context[1]), sent)
        column = copied_columns(file).get(context[2])
    return BadFile(
        error.diag.message_primary or "Postgres rejects a value",
        "The published file must be corrected first. Nothing was changed in the tables.",
        filename=file.month.filename,
        line=line,
        column=column,
    )


def _line_in_file(file: RawFile, line: int, sent: list[int]) -> int:
    """Return the file's line that is this one of those in the blocks of these numbers.

    The file is read again for it, so that lines need not be counted while they are copied.
    """
    before = 1
    for number, block in enumerate(read_blocks(file.path)):
        lines = block.count(b"\n")
        if number in sent:
            if line <= lines:
                break
            line -= lines
        before += lines
    return before + line
