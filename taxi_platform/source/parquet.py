"""TLC's monthly Parquet files, written as the gzipped CSVs that the mirror publishes, so that nothing after knows.

The types in these files drift from year to year: whole numbers come as integers or doubles, times in ns, us or ms,
text plain or as a dictionary, an empty column as null, int or double. What counts is what the registry says of it.

Not here: how a file is fetched (`download`, `resources.mirror`), nor what a good line is (`file_check`).
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from taxi_platform.errors import BadFile
from taxi_platform.lazy_import import LazyModule
from taxi_platform.source.csv_validation import Checked, FileCheck
from taxi_platform.source.gzip_lines import describe
from taxi_platform.source.raw_file import columns_of
from taxi_platform.source.resumable_download import write_all
from taxi_platform.trips.columns import Column, Kind
from taxi_platform.trips.partitions import TripMonth

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq
else:
    pa, pc, pq = map(LazyModule, ("pyarrow", "pyarrow.compute", "pyarrow.parquet"))

ROOM_FACTOR = 4.0
"""Bytes of disk that a month needs for each byte of its Parquet file: it and the CSV, which is up to twice as large."""

_MAGIC = b"PAR1"
_HEAD = 1 << 12
_BATCH = 1 << 16
"""Rows that are in memory at once."""
_BUFFER = 1 << 20
"""Bytes of a column that are read at once. Otherwise a column chunk is read whole; a row group may hold a month."""
_LEVEL = 5
_MEND = "A rerun does not help until TLC publishes a sound file; then run raw_csv again, it fetches what changed."


class ParquetArrival:
    """The check of a Parquet file as it arrives: only that it is one and whole. What is in it is checked as a CSV."""

    def __init__(self, month: TripMonth) -> None:
        self.size = 0
        self._filename = month.parquet_name
        self._head = b""
        self._tail = b""

    @property
    def is_complete(self) -> bool:
        """Whether what has come ends as a Parquet file does."""
        return self.size > 2 * len(_MAGIC) and self._tail == _MAGIC

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the file."""
        self.size += len(data)
        self._tail = (self._tail + data[-len(_MAGIC) :])[-len(_MAGIC) :]
        if len(self._head) < _HEAD:
            self._head += data[: _HEAD - len(self._head)]

    def finish(self) -> None:
        """Raise BadFile when that was no Parquet file, or not all of one."""
        if not self._head.startswith(_MAGIC):
            what = f"not a Parquet file but {describe(self._head)}" if self._head else "the file is empty, 0 bytes"
            raise BadFile(what, _MEND, filename=self._filename)
        if not self.is_complete:
            raise BadFile("the Parquet file is cut", _MEND, filename=self._filename)


@dataclass(frozen=True)
class Written:
    """What became of a Parquet file."""

    checked: Checked
    left_out: tuple[str, ...]
    """Columns that the tables do not have."""


def write_csv(parquet: Path, month: TripMonth, target: BinaryIO) -> Written:
    """Write the month's rows to `target` as a gzipped CSV, the same bytes each time, and check every line.

    Memory does not grow with the file. Raises BadFile for one that cannot be read or holds what does not belong there.
    """
    check = FileCheck(month)
    with _readable(month), pq.ParquetFile(parquet, pre_buffer=False, buffer_size=_BUFFER) as file:
        names = _names(file.schema_arrow, month)
        # Without a name and a time in the gzip header the same rows are the same bytes, and so the same sha256.
        with gzip.GzipFile("", "wb", _LEVEL, fileobj=_Checking(target, check), mtime=0) as packed:
            packed.write((",".join(column.name for column in names) + "\r\n").encode())
            for batch in file.iter_batches(_BATCH, columns=list(names.values())):
                packed.write(_lines([_text(batch.column(name), column, month) for column, name in names.items()]))
        left_out = tuple(name for name in file.schema_arrow.names if name not in names.values())
    return Written(check.finish(), left_out)


class _Checking:
    """Passes what is written on to a file, and to its check."""

    def __init__(self, target: BinaryIO, check: FileCheck) -> None:
        self._target = target
        self._check = check

    def write(self, data: bytes) -> int:
        write_all(self._target, data)
        self._check.feed(bytes(data))
        return len(data)

    def flush(self) -> None:
        self._target.flush()


def _names(schema: pa.Schema, month: TripMonth) -> dict[Column, str]:
    """The file's name for each column of the registry that it has, in the registry's order."""
    found: dict[Column, str] = {}
    for column, name in zip(columns_of(month.colour, schema.names), schema.names, strict=True):
        if column in found:
            what = f"the file has {column.name} more than once"
            raise BadFile(what, _MEND, filename=month.parquet_name, column=column.name)
        if column:
            found[column] = name
    missing = [column.name for column in month.colour.required_columns if column not in found]
    if missing:
        raise BadFile(f"the file lacks {', '.join(missing)}", _MEND, filename=month.parquet_name, column=missing[0])
    return {column: found[column] for column in month.colour.columns if column in found}


def _lines(columns: list[pa.Array]) -> bytes:
    """The rows as lines of text, each with its line end."""
    empty = pc.JoinOptions("replace", "")
    rows = pc.call_function("binary_join_element_wise", [*columns, pa.scalar(",")], empty)
    lines = pc.call_function("binary_join_element_wise", [rows, pa.scalar(""), pa.scalar("\r\n")], empty)
    # Arrow keeps an array's texts one after another, in one buffer.
    texts = lines.buffers()[2]
    return texts.to_pybytes() if texts is not None else b""


def _text(values: pa.Array, column: Column, month: TripMonth) -> pa.Array:
    """A column's values in the text forms of the published CSVs; nulls stay nulls."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_timestamp(values.type):
        return _times(values, column, month)
    if pa.types.is_floating(values.type) or pa.types.is_decimal(values.type):
        return _numbers(values, whole=column.kind is not Kind.NUMBER)
    return values.cast(pa.string())


def _times(values: pa.Array, column: Column, month: TripMonth) -> pa.Array:
    if values.type.tz is not None:
        # New York's local time under another zone's name, or a moment? A wrong guess would shift a month by hours.
        what = f"times with the time zone {values.type.tz}, where New York's local time without a zone belongs"
        raise BadFile(what, _MEND, filename=month.parquet_name, column=column.name)
    # Times before 1970 are negative: a cast alone would round them up.
    seconds = pc.call_function("floor_temporal", [values], pc.RoundTemporalOptions(1, "second"))
    return seconds.cast(pa.timestamp("s")).cast(pa.string())


def _numbers(values: pa.Array, *, whole: bool) -> pa.Array:
    """`whole`: the column holds whole numbers, which stand as doubles where a year's file has nulls among them."""
    if pa.types.is_floating(values.type):
        is_nan = pc.call_function("is_nan", [values])
        values = pc.call_function("if_else", [is_nan, pa.scalar(None, values.type), values])
    if whole:
        try:
            return values.cast(pa.int64()).cast(pa.string())
        except pa.ArrowInvalid:
            pass  # a fraction: the check of the lines names its line
    texts = values.cast(pa.string())
    # Arrow writes a double in its shortest form but for `.0`, and a decimal with all digits of its scale.
    zeros = ((r"\.0$", ""),) if pa.types.is_floating(values.type) else ((r"(\.[0-9]*?)0+$", r"\1"), (r"\.$", ""))
    for pattern, by in (*zeros, ("^-0$", "0")):
        texts = pc.call_function("replace_substring_regex", [texts], pc.ReplaceSubstringOptions(pattern, by))
    return texts


@contextmanager
def _readable(month: TripMonth) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's, not the file's
        words = str(error).strip().split("\n", 1)[0]
        raise BadFile(f"the Parquet file cannot be read: {words}", _MEND, filename=month.parquet_name) from None
