"""A proxy of an emulator that responds to some requests itself, with errors in Google's format."""

import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from typing import Any
from urllib.parse import urlsplit

from taxi_platform_tests.support.waiting import PATIENCE


@dataclass(frozen=True)
class Request:
    """A request that the proxy received."""

    method: str
    path: str
    body: bytes
    headers: dict[str, str]
    """Names in lower case."""

    @property
    def statement(self) -> str:
        """The SQL text of a query, empty for other requests."""
        if not self.path.partition("?")[0].endswith(("/jobs", "/queries")) or not self.body:
            return ""
        return self.query.get("query", "")

    @property
    def query(self) -> dict[str, Any]:
        """The query of a job, or of a request that runs a query without creating a job."""
        body = json.loads(self.body)
        return body["configuration"].get("query", {}) if "configuration" in body else body


Response = tuple[int, dict[str, Any]]
Rule = Callable[[Request], Response | None]


@dataclass
class UnreliableGoogle:
    """The requests so far, and the rules for requests that the proxy responds to itself."""

    requests: list[Request] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    url: str = ""
    responses_to_lose: int = 0
    """Number of requests that are passed on, and whose connection is then closed without the response."""
    _idle: Condition = field(default_factory=Condition)
    _under_way: int = 0

    @property
    def statements(self) -> list[str]:
        return [request.statement for request in self.requests if request.statement]

    def fail(self, times: int, response: Response, when: Callable[[Request], bool] = lambda request: True) -> None:
        """Respond to the next `times` matching requests with this."""
        left = [response] * times
        self.rules.append(lambda request: left.pop() if left and when(request) else None)

    @contextmanager
    def handling(self) -> Iterator[None]:
        """Count a request as under way during the block."""
        with self._idle:
            self._under_way += 1
        try:
            yield
        finally:
            with self._idle:
                self._under_way -= 1
                self._idle.notify_all()

    def wait_until_idle(self) -> None:
        """Wait for the end of the requests that are under way, also those of clients that were killed."""
        with self._idle:
            self._idle.wait_for(lambda: self._under_way == 0)


def error(status: int, reason: str, message: str = "made up by the test") -> Response:
    """Return a response in Google's error format."""
    failure = {
        "code": status,
        "message": message,
        "errors": [{"reason": reason, "message": message, "domain": "global"}],
    }
    return status, {"error": failure}


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing: clients are killed on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def __init__(self, google: UnreliableGoogle, behind: str, *rest: object) -> None:
        self.google, self.behind = google, behind
        super().__init__(*rest)  # pyright: ignore[reportArgumentType]

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        request = Request(self.command, self.path, body, {name.lower(): value for name, value in self.headers.items()})
        self.google.requests.append(request)
        with self.google.handling():
            self._respond(request)

    def _respond(self, request: Request) -> None:
        for rule in self.google.rules:
            response = rule(request)
            if response is not None:
                self._send(response[0], {"content-type": "application/json"}, json.dumps(response[1]).encode())
                return
        self._pass_on(request)

    def do_POST(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        self.do_GET()

    def do_PATCH(self) -> None:
        self.do_GET()

    def do_DELETE(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: tests read `requests`."""

    def _pass_on(self, request: Request) -> None:
        connection = http.client.HTTPConnection(urlsplit(self.behind).netloc, timeout=PATIENCE)
        headers = {
            name: value
            for name, value in request.headers.items()
            if name not in ("host", "connection", "accept-encoding")
        }
        connection.request(request.method, request.path, request.body, headers)
        response = connection.getresponse()
        content = response.read()
        received = {name.lower(): value for name, value in response.getheaders()}
        if "location" in received:
            # A resumable upload continues at this address.
            received["location"] = received["location"].replace(self.behind, self.google.url)
        connection.close()
        if self.google.responses_to_lose > 0:
            self.google.responses_to_lose -= 1
            self.close_connection = True
            return
        self._send(response.status, received, content)

    def _send(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def in_front_of(behind: str) -> Iterator[UnreliableGoogle]:
    """Listen on a port and pass requests on to the emulator at the address `behind`."""
    google = UnreliableGoogle()
    server = _Server(("127.0.0.1", 0), partial(_Handler, google, behind))
    server.daemon_threads = True
    google.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield google
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
