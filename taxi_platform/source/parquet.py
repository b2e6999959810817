"""Conversion of TLC's monthly Parquet files to gzipped CSVs like the mirror's, so that nothing else handles Parquet.

The types in these files differ from year to year: integers or doubles for whole numbers, timestamps in ns, us or ms,
plain or dictionary-encoded text, null, int or double for an empty column. The registry decides what a column holds.
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
from taxi_platform.source.csv_validation import CsvValidator, ValidCsv
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

DISK_FACTOR = 4.0
"""Bytes of disk for each byte of a Parquet file: the file itself and the CSV, which is up to twice as large."""

_MAGIC = b"PAR1"
_HEAD = 1 << 12
_BATCH = 1 << 16
"""Rows in memory at once."""
_BUFFER = 1 << 20
"""Bytes of a column that are read at once. Otherwise a column chunk is read whole; a row group may hold a month."""
_LEVEL = 5
_REMEDY = "Materialize raw_csv again when TLC has published a corrected file."


class ParquetValidator:
    """Validation during a download that a file is Parquet and complete. Its rows are validated as a CSV later."""

    def __init__(self, month: TripMonth) -> None:
        self.size = 0
        self._filename = month.parquet_name
        self._head = b""
        self._tail = b""

    @property
    def is_complete(self) -> bool:
        """Whether a Parquet file may end here."""
        return self.size > 2 * len(_MAGIC) and self._tail == _MAGIC

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the file."""
        self.size += len(data)
        self._tail = (self._tail + data[-len(_MAGIC) :])[-len(_MAGIC) :]
        if len(self._head) < _HEAD:
            self._head += data[: _HEAD - len(self._head)]

    def finish(self) -> None:
        """Raise BadFile if the file is not Parquet or is truncated."""
        if not self._head.startswith(_MAGIC):
            what = f"not a Parquet file but {describe(self._head)}." if self._head else "the file is empty."
            raise BadFile(what, _REMEDY, filename=self._filename)
        if not self.is_complete:
            raise BadFile("the Parquet file is truncated.", _REMEDY, filename=self._filename)


@dataclass(frozen=True)
class Converted:
    """Facts about a CSV that was written from a Parquet file."""

    facts: ValidCsv
    left_out: tuple[str, ...]
    """Columns that the registry does not have."""


def write_csv(parquet: Path, month: TripMonth, target: BinaryIO) -> Converted:
    """Write the month's rows to `target` as a gzipped CSV, reproducible byte for byte, and validate every line.

    Memory is constant. Raise BadFile if the file cannot be read or a value is invalid.
    """
    validator = CsvValidator(month)
    with _translate_errors(month), pq.ParquetFile(parquet, pre_buffer=False, buffer_size=_BUFFER) as file:
        names = _names(file.schema_arrow, month)
        # Without a name and a time in the gzip header equal rows give equal bytes, and so the same sha256.
        with gzip.GzipFile("", "wb", _LEVEL, fileobj=_Validating(target, validator), mtime=0) as packed:
            packed.write((",".join(column.name for column in names) + "\r\n").encode())
            for batch in file.iter_batches(_BATCH, columns=list(names.values())):
                packed.write(_lines([_text(batch.column(name), column, month) for column, name in names.items()]))
        left_out = tuple(name for name in file.schema_arrow.names if name not in names.values())
    return Converted(validator.finish(), left_out)


class _Validating:
    """A file whose written bytes also go to a validator."""

    def __init__(self, target: BinaryIO, validator: CsvValidator) -> None:
        self._target = target
        self._validator = validator

    def write(self, data: bytes) -> int:
        write_all(self._target, data)
        self._validator.feed(bytes(data))
        return len(data)

    def flush(self) -> None:
        self._target.flush()


def _names(schema: pa.Schema, month: TripMonth) -> dict[Column, str]:
    """Return the file's name for each column of the registry that it has, in the registry's order."""
    found: dict[Column, str] = {}
    for column, name in zip(columns_of(month.colour, schema.names), schema.names, strict=True):
        if column in found:
            what = f"the file has {column.name} more than once."
            raise BadFile(what, _REMEDY, filename=month.parquet_name, column=column.name)
        if column:
            found[column] = name
    missing = [column.name for column in month.colour.required_columns if column not in found]
    if missing:
        raise BadFile(f"the file lacks {', '.join(missing)}.", _REMEDY, filename=month.parquet_name, column=missing[0])
    return {column: found[column] for column in month.colour.columns if column in found}


def _lines(columns: list[pa.Array]) -> bytes:
    """Return the rows as lines of text, each with its line end."""
    empty = pc.JoinOptions("replace", "")
    rows = pc.call_function("binary_join_element_wise", [*columns, pa.scalar(",")], empty)
    lines = pc.call_function("binary_join_element_wise", [rows, pa.scalar(""), pa.scalar("\r\n")], empty)
    # Arrow stores the texts of an array one after another in one buffer.
    texts = lines.buffers()[2]
    return texts.to_pybytes() if texts is not None else b""


def _text(values: pa.Array, column: Column, month: TripMonth) -> pa.Array:
    """Return a column's values in the text forms of the published CSVs, nulls as nulls."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_timestamp(values.type):
        return _times(values, column, month)
    if pa.types.is_floating(values.type) or pa.types.is_decimal(values.type):
        return _numbers(values, whole=column.kind is not Kind.NUMBER)
    return values.cast(pa.string())


def _times(values: pa.Array, column: Column, month: TripMonth) -> pa.Array:
    if values.type.tz is not None:
        # This may be New York's local time with a wrong label or a moment in time; a wrong guess would shift a month.
        what = f"the times have the time zone {values.type.tz}, local times without a zone are required."
        raise BadFile(what, _REMEDY, filename=month.parquet_name, column=column.name)
    # Times before 1970 are negative: a cast alone would round them up.
    seconds = pc.call_function("floor_temporal", [values], pc.RoundTemporalOptions(1, "second"))
    return seconds.cast(pa.timestamp("s")).cast(pa.string())


def _numbers(values: pa.Array, *, whole: bool) -> pa.Array:
    """Return the text of numbers in their shortest form; `whole` numbers are doubles in files with nulls among them."""
    if pa.types.is_floating(values.type):
        is_nan = pc.call_function("is_nan", [values])
        values = pc.call_function("if_else", [is_nan, pa.scalar(None, values.type), values])
    if whole:
        try:
            return values.cast(pa.int64()).cast(pa.string())
        except pa.ArrowInvalid:
            pass  # there is a fraction: the validation of the lines names its line
    texts = values.cast(pa.string())
    # Arrow writes a double in its shortest form but for `.0`, and a decimal with all digits of its scale.
    zeros = ((r"\.0$", ""),) if pa.types.is_floating(values.type) else ((r"(\.[0-9]*?)0+$", r"\1"), (r"\.$", ""))
    for pattern, by in (*zeros, ("^-0$", "0")):
        texts = pc.call_function("replace_substring_regex", [texts], pc.ReplaceSubstringOptions(pattern, by))
    return texts


@contextmanager
def _translate_errors(month: TripMonth) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # an error of the disk, not of the file
        reason = str(error).strip().split("\n", 1)[0]
        raise BadFile(f"the Parquet file cannot be read: {reason}.", _REMEDY, filename=month.parquet_name) from None
