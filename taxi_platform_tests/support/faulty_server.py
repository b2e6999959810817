"""An HTTP server that publishes files, with faults on demand. `http_mirror` is one without faults."""

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Fault:
    """Faults in the response to one request; what is not set is correct."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    cut_after: int | None = None
    """Bytes of the body after which the connection is closed."""
    stall_after: int | None = None
    """Bytes of the body after which nothing is sent until the server stops."""
    dribble_after: int | None = None
    """Bytes of the body after which single bytes are sent with pauses."""
    content_range: str | None = None
    length: int | None = None
    """Declared length in place of the true one."""
    etag: str | None = None
    ignores_if_range: bool = False


GOOD = Fault()


class FaultyServer:
    """A server of `files`, by path. Each request takes the first of `faults`; without one the response is correct."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.has_etags = True
        self.has_ranges = True
        self.declares_length = True
        self.last_modified: str | None = None
        self.missing_status = 404
        self.redirect_query: str | None = None
        """If set, every file redirects to another host name with this query."""
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.plan = self
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def publish(self, path: str, content: bytes) -> None:
        self.files[f"/{path}"] = content

    def headers_seen(self, name: str) -> list[str | None]:
        """Return the value of a header in each request, in order."""
        return [headers.get(name) for _, headers in self.requests]

    @contextmanager
    def running(self) -> Iterator["FaultyServer"]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            self.stopping.set()
            self._server.shutdown()
            thread.join()
            self._server.server_close()


class _Server(ThreadingHTTPServer):
    plan: FaultyServer

    def handle_error(self, request, client_address) -> None:  # clients disconnect on purpose
        pass


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._respond(405, {"Content-Length": "0"}, b"", GOOD)

    def do_GET(self) -> None:
        plan = self.server.plan
        path, _, query = self.path.partition("?")
        if plan.redirect_query and not query:
            target = f"http://localhost:{plan.port}{path}?{plan.redirect_query}"
            self._respond(302, {"Location": target, "ETag": '"of the redirect"', "Content-Length": "0"}, b"", GOOD)
            return
        with plan.lock:
            plan.requests.append((path, dict(self.headers)))
            fault = plan.faults.pop(0) if plan.faults else GOOD
        if fault.status:
            body = fault.body or b""
            self._respond(fault.status, {"Content-Length": str(len(body)), **fault.headers}, body, fault)
        elif path not in plan.files:
            self._respond(plan.missing_status, {"Content-Length": "0"}, b"", fault)
        else:
            self._publish(fault.body or plan.files[path], fault)

    def _publish(self, content: bytes, fault: Fault) -> None:
        plan = self.server.plan
        headers: dict[str, str] = {}
        if plan.has_etags:
            headers["ETag"] = fault.etag or f'"{hashlib.md5(content).hexdigest()}"'
        if plan.last_modified:
            headers["Last-Modified"] = plan.last_modified
        named = (headers.get("ETag"), headers.get("Last-Modified"))
        if self.headers.get("If-None-Match", "?") == named[0] or self.headers.get("If-Modified-Since", "?") == named[1]:
            self._respond(304, headers, b"", fault)
            return
        status, body = 200, content
        requested = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if requested and plan.has_ranges and (fault.ignores_if_range or self.headers.get("If-Range") in named):
            start = int(requested[1])
            status, body = 206, content[start:]
            whole = f"bytes {start}-{len(content) - 1}/{len(content)}"
            headers["Content-Range"] = fault.content_range or whole
        if plan.declares_length:
            headers["Content-Length"] = str(fault.length or len(body))
        self._respond(status, headers, body, fault)

    def _respond(self, status: int, headers: dict[str, str], body: bytes, fault: Fault) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.close_connection = True
        self.end_headers()
        if fault.cut_after is not None:
            self.wfile.write(body[: fault.cut_after])
            self.close_connection = True
        elif fault.stall_after is not None:
            self.wfile.write(body[: fault.stall_after])
            self.server.plan.stopping.wait()
            self.close_connection = True
        elif fault.dribble_after is not None:
            self.wfile.write(body[: fault.dribble_after])
            for byte in body[fault.dribble_after :]:
                if self.server.plan.stopping.wait(0.02):
                    break
                self.wfile.write(bytes([byte]))
            self.close_connection = True
        else:
            self.wfile.write(body)
            self.close_connection = self.close_connection or fault.length is not None
