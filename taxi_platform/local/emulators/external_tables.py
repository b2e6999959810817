"""A proxy in front of the BigQuery emulator: external tables, and query parameters in scripts.

Differences from BigQuery:
- BigQuery reads the object whenever an external table is queried. Here it is loaded once, when the table is created
  through the API; later versions of the object are not seen. DDL (CREATE EXTERNAL TABLE) is not supported.
- Of an external table's configuration only the CSV options that load jobs have too are respected.
- BigQuery binds query parameters in scripts (several statements in one job) as in single statements. bqemulator does
  not, so the parameters of a script with a transaction are inserted into its text as literals. It must use them only as
  values.
- bqemulator responds to a failed `jobs.query` with status 200 and a list of errors; the status is 404 or 400 here.

All other requests and responses are passed on unchanged.
"""

import http.client
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_TABLES = re.compile(r"(/bigquery/v2/projects/([^/]+)/datasets/[^/]+/tables)(?:/([^/?]+))?(?:\?.*)?$")
_JOBS = re.compile(r"/bigquery/v2/projects/[^/]+/(?:jobs|queries)(?:\?.*)?$")
_QUERIES = re.compile(r"/bigquery/v2/projects/[^/]+/queries(?:\?.*)?$")
_FORWARDED = ("content-type", "accept", "user-agent", "x-upload-content-type", "if-match")


class ExternalTables(ThreadingHTTPServer):
    """The proxy's server, on a port of its own."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, emulator_port: int, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__((host, port), _Handler)
        self.emulator_port = emulator_port
        self.configurations: dict[str, Any] = {}
        """`externalDataConfiguration` of each external table, by the table's path."""
        self._changed = threading.Condition()
        self._under_way = 0
        self._creating = False
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Wait until no external table is being created, so that no request sees a table without its rows."""
        with self._changed:
            self._changed.wait_for(lambda: not self._creating)
            self._under_way += 1
        try:
            yield
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    @contextmanager
    def creating(self) -> Iterator[None]:
        """Wait for requests in progress to end, and delay all others until the block ends."""
        with self._changed:
            self._changed.wait_for(lambda: not self._creating)
            self._creating = True
            self._changed.wait_for(lambda: self._under_way == 0)
        try:
            yield
        finally:
            with self._changed:
                self._creating = False
                self._changed.notify_all()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: ExternalTables  # pyright: ignore[reportIncompatibleVariableOverride]
    protocol_version = "HTTP/1.1"
    # A response in two small packets would wait 40 ms for the client's acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        body = self._body()
        with self.server.passing():
            status, kind, content = self._request(self.command, self.path, body)
        known = self.server.configurations.get(self.path.partition("?")[0])
        if known and status == 200:
            external = {"type": "EXTERNAL", "externalDataConfiguration": known}
            content = json.dumps(json.loads(content) | external).encode()
        self._respond(status, kind, content)

    def do_POST(self) -> None:
        body = self._body()
        if _TABLES.match(self.path) and "externalDataConfiguration" in (table := json.loads(body)):
            with self.server.creating():
                created = self._create_external(table)
            self._respond(*created)
            return
        if _JOBS.match(self.path):
            body = _with_parameters(json.loads(body))
        self._forward(body)

    def do_DELETE(self) -> None:
        self.server.configurations.pop(self.path.partition("?")[0], None)
        self._forward(self._body())

    def _forward(self, body: bytes) -> None:
        with self.server.passing():
            status, kind, content = self._request(self.command, self.path, body)
        if status == 200 and _QUERIES.match(self.path) and (errors := json.loads(content).get("errors")):
            status = 404 if errors[0]["reason"] == "notFound" else 400
            failure = {"code": status, "message": errors[0]["message"], "errors": errors}
            content = json.dumps({"error": failure}).encode()
        self._respond(status, kind, content, location=self._location)

    do_PATCH = do_PUT = do_GET  # noqa: N815

    def _create_external(self, table: dict[str, Any]) -> tuple[int, str, bytes]:
        """Create a plain table and load the object into it; drop the table if that fails."""
        configuration = table.pop("externalDataConfiguration")
        uris = configuration["sourceUris"]
        if partitions := configuration.get("hivePartitioningOptions"):
            # BigQuery takes these columns from the names of the folders, and its * stands for slashes as well.
            keys = re.findall(r"\{(\w+):(\w+)\}", partitions["sourceUriPrefix"])
            table["schema"]["fields"] += [{"name": name, "type": kind} for name, kind in keys]
            uris = [re.sub(r"/\*$", "/**/*.parquet", uri) for uri in uris]
        status, kind, content = self._request("POST", self.path, json.dumps(table).encode())
        if status != 200:
            return status, kind, content
        options = configuration.get("csvOptions", {})
        load = {
            "sourceUris": uris,
            "sourceFormat": configuration["sourceFormat"],
            "skipLeadingRows": options.get("skipLeadingRows", 0),
            "fieldDelimiter": options.get("fieldDelimiter", ","),
            "schema": table["schema"],
            "destinationTable": table["tableReference"],
            "writeDisposition": "WRITE_TRUNCATE",
        }
        base, project, _ = _TABLES.match(self.path).groups()  # pyright: ignore[reportOptionalMemberAccess]
        path = f"{base}/{table['tableReference']['tableId']}"
        jobs = f"/bigquery/v2/projects/{project}/jobs"
        loaded, _, response = self._request("POST", jobs, json.dumps({"configuration": {"load": load}}).encode())
        failure = json.loads(response).get("status", {}).get("errorResult")
        if loaded != 200 or failure:
            self._request("DELETE", path, b"")
            message = f"{configuration['sourceUris']} cannot be read: {failure or response.decode()}"
            error = {"code": 400, "message": message, "errors": [{"reason": "invalid", "message": message}]}
            return 400, "application/json", json.dumps({"error": error}).encode()
        self.server.configurations[path] = configuration
        external = {"type": "EXTERNAL", "externalDataConfiguration": configuration}
        return 200, kind, json.dumps(json.loads(content) | external).encode()

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def _request(self, method: str, path: str, body: bytes) -> tuple[int, str, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.emulator_port, timeout=600)
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() in _FORWARDED}
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            # Where the content of a resumable upload goes, to the emulator itself.
            self._location = response.getheader("location")
            return response.status, response.getheader("content-type", ""), response.read()
        finally:
            connection.close()

    def _respond(self, status: int, kind: str, content: bytes, location: str | None = None) -> None:
        self.send_response(status)
        if location:
            self.send_header("location", location)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _with_parameters(job: dict[str, Any]) -> bytes:
    """Return the job, with its parameters as literals in its text if it is a script with a transaction."""
    query = job["configuration"].get("query", {}) if "configuration" in job else job
    if "BEGIN TRANSACTION" in query.get("query", ""):
        values = {each["name"]: each for each in query.pop("queryParameters", [])}
        query["query"] = re.sub(r"(?<!@)@(\w+)", lambda found: _literal(**values[found[1]]), query["query"])
    return json.dumps(job).encode()


def _literal(name: str, parameterType: dict[str, Any], parameterValue: dict[str, Any]) -> str:  # noqa: N803
    kind, value = parameterType["type"], parameterValue.get("value")
    if kind == "ARRAY":
        element = parameterType["arrayType"]
        items = [_literal(name, element, each) for each in parameterValue.get("arrayValues", [])]
        return f"CAST([{', '.join(items)}] AS ARRAY<{element['type']}>)"
    return f"CAST({json.dumps(value, ensure_ascii=False)} AS {kind})"
