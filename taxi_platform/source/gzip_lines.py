"""Gzip files as blocks of whole lines, in memory that does not grow with the file.

Not here: what the lines must look like (`file_check`).
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from zlib_ng import zlib_ng as zlib

from taxi_platform.errors import BadFile
from taxi_platform.trips.columns import COLOURS

BLOCK = 1 << 20
"""Bytes of text that are decompressed at once, whatever the compression."""
_READ = 1 << 17
"""Bytes of a gzip file that are read at once: about what becomes one piece. Twice as much took twice the time."""
LONGEST_LINE = 1 << 20
"""Bytes; a real line has about a hundred."""
MEND = "A rerun does not help until the mirror has a sound file; then run raw_csv again, it fetches what changed."

_GZIP = b"\x1f\x8b"
_HEAD = 1 << 16


class Gunzip:
    """Decompresses a file piece by piece. The library compares each member's CRC and length when the member ends."""

    def __init__(self, filename: str, piece: int = BLOCK) -> None:
        """`filename` is for the errors; a piece of text has `piece` bytes at most."""
        self._filename = filename
        self._piece = piece
        self._member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        self._ended = 0
        self._head = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The text of the next bytes of the file, in its pieces.

        Raises BadFile when they are not gzip, are damaged, or stand behind the end of the gzip data.
        """
        self._head += data[: _HEAD - len(self._head)]
        while data:
            if self._member.eof:
                self._ended += 1
                self._member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            try:
                piece = self._member.decompress(data, self._piece)
            except zlib.error as error:  # pyright: ignore[reportGeneralTypeIssues]: its stub calls the class an instance
                raise self._bad(self._reason(str(error))) from None
            data = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            if piece:
                yield piece

    @property
    def is_complete(self) -> bool:
        """Whether the gzip data has come to its end."""
        return self._member.eof

    def finish(self) -> None:
        """Raise BadFile when the file ends before its gzip data does."""
        if self.is_complete:
            return
        if not self._head:
            raise self._bad("the file is empty, 0 bytes, where a gzipped CSV belongs")
        if not _GZIP.startswith(self._head[:2]):
            raise self._bad(f"not a gzip file but {describe(self._head)}")
        raise self._bad("the gzip data is cut: the file ends before they do")

    def _reason(self, error: str) -> str:
        if not self._head.startswith(_GZIP):
            return f"not a gzip file but {describe(self._head)}"
        if self._ended and "header" in error:
            return "something that is not gzip follows the end of the gzip data"
        if "data check" in error:
            return "the gzip data is damaged: the CRC at its end is another"
        if "length check" in error:
            return "the gzip data is damaged: the length at its end is another"
        return "the gzip data is damaged"

    def _bad(self, what: str) -> BadFile:
        return BadFile(what, MEND, filename=self._filename)


def describe(head: bytes) -> str:
    """What a file that should be gzip seems to be, from its first bytes."""
    for magic, name in _KNOWN.items():
        if head.startswith(magic):
            return name
    text = head.decode("utf-8", "replace").lstrip("\ufeff").strip()
    if re.match(r"<!doctype html|<html", text, re.IGNORECASE):
        title = re.search(r"<title[^<>]*>([^<]*)</title>", text, re.IGNORECASE)
        return f"an HTML page: {_short(title[1] if title else re.sub(r'<[^<>]*>', ' ', text))}"
    if _has_known_columns(text.split("\n", 1)[0]):
        return "an uncompressed CSV"
    if b"\0" in head or "\ufffd" in text[:1000]:
        return f"other data; it begins with the bytes {head[:8].hex(' ')}"
    return f"text: {_short(text)}" if text else f"{len(head)} bytes of white space"


_KNOWN = {
    b"version https://git-lfs.github.com/spec/": "a Git LFS pointer file, which stands for the file itself",
    b"PK\x03\x04": "a ZIP archive",
    b"PAR1": "a Parquet file",
}


def _has_known_columns(line: str) -> bool:
    names = {name.strip('"\r').lower() for name in line.split(",")}
    return any(column.folded_name in names for colour in COLOURS.values() for column in colour.columns)


def _short(text: str) -> str:
    words = " ".join(text.split())
    return repr(words if len(words) <= 100 else words[:100] + "…")


def read_blocks(path: Path, size: int = BLOCK, read: "hashlib._Hash | None" = None) -> Iterator[bytes]:
    """The lines of a gzipped CSV without its header, in blocks of whole lines, of `size` bytes and a line at most.

    Every block ends in a line end, also the last one of a file that does not. No block is empty; a file of a header
    alone has none. `read` takes in the bytes of the gzip file. Raises BadFile when the file is damaged.
    """
    gunzip = Gunzip(path.name, size)
    header = rest = b""
    with path.open("rb") as file:
        while data := file.read(_READ):
            if read:
                read.update(data)
            for piece in gunzip.feed(data):
                end = piece.rfind(b"\n") + 1
                block, rest = (rest + piece[:end], piece[end:]) if end else (b"", rest + piece)
                if block and not header:
                    header, _, block = block.partition(b"\n")
                    header += b"\n"
                if block:
                    yield block
    gunzip.finish()
    if header and rest:
        yield rest + line_end(header)


def line_end(header: bytes) -> bytes:
    """The line end that a file uses, from its header's line."""
    return b"\r\n" if header.endswith(b"\r\n") else b"\n"
