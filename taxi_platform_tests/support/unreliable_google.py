"""Google with faults: a server that passes requests on to an emulator, and answers some of them itself.

It answers in Google's error format, so that the clients meet what they would meet from Google.
"""

import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Asked:
    """A request."""

    method: str
    path: str
    body: bytes
    headers: dict[str, str]
    """Names in lower case."""

    @property
    def statement(self) -> str:
        """The SQL text of a query job, else an empty text."""
        if not self.path.partition("?")[0].endswith(("/jobs", "/queries")) or not self.body:
            return ""
        return self.job.get("query", {}).get("query", "")

    @property
    def job(self) -> dict[str, Any]:
        """The configuration of a job."""
        return json.loads(self.body).get("configuration", {})


Answer = tuple[int, dict[str, Any]]
Rule = Callable[[Asked], Answer | None]


@dataclass
class UnreliableGoogle:
    """What was asked, and the rules that say which requests are not passed on."""

    requests: list[Asked] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    url: str = ""

    @property
    def statements(self) -> list[str]:
        return [asked.statement for asked in self.requests if asked.statement]

    def fail(self, times: int, answer: Answer, when: Callable[[Asked], bool] = lambda asked: True) -> None:
        """Answers so many of the matching requests with this, and then no more."""
        left = [answer] * times
        self.rules.append(lambda asked: left.pop() if left and when(asked) else None)


def error(status: int, reason: str, message: str = "said by the test") -> Answer:
    """An answer in Google's error format."""
    told = {"code": status, "message": message, "errors": [{"reason": reason, "message": message, "domain": "global"}]}
    return status, {"error": told}


def failed_job(reason: str, message: str) -> Answer:
    """A job that was accepted and failed, as BigQuery tells it."""
    fault = {"reason": reason, "message": message}
    return 200, {
        "kind": "bigquery#job",
        "jobReference": {"projectId": "test-project", "jobId": "failed", "location": "us-central1"},
        "configuration": {"jobType": "QUERY", "query": {"query": "?"}},
        "status": {"state": "DONE", "errorResult": fault, "errors": [fault]},
        "statistics": {},
    }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def __init__(self, google: UnreliableGoogle, behind: str, *rest: object) -> None:
        self.google, self.behind = google, behind
        super().__init__(*rest)  # pyright: ignore[reportArgumentType]

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        asked = Asked(self.command, self.path, body, {name.lower(): value for name, value in self.headers.items()})
        self.google.requests.append(asked)
        for rule in self.google.rules:
            answer = rule(asked)
            if answer is not None:
                self._send(answer[0], {"content-type": "application/json"}, json.dumps(answer[1]).encode())
                return
        self._pass_on(asked)

    def do_POST(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        self.do_GET()

    def do_PATCH(self) -> None:
        self.do_GET()

    def do_DELETE(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: tests look at `requests`."""

    def _pass_on(self, asked: Asked) -> None:
        connection = http.client.HTTPConnection(urlsplit(self.behind).netloc, timeout=60)
        headers = {
            name: value
            for name, value in asked.headers.items()
            if name not in ("host", "connection", "accept-encoding")
        }
        connection.request(asked.method, asked.path, asked.body, headers)
        response = connection.getresponse()
        content = response.read()
        told = {name.lower(): value for name, value in response.getheaders()}
        if "location" in told:
            # A resumable upload goes on at this address.
            told["location"] = told["location"].replace(self.behind, self.google.url)
        connection.close()
        self._send(response.status, told, content)

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
    """Listens on a port of its own and passes requests on to the emulator at that address."""
    google = UnreliableGoogle()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, google, behind))
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
