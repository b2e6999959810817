"""A mirror over HTTP that behaves well: it serves a folder with ETag, Last-Modified and ranges.

Not here: a mirror that breaks off, is slow or lies; that is `support.faulty_server`.
"""

import email.utils
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True)
class Request:
    """A request that the mirror got."""

    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    status: int


@dataclass
class HttpMirror:
    """A folder behind a URL. What it tells of a file may be changed while it runs."""

    folder: Path
    etag: bool = True
    last_modified: bool = True
    ranges: bool = True
    requests: list[Request] = field(default_factory=list)
    url: str = ""
    """Without a slash at the end."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, mirror: HttpMirror, *rest: object) -> None:
        self.mirror = mirror
        super().__init__(*rest)  # pyright: ignore[reportArgumentType]

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: tests look at `HttpMirror.requests`."""

    def _answer(self, *, with_body: bool) -> None:
        file = self.mirror.folder / unquote(urlsplit(self.path).path).lstrip("/")
        if not file.is_file() or not file.resolve().is_relative_to(self.mirror.folder.resolve()):
            self._head(HTTPStatus.NOT_FOUND, {"Content-Length": "0"})
            return
        told = self._told_of(file)
        if self._unchanged(told):
            self._head(HTTPStatus.NOT_MODIFIED, told)
            return
        size = file.stat().st_size
        start, end = self._range(size, told)
        if start >= size > 0:
            self._head(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, {"Content-Range": f"bytes */{size}"})
            return
        headers = {**told, "Content-Length": str(end - start), "Content-Type": "application/gzip"}
        if self.mirror.ranges:
            headers["Accept-Ranges"] = "bytes"
        if (start, end) == (0, size):
            self._head(HTTPStatus.OK, headers)
        else:
            self._head(HTTPStatus.PARTIAL_CONTENT, {**headers, "Content-Range": f"bytes {start}-{end - 1}/{size}"})
        if with_body:
            with file.open("rb") as content:
                content.seek(start)
                self.wfile.write(content.read(end - start))

    def _told_of(self, file: Path) -> dict[str, str]:
        status = file.stat()
        told = {}
        if self.mirror.etag:
            told["ETag"] = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
        if self.mirror.last_modified:
            told["Last-Modified"] = email.utils.formatdate(status.st_mtime, usegmt=True)
        return told

    def _unchanged(self, told: dict[str, str]) -> bool:
        asked = self.headers.get("If-None-Match")
        if asked is not None:
            return asked == told.get("ETag")
        asked = self.headers.get("If-Modified-Since")
        return asked is not None and asked == told.get("Last-Modified")

    def _range(self, size: int, told: dict[str, str]) -> tuple[int, int]:
        """The first byte to send and the one after the last; all of them unless a range is asked for and allowed."""
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        unless_changed = self.headers.get("If-Range")
        if not asked or not self.mirror.ranges or unless_changed not in {None, *told.values()}:
            return 0, size
        return int(asked[1]), min(int(asked[2]) + 1, size) if asked[2] else size

    def _head(self, status: HTTPStatus, headers: dict[str, str]) -> None:
        received = {name.lower(): value for name, value in self.headers.items()}
        self.mirror.requests.append(Request(self.command, self.path, received, status))
        self.send_response(status)
        headers.setdefault("Content-Length", "0")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


@contextmanager
def serve(folder: Path) -> Iterator[HttpMirror]:
    """Serves the folder on a free port of this machine until the block ends."""
    mirror = HttpMirror(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, mirror))
    mirror.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield mirror
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
