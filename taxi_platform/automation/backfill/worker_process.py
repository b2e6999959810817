"""The runner's end of a backfill worker: a process that is given one month after another."""

import gc
import multiprocessing
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import cast

import psutil

from taxi_platform.automation.backfill import worker
from taxi_platform.automation.backfill.worker import Result, Task


class WorkerEnded(Exception):
    """A worker ended while it loaded a month. `killed`: by a signal, so that another attempt may succeed."""

    def __init__(self, status: int, reason: str) -> None:
        self.killed = status < 0
        super().__init__(f"the worker process ended with status {status}{f': {reason}' if reason else ''}")


def prepare_to_fork(definitions: str) -> None:
    """Import the definitions, so that workers that are forked from this process need not do it.

    Garbage collection is off meanwhile, and what was imported is left out of it afterwards.
    """
    gc.disable()
    with suppress(Exception):  # a worker reports it
        import_module(definitions).defs.get_repository_def()
    gc.freeze()
    gc.enable()


def _can_be_forked() -> bool:
    """Return whether this process can be forked: on Linux, and if it has no other threads."""
    return sys.platform == "linux" and psutil.Process().num_threads() == 1


class WorkerProcess:
    """A worker that loads one month at a time. `others` are the workers that were started before."""

    def __init__(self, definitions: str, others: "Sequence[WorkerProcess]" = ()) -> None:
        forks = _can_be_forked()
        context = multiprocessing.get_context("fork") if forks else multiprocessing.get_context("spawn")
        self._tasks, tasks = context.Pipe()
        inherited = [other._tasks for other in (*others, self)] if forks else []
        self.process = context.Process(target=worker.main, args=(definitions, tasks, inherited))
        self.process.start()
        tasks.close()

    def load(self, task: Task) -> str | None:
        """Load a month. Return its error, None if it is loaded; raise WorkerEnded if the process ended meanwhile."""
        result: Result | None = None
        with suppress(EOFError, ConnectionError):
            self._tasks.send(task)
            result = cast(Result, self._tasks.recv())
        if result and not result["ended"]:
            return result["error"]
        self.process.join()
        raise WorkerEnded(self.process.exitcode or 0, (result and result["error"]) or "")

    def interrupt(self, signal: int) -> None:
        """Send the signal to the process, if it runs."""
        with suppress(psutil.NoSuchProcess):
            psutil.Process(self.process.pid).send_signal(signal)

    def close(self, timeout: float) -> None:
        """End the process: at once if it is idle, after its month or the timeout if not."""
        self._tasks.close()
        self.process.join(timeout)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.process.close()
