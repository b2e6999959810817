"""Dagster's code server and its runs, as one process group.

`python -m taxi_platform.deployment.code_server --port PORT` takes the options of `dagster api grpc`.

In the deployment of docker-compose.yml, runs are processes beside the code server, in one container, and end with it.
`dagster api grpc` lacks two things for that: when it is stopped, it waits for its runs and refuses new ones
meanwhile, so that queued months fail; and runs that ended with it stay "started" in Dagster's history. This program
stops everything at once, which leaves every table as it was, and reports those runs as failed after the next start,
so that Dagster re-executes them (`run_retries` in deploy/compose/dagster.yaml). On Kubernetes each run has a pod of
its own, and the chart starts `dagster api grpc`.
"""

import argparse
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

import dagster as dg

IN_PROGRESS = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
LOST = "The code server was stopped during this run. The tables are unchanged."

NOTICE_SECONDS = 10.0
"""Time for the daemon to notice that the server is back: it polls every second, then loads the definitions.

It decides on a retry once, when it reads the failure, and drops the retry if the code is not available then.
"""

_log = logging.getLogger("taxi_platform.deployment.code_server")


class _Stop(BaseException):
    """A signal to stop."""


def runs_in_progress(instance: dg.DagsterInstance) -> Sequence[dg.RunRecord]:
    return instance.get_run_records(filters=dg.RunsFilter(statuses=IN_PROGRESS))


def end_lost_runs(instance: dg.DagsterInstance, lost: Sequence[dg.RunRecord]) -> list[str]:
    """Report each of these runs as failed, or as cancelled if that was requested; return their ids.

    A run that was updated since its record was read is running in the new server or has ended, and is skipped.
    """
    ended = []
    for record in lost:
        now = instance.get_run_record_by_id(record.dagster_run.run_id)
        if now is None or now.update_timestamp != record.update_timestamp:
            continue
        run = now.dagster_run
        if run.status == dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, LOST)
        else:
            instance.report_run_failed(run, LOST)
        ended.append(run.run_id)
    return ended


def main(arguments: Sequence[str]) -> int:
    """Run the code server until it ends or a signal arrives; return its exit status, 0 after a signal."""
    parser = argparse.ArgumentParser(prog="python -m taxi_platform.deployment.code_server", allow_abbrev=False)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    given, options = parser.parse_known_args(arguments)
    listen = ["--host", given.host, "--port", str(given.port)]
    command = [sys.executable, "-m", "dagster", "api", "grpc", *listen, *options]
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    try:
        with dg.DagsterInstance.get() as instance:
            lost = runs_in_progress(instance)
            # In a process group of its own, which its runs share.
            server = subprocess.Popen(command, start_new_session=True)
            try:
                if lost:
                    _wait_until_back(server, given.host, given.port)
                for run_id in end_lost_runs(instance, lost):
                    _log.warning("reported run %s as failed: the code server was stopped during it", run_id)
                return server.wait()
            finally:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(server.pid, signal.SIGKILL)
                server.wait()
    except _Stop:
        return 0


def _wait_until_back(server: subprocess.Popen[bytes], host: str, port: int) -> None:
    """Wait until the server responds and the daemon has had time to notice, or until it has ended."""
    while server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
            break
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(1)
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(NOTICE_SECONDS)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    raise _Stop


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    sys.exit(main(sys.argv[1:]))
