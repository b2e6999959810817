"""Validation of published files: every line of a gzipped CSV, in the pass that downloads it.

Whether a line is valid does not depend on which digits it has. So all digits of a block are translated to 0, which
leaves a few thousand distinct lines per month, called shapes, and only a shape that was not seen before is matched
against the pattern. That takes less time than decompression. The form of a value is defined by `Kind` in
`trips.columns`.
"""

import hashlib
import re
from collections import Counter
from dataclasses import dataclass

from taxi_platform.errors import BadFile
from taxi_platform.source.gzip_lines import LONGEST_LINE, REMEDY, Gunzip, line_end, quote
from taxi_platform.source.raw_file import columns_of
from taxi_platform.trips.columns import Kind
from taxi_platform.trips.partitions import TripMonth

VALIDATION_VERSION = 2
"""Raise this when validation becomes stricter: files that passed an older version are downloaded again."""
MOST_COLUMNS = 1_000
"""Columns that a file may have; published files have about twenty."""

_DIGITS_TO_ZERO = bytes.maketrans(b"123456789", b"000000000")
_NO_TIMES_OF_DAY = tuple(re.compile(text).search for text in (rb" 24:", rb":60"))
"""Two searches for a literal each. `in` takes 1.5 to 2 times as long here, one expression for both 4 times."""
_REMEMBERED = 4 << 20
"""Maximum bytes of shapes that are remembered. A published month has a few thousand shapes of 100 bytes."""
_BOM = b"\xef\xbb\xbf"
_UNWANTED = {b'"': "a quote", b"\0": "a NUL byte", b"\r": "a carriage return"}
_FORMS = {
    Kind.TIME: "a time in the form YYYY-MM-DD HH:MM:SS",
    Kind.INTEGER: "an integer",
    Kind.CODE: "an integer",
    Kind.NUMBER: "a number",
}


@dataclass(frozen=True)
class ValidCsv:
    """Facts about a file that passed validation."""

    sha256: str
    size: int
    rows: int
    uncompressed_size: int
    header: tuple[str, ...]


class CsvValidator:
    """Incremental validation of one gzipped CSV with constant memory. It cannot be used after an error."""

    def __init__(self, month: TripMonth) -> None:
        self.size = 0
        self._month = month
        self._sha256 = hashlib.sha256()
        self._gunzip = Gunzip(month.gz_name)
        self._uncompressed = 0
        self._rest = b""
        self._lines: _Lines | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the gzip data ends here."""
        return self._gunzip.is_complete

    def feed(self, data: bytes) -> None:
        """Validate the next bytes of the gzip file. Raise BadFile at the first fault."""
        self.size += len(data)
        self._sha256.update(data)
        for piece in self._gunzip.feed(data):
            self._uncompressed += len(piece)
            self._validate(piece)

    def finish(self) -> ValidCsv:
        """Return the facts about the whole file. Raise BadFile if it is truncated or has no header."""
        self._gunzip.finish()
        if self._rest:
            self._validate(line_end(self._lines.header_line) if self._lines else b"\n")
        if self._lines is None:
            raise BadFile("the file has no header.", REMEDY, filename=self._month.gz_name)
        return ValidCsv(
            self._sha256.hexdigest(), self.size, self._lines.rows, self._uncompressed, self._lines.header.names
        )

    def _validate(self, piece: bytes) -> None:
        end = piece.rfind(b"\n") + 1
        if not end:
            self._rest += piece
            if len(self._rest) > LONGEST_LINE:
                line = 1 if self._lines is None else self._lines.rows + 2
                what = f"the line is longer than {LONGEST_LINE:,} bytes."
                raise BadFile(what, REMEDY, filename=self._month.gz_name, line=line)
            return
        block = self._rest + piece[:end]
        self._rest = piece[end:]
        if self._lines is None:
            header, _, block = block.partition(b"\n")
            self._lines = _Lines(self._month, header + b"\n")
        if block:
            self._lines.validate(block)


class Header:
    """A file's header: its column names and the pattern that every line must match."""

    def __init__(self, month: TripMonth, line: bytes) -> None:
        """Raise BadFile for a header that cannot be used."""
        self._filename = month.gz_name
        self.is_crlf = line_end(line) == b"\r\n"
        self.names = self._parse(line.removeprefix(_BOM).removesuffix(b"\n").removesuffix(b"\r"))
        self._validate(month)
        columns = columns_of(month.colour, self.names)
        self.kinds = tuple(column.kind if column else Kind.TEXT for column in columns)
        end = "\r" if self.is_crlf else ""
        self.pattern = re.compile((",".join(kind.pattern for kind in self.kinds) + end).encode())

    def _parse(self, line: bytes) -> tuple[str, ...]:
        count = line.count(b",") + 1
        if count > MOST_COLUMNS:
            raise self._bad(f"the header has {count:,} columns, more than {MOST_COLUMNS:,}.")
        unwanted = re.search(rb'["\0\r]', line)
        if unwanted:
            raise self._bad(f"the header contains {_UNWANTED[unwanted[0]]}: {_quote(line)}.")
        try:
            return tuple(line.decode().split(","))
        except UnicodeDecodeError:
            raise self._bad(f"the header is not UTF-8: {_quote(line)}.") from None

    def _validate(self, month: TripMonth) -> None:
        folded = Counter(name.lower() for name in self.names)
        required = month.colour.required_columns
        missing = [column.name for column in required if column.folded_name not in folded]
        if len(missing) == len(required):
            line = ",".join(self.names).encode()
            raise self._bad(f"{_quote(line)} is not the header of a {month.colour.name} file.")
        if missing:
            raise self._bad(f"the header lacks {', '.join(missing)}.", missing[0])
        if "" in folded:
            raise self._bad(f"column {self.names.index('') + 1} of the header has no name.")
        repeated = [name for name, count in folded.items() if count > 1]
        if repeated:
            raise self._bad(f"the header has {', '.join(repeated)} more than once.", repeated[0])

    def _bad(self, what: str, column: str | None = None) -> BadFile:
        return BadFile(what, REMEDY, filename=self._filename, line=1, column=column)


class _Lines:
    """The lines after the header: counts them and validates them."""

    def __init__(self, month: TripMonth, header_line: bytes) -> None:
        self.header_line = header_line
        self.header = Header(month, header_line)
        self.rows = 0
        self._filename = month.gz_name
        self._known: set[bytes] = set()
        self._known_size = 0

    def validate(self, block: bytes) -> None:
        """Validate a block of whole lines."""
        lines = block.translate(_DIGITS_TO_ZERO).split(b"\n")
        lines.pop()
        shapes = set(lines) - self._known
        if not all(map(self.header.pattern.fullmatch, shapes)):
            raise self._first_fault(block)
        if any(search(block) for search in _NO_TIMES_OF_DAY):
            self._validate_times_of_day(block)
        if not block.isascii():
            self._validate_utf8(block)
        self.rows += len(lines)
        self._remember(shapes)

    def _remember(self, shapes: set[bytes]) -> None:
        self._known_size += sum(map(len, shapes))
        if self._known_size > _REMEMBERED:
            self._known.clear()
            self._known_size = 0
        else:
            self._known |= shapes

    def _validate_times_of_day(self, block: bytes) -> None:
        """Reject 24:00:00 and seconds of 60, which databases read as a time of the next day or minute.

        They reject other impossible times themselves.
        """
        for index, line in enumerate(block.split(b"\n")):
            for name, kind, value in zip(self.header.names, self.header.kinds, line.split(b","), strict=False):
                if kind is Kind.TIME and re.search(rb" 24:|:60", value):
                    raise self._bad(f"{_quote(value)} is not a time of day.", index, name)

    def _validate_utf8(self, block: bytes) -> None:
        try:
            block.decode()
        except UnicodeDecodeError as error:
            before = block[: error.start]
            column = self.header.names[before[before.rfind(b"\n") + 1 :].count(b",")]
            raise self._bad("the bytes are not UTF-8.", before.count(b"\n"), column) from None

    def _first_fault(self, block: bytes) -> BadFile:
        for index, line in enumerate(block.split(b"\n")):
            if not self.header.pattern.fullmatch(line):
                return self._bad(*self._explain(line, index))
        raise AssertionError("a shape does not match, but all lines do")

    def _explain(self, line: bytes, index: int) -> tuple[str, int, str | None]:
        fields = line.removesuffix(b"\r").split(b",")
        for name, value in zip(self.header.names, fields, strict=False):
            unwanted = re.search(rb'["\0\r]', value)
            if unwanted:
                return f"the value contains {_UNWANTED[unwanted[0]]}: {_quote(value)}.", index, name
        if not line.removesuffix(b"\r"):
            return "the line is empty.", index, None
        if len(fields) != len(self.header.names):
            return f"the line has {len(fields)} fields, the header has {len(self.header.names)}.", index, None
        if line.endswith(b"\r") != self.header.is_crlf:
            ends = ("CRLF", "LF") if line.endswith(b"\r") else ("LF", "CRLF")
            return "the line ends with {}, the header with {}.".format(*ends), index, None
        for name, kind, value in zip(self.header.names, self.header.kinds, fields, strict=True):
            if not re.fullmatch(kind.pattern.encode(), value):
                return f"{_quote(value)} is not {_FORMS[kind]}.", index, name
        raise AssertionError("the line does not match, but all its fields do")

    def _bad(self, what: str, index: int, column: str | None) -> BadFile:
        return BadFile(what, REMEDY, filename=self._filename, line=self.rows + 2 + index, column=column)


def _quote(value: bytes) -> str:
    return quote(value.decode("utf-8", "replace"))
