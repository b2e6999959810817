"""Start and stop the two emulators: gcp-storage-emulator for the bucket, bqemulator for BigQuery.

Each is a process of its own, which ends with the process that started it, even if that is killed. Objects are
stored in a folder, tables in memory.
"""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from taxi_platform.errors import BadSetting, GoogleUnavailable
from taxi_platform.local.emulators.external_tables import ExternalTables
from taxi_platform.local.ports import free_port

START_SECONDS = 120

# Nothing is written to the process's standard input: it is closed when the starter ends.
_LAUNCH = """
import os, runpy, sys, threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
module, sys.argv = sys.argv[1], sys.argv[1:]
if module == "bqemulator":
    # It would download DuckDB's extension, which is installed as a package.
    import duckdb_extensions
    duckdb_extensions.import_extension("spatial")
    # It would let DuckDB guess the quote character, and a file with two apostrophes would lose the rows between them.
    from bqemulator.jobs import executor
    csv = "COPY {} FROM ? (FORMAT CSV, HEADER, DELIMITER ',', QUOTE '\\"', ESCAPE '\\"')"
    executor._LOAD_FORMAT_HANDLERS["CSV"] = lambda path, table, app: app.engine.execute(csv.format(table), [path])
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


@dataclass(frozen=True)
class Emulators:
    """Addresses of the emulators."""

    storage_url: str
    bigquery_url: str

    @property
    def environment(self) -> dict[str, str]:
        """Return Google's own variables, for a process that uses the emulators."""
        return {"STORAGE_EMULATOR_HOST": self.storage_url, "BIGQUERY_EMULATOR_HOST": self.bigquery_url}


@contextmanager
def running(
    folder: Path, host: str = "127.0.0.1", storage_port: int | None = None, bigquery_port: int | None = None
) -> Iterator[Emulators]:
    """Run both emulators until the block ends, on free ports by default; yield their addresses on this machine.

    Logs, objects and DuckDB's extension are stored in `folder`.
    """
    missing = [name for name in ("bqemulator", "gcp_storage_emulator", "duckdb_extensions") if find_spec(name) is None]
    if missing:
        raise BadSetting(
            f"The emulators are not installed: {', '.join(missing)} not found.",
            "Install them: pip install '.[emulators]'",
        )
    objects, home = folder.absolute() / "objects", folder.absolute() / "home"
    for each in (objects, home):
        each.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        storage, bigquery, grpc = storage_port or free_port(), free_port(), free_port()
        stack.enter_context(
            _process(
                folder / "storage.log",
                ["gcp_storage_emulator", "-d", str(objects), "start", "--host", host, "--port", f"{storage}"],
                f"http://127.0.0.1:{storage}/storage/v1/b?project=p",
                {},
            )
        )
        stack.enter_context(
            _process(
                folder / "bigquery.log",
                ["bqemulator", "start", "--rest-port", f"{bigquery}", "--grpc-port", f"{grpc}"],
                f"http://127.0.0.1:{bigquery}/readyz",
                {
                    # The folder of the storage emulator's buckets.
                    "BQEMU_GCS_LOCAL_ROOT": str(objects / ".cloudstorage"),
                    "BQEMU_ENABLE_FORMAT_EXTENSIONS": "false",
                    # DuckDB installs extensions in the home directory; the user's own is not changed.
                    "HOME": str(home),
                },
            )
        )
        layer = ExternalTables(bigquery, host, bigquery_port or 0)
        stack.callback(layer.stop)
        yield Emulators(f"http://127.0.0.1:{storage}", layer.url)


@contextmanager
def _process(log: Path, arguments: list[str], ready_url: str, variables: Mapping[str, str]) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCH, *arguments],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **variables},
        )
    try:
        _wait(process, ready_url, log)
        yield
    finally:
        if process.stdin:
            process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen, url: str, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while not _responds(url):
        if process.poll() is not None or time.monotonic() > end:
            raise GoogleUnavailable(
                f"An emulator did not start; the end of its log {log}:\n{log.read_text('utf-8', 'replace')[-1000:]}",
                "Its port may be in use by another program.",
            )
        time.sleep(0.1)


def _responds(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
