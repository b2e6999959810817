"""A correct HTTP mirror: it serves a folder with ETag, Last-Modified and ranges. `faulty_server` has faults."""

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
    """A request that the mirror received."""

    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    status: int


@dataclass
class HttpMirror:
    """A folder served at a URL. The headers that it sends may be changed while it runs."""

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
        self._respond(with_body=True)

    def do_HEAD(self) -> None:
        self._respond(with_body=False)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: tests read `HttpMirror.requests`."""

    def _respond(self, *, with_body: bool) -> None:
        file = self.mirror.folder / unquote(urlsplit(self.path).path).lstrip("/")
        if not file.is_file() or not file.resolve().is_relative_to(self.mirror.folder.resolve()):
            self._head(HTTPStatus.NOT_FOUND, {"Content-Length": "0"})
            return
        version = self._version_of(file)
        if self._is_unchanged(version):
            self._head(HTTPStatus.NOT_MODIFIED, version)
            return
        size = file.stat().st_size
        start, end = self._range(size, version)
        if start >= size > 0:
            self._head(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, {"Content-Range": f"bytes */{size}"})
            return
        headers = {**version, "Content-Length": str(end - start), "Content-Type": "application/gzip"}
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

    def _version_of(self, file: Path) -> dict[str, str]:
        status = file.stat()
        version = {}
        if self.mirror.etag:
            version["ETag"] = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
        if self.mirror.last_modified:
            version["Last-Modified"] = email.utils.formatdate(status.st_mtime, usegmt=True)
        return version

    def _is_unchanged(self, version: dict[str, str]) -> bool:
        known = self.headers.get("If-None-Match")
        if known is not None:
            return known == version.get("ETag")
        known = self.headers.get("If-Modified-Since")
        return known is not None and known == version.get("Last-Modified")

    def _range(self, size: int, version: dict[str, str]) -> tuple[int, int]:
        """Return the first byte to send and the one after the last: the whole file without a valid range."""
        requested = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        unless_changed = self.headers.get("If-Range")
        if not requested or not self.mirror.ranges or unless_changed not in {None, *version.values()}:
            return 0, size
        return int(requested[1]), min(int(requested[2]) + 1, size) if requested[2] else size

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
    """Serve the folder on a free local port until the block ends."""
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
