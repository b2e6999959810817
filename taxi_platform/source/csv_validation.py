"""The check of a published file, of every line of it, in the pass that downloads it.

How it is cheap: whether a line is good does not depend on which digits it has. So each block's digits are all turned
into 0, and what remains are a few thousand different lines, the shapes; only a shape that was not seen before is
held against the pattern. On 1.6 million yellow rows that takes less time than gunzip does.

Not here: what makes a value of a kind good (`trips.Kind.pattern`), nor fetching.
"""

import hashlib
import re
from collections import Counter
from dataclasses import dataclass

from taxi_platform.errors import BadFile
from taxi_platform.source.gzip_lines import LONGEST_LINE, MEND, Gunzip, line_end
from taxi_platform.source.raw_file import columns_of
from taxi_platform.trips.columns import Kind
from taxi_platform.trips.partitions import TripMonth

CHECK_VERSION = 2
"""To be raised when the check becomes stricter: files that an older one let pass are then fetched and checked again."""

_DIGITS_TO_ZERO = bytes.maketrans(b"123456789", b"000000000")
MOST_COLUMNS = 1_000
"""Columns that a file may have; published files have about twenty."""
_REMEMBERED = 4 << 20
"""Bytes of shapes that are remembered at most. A real month has a few thousand shapes of 100 bytes."""
_NO_TIMES_OF_DAY = tuple(re.compile(text).search for text in (rb" 24:", rb":60"))
"""Two searches for a literal each: `in` takes 1.5 to 2 times as long here, one search for both 4 times."""
_BOM = b"\xef\xbb\xbf"
_EXPECTED = {
    Kind.TIME: "a time in the form YYYY-MM-DD HH:MM:SS",
    Kind.INTEGER: "an integer",
    Kind.CODE: "an integer",
    Kind.NUMBER: "a number",
}


@dataclass(frozen=True)
class Checked:
    """What the check of a good file found."""

    sha256: str
    size: int
    rows: int
    uncompressed_size: int
    header: tuple[str, ...]


class FileCheck:
    """Takes a gzipped CSV as it arrives, piece by piece, and raises BadFile as soon as something is wrong with it.

    Memory does not grow with the file. After an error the object is of no more use.
    """

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
        """Whether the gzip data has come to its end."""
        return self._gunzip.is_complete

    def feed(self, data: bytes) -> None:
        """Check the next bytes of the gzip file."""
        self.size += len(data)
        self._sha256.update(data)
        for piece in self._gunzip.feed(data):
            self._uncompressed += len(piece)
            self._take(piece)

    def finish(self) -> Checked:
        """What was found, when that was the whole file. Raises BadFile when it is cut or has no header."""
        self._gunzip.finish()
        if self._rest:
            self._take(line_end(self._lines.header_line) if self._lines else b"\n")
        if self._lines is None:
            raise BadFile("the file has no header, its gzip data hold no text", MEND, filename=self._month.gz_name)
        return Checked(
            self._sha256.hexdigest(), self.size, self._lines.rows, self._uncompressed, self._lines.header.names
        )

    def _take(self, piece: bytes) -> None:
        end = piece.rfind(b"\n") + 1
        if not end:
            self._rest += piece
            if len(self._rest) > LONGEST_LINE:
                line = 1 if self._lines is None else self._lines.rows + 2
                what = f"a line of more than {LONGEST_LINE:,} bytes"
                raise BadFile(what, MEND, filename=self._month.gz_name, line=line)
            return
        block = self._rest + piece[:end]
        self._rest = piece[end:]
        if self._lines is None:
            header, _, block = block.partition(b"\n")
            self._lines = _Lines(self._month, header + b"\n")
        if block:
            self._lines.check(block)


class Header:
    """A file's header: its names and the pattern that every line must match. Raises BadFile for one that is no use."""

    def __init__(self, month: TripMonth, line: bytes) -> None:
        self._filename = month.gz_name
        self.is_crlf = line_end(line) == b"\r\n"
        self.names = self._names(line.removeprefix(_BOM).removesuffix(b"\n").removesuffix(b"\r"))
        self._demand_usable(month)
        columns = columns_of(month.colour, self.names)
        self.kinds = tuple(column.kind if column else Kind.TEXT for column in columns)
        end = "\r" if self.is_crlf else ""
        self.pattern = re.compile((",".join(kind.pattern for kind in self.kinds) + end).encode())

    def _names(self, line: bytes) -> tuple[str, ...]:
        count = line.count(b",") + 1
        if count > MOST_COLUMNS:
            raise self._bad(f"the header has {count:,} columns, more than {MOST_COLUMNS:,}")
        odd = re.search(rb'["\0\r]', line)
        if odd:
            raise self._bad(f"the header has {_ODD[odd[0]]} in it: {_shown(line)}")
        try:
            return tuple(line.decode().split(","))
        except UnicodeDecodeError:
            raise self._bad(f"the header is not UTF-8: {_shown(line)}") from None

    def _demand_usable(self, month: TripMonth) -> None:
        folded = Counter(name.lower() for name in self.names)
        required = month.colour.required_columns
        missing = [column.name for column in required if column.folded_name not in folded]
        if len(missing) == len(required):
            raise self._bad(
                f"a {month.colour.name} file's header belongs here: {_shown(','.join(self.names).encode())}"
            )
        if missing:
            raise self._bad(f"the header lacks {', '.join(missing)}", missing[0])
        if "" in folded:
            raise self._bad(f"the header's column {self.names.index('') + 1} has no name")
        repeated = [name for name, count in folded.items() if count > 1]
        if repeated:
            raise self._bad(f"the header has {', '.join(repeated)} more than once", repeated[0])

    def _bad(self, what: str, column: str | None = None) -> BadFile:
        return BadFile(what, MEND, filename=self._filename, line=1, column=column)


class _Lines:
    """The lines behind the header: counts them and holds them against the header's pattern."""

    def __init__(self, month: TripMonth, header_line: bytes) -> None:
        self.header_line = header_line
        self.header = Header(month, header_line)
        self.rows = 0
        self._filename = month.gz_name
        self._known: set[bytes] = set()
        self._known_size = 0

    def check(self, block: bytes) -> None:
        """Check a block of whole lines."""
        lines = block.translate(_DIGITS_TO_ZERO).split(b"\n")
        lines.pop()
        shapes = set(lines) - self._known
        if not all(map(self.header.pattern.fullmatch, shapes)):
            raise self._first_bad(block)
        if any(search(block) for search in _NO_TIMES_OF_DAY):
            self._demand_times_of_day(block)
        if not block.isascii():
            self._demand_utf8(block)
        self.rows += len(lines)
        self._remember(shapes)

    def _remember(self, shapes: set[bytes]) -> None:
        self._known_size += sum(map(len, shapes))
        if self._known_size > _REMEMBERED:
            self._known.clear()
            self._known_size = 0
        else:
            self._known |= shapes

    def _demand_times_of_day(self, block: bytes) -> None:
        """Postgres takes 24:00:00 and 23:59:60 for times of the next day. Other impossible ones it refuses itself."""
        for index, line in enumerate(block.split(b"\n")):
            for name, kind, value in zip(self.header.names, self.header.kinds, line.split(b","), strict=False):
                if kind is Kind.TIME and re.search(rb" 24:|:60", value):
                    raise self._bad(f"{_shown(value)} is no time of the day", index, name)

    def _demand_utf8(self, block: bytes) -> None:
        try:
            block.decode()
        except UnicodeDecodeError as error:
            before = block[: error.start]
            column = self.header.names[before[before.rfind(b"\n") + 1 :].count(b",")]
            raise self._bad("bytes that are not UTF-8", before.count(b"\n"), column) from None

    def _first_bad(self, block: bytes) -> BadFile:
        for index, line in enumerate(block.split(b"\n")):
            if not self.header.pattern.fullmatch(line):
                return self._bad(*self._explain(line, index))
        raise AssertionError("a shape is refused and none of its lines")

    def _explain(self, line: bytes, index: int) -> tuple[str, int, str | None]:
        fields = line.removesuffix(b"\r").split(b",")
        for name, value in zip(self.header.names, fields, strict=False):
            odd = re.search(rb'["\0\r]', value)
            if odd:
                return f"{_ODD[odd[0]]} in {_shown(value)}", index, name
        if not line.strip():
            return "an empty line", index, None
        if len(fields) != len(self.header.names):
            many = "few" if len(fields) < len(self.header.names) else "many"
            return f"too {many} fields: {len(fields)} where the header has {len(self.header.names)}", index, None
        if line.endswith(b"\r") != self.header.is_crlf:
            ends = ("CRLF", "LF") if line.endswith(b"\r") else ("LF", "CRLF")
            return "the line ends in {} and the header in {}".format(*ends), index, None
        for name, kind, value in zip(self.header.names, self.header.kinds, fields, strict=True):
            if not re.fullmatch(kind.pattern.encode(), value):
                return f"{_shown(value)} where {_EXPECTED[kind]} belongs", index, name
        raise AssertionError("a line is refused and none of its fields")

    def _bad(self, what: str, index: int, column: str | None) -> BadFile:
        return BadFile(what, MEND, filename=self._filename, line=self.rows + 2 + index, column=column)


_ODD = {b'"': "a quote", b"\0": "a NUL byte", b"\r": "a carriage return"}


def _shown(value: bytes) -> str:
    text = value.decode("utf-8", "replace")
    return repr(text if len(text) <= 80 else text[:80] + "…")
