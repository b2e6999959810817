"""A file's rows into a table of their own, with the row id made while they are written.

Rows are written once: the table's `unique_row_id` is a generated column, and two connections COPY alternate blocks of
whole lines. Only a whole and counted table gets the month's staging name; what a killed run leaves is dropped by the
next one. Putting the table in its place is `merge.py`.
"""

import hashlib
import re
import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from taxi_platform.destinations.postgres.catalog import is_whole
from taxi_platform.destinations.postgres.resource import Postgres
from taxi_platform.destinations.postgres.tables import (
    FILENAME,
    SCHEMA,
    UNIQUE_ROW_ID,
    attached,
    definition,
    ensure_tables,
    is_stray,
    name_of,
    partition_name,
    record_on,
    records_of,
    row_id_expression,
    staging_name,
    staging_table,
    table_columns,
)
from taxi_platform.errors import BadFile, SourceUnavailable
from taxi_platform.source.gzip_lines import read_blocks
from taxi_platform.source.raw_file import RawFile
from taxi_platform.trips.load_record import LoadRecord, is_current
from taxi_platform.trips.partitions import TripMonth

STREAMS = 2
"""Connections that COPY one file. The server parses and hashes rows, a core for each; more gained nothing on two."""


def staged(connection: psycopg.Connection, month: TripMonth) -> tuple[int, LoadRecord | None]:
    """The month's staging table: its oid and its record, or None for the record when nothing is staged."""
    found = connection.execute(
        "select oid, obj_description(oid, 'pg_class') from pg_class where relnamespace = to_regnamespace(%s) "
        "and relname = %s",
        [SCHEMA, staging_name(month)],
    ).fetchone()
    return (found[0], LoadRecord.from_json(found[1])) if found else (0, None)


def stage(postgres: Postgres, file: RawFile) -> LoadRecord | None:
    """Brings the file's rows into the month's staging table; the record of that table.

    A month that is in place already, whole, from the same file is not staged again: None. A table that an earlier run
    staged from the same file is used as it is. Raises BadFile for a value that Postgres does not take, with its line;
    then nothing is staged and what was staged before stays.
    """
    month = file.month
    with postgres.connect(f"stages {month}") as connection:
        ensure_tables(connection, month.colour)
        drop_orphans(connection)
        records = records_of(attached(connection, month.colour))
        if is_current(records, month, file.sha256) and is_whole(connection, month, records[month.filename]):
            connection.execute(sql.SQL("drop table if exists {}").format(staging_table(month)))
            return None
        _, before = staged(connection, month)
        if before and before.sha256 == file.sha256:
            return before
        with _loading_table(connection, file) as name:
            rows = _copy(postgres, file, sql.Identifier(SCHEMA, name))
            if rows != file.rows:
                raise BadFile(
                    f"{rows:,} rows arrived in Postgres, {file.rows:,} were counted when it was fetched",
                    "A rerun does not help. Nothing was staged; please report the file.",
                    filename=month.filename,
                )
            return _finish(connection, file, name)


def drop_orphans(connection: psycopg.Connection) -> None:
    """Drops what killed runs left: loading tables whose advisory lock is free."""
    tables = connection.execute(
        "select relname from pg_class where relnamespace = to_regnamespace(%s) and relkind = 'r' "
        "and relname ~ '_loading_[0-9a-f]{8}$'",
        [SCHEMA],
    ).fetchall()
    for (name,) in tables:
        if connection.execute("select pg_try_advisory_lock(hashtextextended(%s, 0))", [name]).fetchone() == (True,):
            connection.execute(sql.SQL("drop table if exists {}").format(sql.Identifier(SCHEMA, name)))
            connection.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", [name])


@contextmanager
def _loading_table(connection: psycopg.Connection, file: RawFile) -> Iterator[str]:
    """The name of a table of this run's own, gone when the block fails; the session's lock says that it is in use."""
    month = file.month
    name = f"{partition_name(month)}_loading_{secrets.token_hex(4)}"
    table = sql.Identifier(SCHEMA, name)
    connection.execute("select pg_advisory_lock(hashtextextended(%s, 0))", [name])
    connection.execute(_create_statement(file, table))
    try:
        # Strays are few: to fill their index while rows are copied costs less than to read the table for it later.
        pickup, strays = month.colour.pickup, is_stray(month, month.colour.pickup)
        create = sql.SQL("create index {} on {} ({}, unique_row_id) where {}")
        connection.execute(create.format(sql.Identifier(f"{name}_strays"), table, name_of(pickup), strays))
        yield name
    except BaseException:
        connection.execute(sql.SQL("drop table if exists {}").format(table))
        raise
    finally:
        connection.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", [name])


def _create_statement(file: RawFile, table: sql.Identifier) -> sql.Composed:
    colour = file.month.colour
    filename = sql.Literal(file.month.filename)
    columns = [
        sql.SQL("{} generated always as ({}) stored").format(definition(UNIQUE_ROW_ID), row_id_expression(file.month)),
        sql.SQL("{} default {}").format(definition(FILENAME), filename),
        *[definition(column) for column in colour.columns],
        *[sql.SQL("{} text").format(sql.Identifier(name)) for name in _extra_columns(file)],
        # With this check ATTACH believes the bound and does not read the rows.
        sql.SQL("constraint of_this_file check (filename is not null and filename = {})").format(filename),
    ]
    # Nothing in a month's table is ever changed, so there is nothing to vacuum. Without this the server reads each one
    # after it was filled, while the next is being loaded. It analyzes it all the same.
    return sql.SQL("create table {} ({}) with (autovacuum_vacuum_insert_threshold = -1)").format(
        table, sql.SQL(", ").join(columns)
    )


def _copied_columns(file: RawFile) -> dict[str, str]:
    """The loading table's columns in the file's order, each with its name in the file.

    A column that the registry does not know gets a name that cannot meet another; it is dropped after the copy.
    """
    known = {column.folded_name for column in file.month.colour.columns}
    names = [
        (name.lower() if name.lower() in known else f"extra_{place}", name) for place, name in enumerate(file.header)
    ]
    return dict(names)


def _extra_columns(file: RawFile) -> list[str]:
    return [name for name in _copied_columns(file) if name.startswith("extra_")]


@dataclass
class _Blocks:
    """A file's blocks of whole lines, each handed out once, with its number, to one of several streams."""

    blocks: Iterator[tuple[int, bytes]]
    lock: threading.Lock = field(default_factory=threading.Lock)
    stopped: bool = False

    def take(self) -> tuple[int, bytes] | None:
        """The next block, or None at the end."""
        with self.lock:
            return None if self.stopped else next(self.blocks, None)


def _copy(postgres: Postgres, file: RawFile, table: sql.Identifier) -> int:
    """Copies the file into the table on several connections; the rows that the server counted.

    Raises SourceUnavailable when the file on disk is another one by now.
    """
    read = hashlib.sha256()
    blocks = _Blocks(enumerate(read_blocks(file.path, read=read)))
    try:
        with ThreadPoolExecutor(STREAMS, thread_name_prefix="copy") as pool:
            streams = [pool.submit(_copy_stream, postgres, file, table, blocks) for _ in range(STREAMS)]
    except BaseException:
        blocks.stopped = True
        raise
    errors = [error for stream in streams if (error := stream.exception())]
    if errors:
        # Both streams may meet a bad value; the file's first one is the one to report.
        raise min(errors, key=lambda error: error.line or 0 if isinstance(error, BadFile) else 0)
    if read.hexdigest() != file.sha256:
        raise SourceUnavailable(
            f"{file.path} was replaced while it was about to be staged.",
            "A rerun helps: it takes the file as it is then. Nothing was staged.",
        )
    return sum(stream.result() for stream in streams)


def _copy_stream(postgres: Postgres, file: RawFile, table: sql.Identifier, blocks: _Blocks) -> int:
    columns = sql.SQL(", ").join(sql.Identifier(name) for name in _copied_columns(file))
    # The server reads the text format with less work than CSV. A checked file has no quotes, and where it has a
    # backslash, which that format gives a meaning, it is doubled.
    command = sql.SQL("copy {} ({}) from stdin with (format text, delimiter ',', null '')").format(table, columns)
    sent: list[int] = []
    with postgres.connect(f"copies {file.month}") as connection, connection.cursor() as cursor:
        # What these rows' commit does not wait for, the commit that gives the table its name does: the log is in order.
        connection.execute("set synchronous_commit = off")
        try:
            with cursor.copy(command) as copy:
                while taken := blocks.take():
                    number, block = taken
                    sent.append(number)
                    copy.write(block.replace(b"\\", b"\\\\"))
        except psycopg.DataError as error:
            blocks.stopped = True
            raise _bad_value(file, error, sent) from error
        except BaseException:
            blocks.stopped = True
            raise
        return cursor.rowcount


def _bad_value(file: RawFile, error: psycopg.DataError, sent: list[int]) -> BadFile:
    """What the server says of a value, with the stream's line turned into the file's."""
    context = re.search(r"line (\d+)(?:, column ([^:]+))?", error.diag.context or "")
    line = column = None
    if context:
        line = _line_in_file(file, int(context[1]), sent)
        column = _copied_columns(file).get(context[2])
    return BadFile(
        error.diag.message_primary or "a value that Postgres does not take",
        "A rerun does not help until the published file is mended; nothing was changed in the tables.",
        filename=file.month.filename,
        line=line,
        column=column,
    )


def _line_in_file(file: RawFile, line: int, sent: list[int]) -> int:
    """The file's line that is this one of those that a stream sent, in the blocks of these numbers.

    The file is read again for it, so that nothing has to be counted while it is copied.
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


def _finish(connection: psycopg.Connection, file: RawFile, name: str) -> LoadRecord:
    """Makes the loading table fit to be attached, gives it its record, and the month's staging name."""
    month = file.month
    table, pickup = sql.Identifier(SCHEMA, name), month.colour.pickup
    strays = is_stray(month, pickup)
    with connection.transaction():
        # Version 15 lets a still-generated column be attached and then cannot drop the expression.
        alterations = [
            sql.SQL("alter column unique_row_id drop expression"),
            sql.SQL("alter column filename drop default"),
            *[sql.SQL("drop column {}").format(sql.Identifier(name)) for name in _extra_columns(file)],
        ]
        connection.execute(sql.SQL("alter table {} {}").format(table, sql.SQL(", ").join(alterations)))
        # Named here: two runs of a month could choose the same name, of which Postgres keeps 63 bytes.
        index = sql.Identifier(f"{name}_pickups")
        connection.execute(sql.SQL("create index {} on {} using brin ({})").format(index, table, name_of(pickup)))
        # Without statistics for a new table the planner would rather read it all than the index of strays.
        connection.execute("set local enable_seqscan = off")
        counted = connection.execute(sql.SQL("select count(*) from {} where {}").format(table, strays)).fetchone()
        record = LoadRecord(
            sha256=file.sha256,
            rows=file.rows,
            out_of_month=counted[0] if counted else 0,
            columns=tuple(column.name for column in table_columns(month.colour)),
        )
        connection.execute(record_on(table, record))
        # Two runs of one month may come here at once.
        connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [staging_name(month)])
        connection.execute(sql.SQL("drop table if exists {}").format(staging_table(month)))
        connection.execute(sql.SQL("alter table {} rename to {}").format(table, sql.Identifier(staging_name(month))))
    return record
