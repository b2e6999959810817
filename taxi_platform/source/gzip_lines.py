"""Reading of gzip files as blocks of whole lines, with constant memory. `csv_validation` validates the lines."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

from zlib_ng import zlib_ng as zlib

from taxi_platform.errors import BadFile
from taxi_platform.trips.columns import COLOURS

BLOCK = 1 << 20
"""Maximum bytes of text that are decompressed at once, whatever the compression ratio."""
_READ = 1 << 17
"""Bytes of a gzip file that are read at once: they decompress to about one block. Twice as much took twice the time."""
LONGEST_LINE = 1 << 20
"""Maximum bytes of a line; a published line has about a hundred."""
REMEDY = "Materialize raw_csv again when the mirror has published a corrected file."

_LONGEST_QUOTE = 80
_GZIP = b"\x1f\x8b"
_HEAD = 1 << 16


class Gunzip:
    """Incremental decompression of a gzip file. The library verifies the CRC and length at the end of each member."""

    def __init__(self, filename: str, piece: int = BLOCK) -> None:
        """`filename` is named in errors, `piece` is the maximum size of a piece of text in bytes."""
        self._filename = filename
        self._piece = piece
        self._member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        self._ended = 0
        self._head = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the text of the file's next bytes in pieces.

        Raise BadFile if they are not gzip data, are damaged, or follow the end of the gzip data.
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
        """Whether the gzip data ends here."""
        return self._member.eof

    def finish(self) -> None:
        """Raise BadFile if the file ends before its gzip data."""
        if self.is_complete:
            return
        if not self._head:
            raise self._bad("the file is empty.")
        if not _GZIP.startswith(self._head[:2]):
            raise self._bad(f"not a gzip file but {describe(self._head)}.")
        raise self._bad("the gzip data is truncated.")

    def _reason(self, error: str) -> str:
        if not self._head.startswith(_GZIP):
            return f"not a gzip file but {describe(self._head)}."
        if self._ended and "header" in error:
            return "other data follows the end of the gzip data."
        if "data check" in error:
            return "the gzip data is damaged: its CRC does not match."
        if "length check" in error:
            return "the gzip data is damaged: its length does not match."
        return "the gzip data is damaged."

    def _bad(self, what: str) -> BadFile:
        return BadFile(what, REMEDY, filename=self._filename)


def describe(head: bytes) -> str:
    """Return what a file of another format seems to be, from its first bytes."""
    for magic, name in _KNOWN.items():
        if head.startswith(magic):
            return name
    text = head.decode("utf-8", "replace").lstrip("\ufeff").strip()
    if re.match(r"<!doctype html|<html", text, re.IGNORECASE):
        title = re.search(r"<title[^<>]*>([^<]*)</title>", text, re.IGNORECASE)
        return f"an HTML page: {_quote_words(title[1] if title else re.sub(r'<[^<>]*>', ' ', text))}"
    if _has_known_columns(text.split("\n", 1)[0]):
        return "an uncompressed CSV"
    if b"\0" in head or "\ufffd" in text[:1000]:
        return f"data that begins with the bytes {head[:8].hex(' ')}"
    return f"text: {_quote_words(text)}" if text else f"{len(head)} bytes of white space"


_KNOWN = {
    b"version https://git-lfs.github.com/spec/": "a Git LFS pointer file",
    b"PK\x03\x04": "a ZIP archive",
    b"PAR1": "a Parquet file",
}


def _quote_words(text: str) -> str:
    return quote(" ".join(text.split()))


def _has_known_columns(line: str) -> bool:
    names = {name.strip('"\r').lower() for name in line.split(",")}
    return any(column.folded_name in names for colour in COLOURS.values() for column in colour.columns)


def quote(text: str) -> str:
    """Return the text in quotes for a message: shortened, with control characters escaped."""
    return json.dumps(text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "…", ensure_ascii=False)


def read_blocks(path: Path, size: int = BLOCK, read: "hashlib._Hash | None" = None) -> Iterator[bytes]:
    """Yield the lines of a gzipped CSV after its header, in blocks of whole lines of about `size` bytes.

    Every block ends with a line end, even if the file does not. No block is empty; a file with only a header has none.
    `read` is updated with the bytes of the gzip file. Raise BadFile if the file is damaged.
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
    """Return the line end that a file uses, from its header's line."""
    return b"\r\n" if header.endswith(b"\r\n") else b"\n"
