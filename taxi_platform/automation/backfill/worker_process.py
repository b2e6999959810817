"""The runner's end of a backfill worker: a process that is given one month after another."""

import contextlib
import json
import subprocess
import sys
import tempfile

from taxi_platform.automation.backfill.worker import Task
from taxi_platform.redaction import without_secrets


class WorkerEnded(Exception):
    """A worker ended while it loaded a month. `killed`: by a signal, so that another attempt may succeed."""

    def __init__(self, status: int, last_line: str) -> None:
        self.killed = status < 0
        details = f": {without_secrets(last_line)}" if last_line and not self.killed else ""
        super().__init__(f"the worker process ended with status {status}{details}")


class WorkerProcess:
    """A worker that loads one month at a time."""

    def __init__(self, definitions: str) -> None:
        # A file: a pipe that nobody reads would fill up.
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "taxi_platform.automation.backfill.worker", definitions],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            # A terminal's Ctrl-C reaches only the runner, which interrupts the workers.
            start_new_session=True,
        )

    def load(self, task: Task) -> str | None:
        """Load a month. Return its error, None if it is loaded; raise WorkerEnded if the process ended meanwhile."""
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(json.dumps(task) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            answer = ""
        else:
            answer = self._process.stdout.readline()
        if answer:
            return json.loads(answer)["error"]
        status = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        raise WorkerEnded(status, lines[-1] if lines else "")

    def interrupt(self, signal: int) -> None:
        """Send the signal to the process, if it runs."""
        self._process.send_signal(signal)

    def close(self, timeout: float) -> None:
        """End the process: at once if it is idle, after its month or the timeout if not."""
        for stream in (self._process.stdin, self._process.stdout):
            assert stream
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()
