"""Dagster's code server and its runs, as one process group.

`python -m taxi_platform.deployment.code_server --port PORT` takes the options of `dagster api grpc`.

In the deployment of docker-compose.yml runs are processes beside the code server, in one container, and end with it.
For that `dagster api grpc` lacks two things. Told to stop, it waits for its runs and meanwhile refuses new ones for
good, so that a queue of months fails while it waits. And nobody ever ends the record of the runs that ended with it.
So this stops all at once, which no table minds; and when it is back, it reports those runs as failed, so that Dagster
runs them again, as deploy/compose/dagster.yaml has it.

Not here: anything for Kubernetes, where each run has a pod of its own. There the chart starts `dagster api grpc`.
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

UNDER_WAY = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
LOST = "The code server was stopped while this run was under way. No table shows a part of it."

NOTICE_SECONDS = 10.0
"""How long the daemon gets to notice that the server is back: it looks every second, then loads the definitions.

It decides on a retry once, when it hears of the failure, and gives it up when it does not find the code then.
"""

_log = logging.getLogger("taxi_platform.deployment.code_server")


class _Stop(BaseException):
    """Somebody asks for the end."""


def runs_under_way(instance: dg.DagsterInstance) -> Sequence[dg.RunRecord]:
    return instance.get_run_records(filters=dg.RunsFilter(statuses=UNDER_WAY))


def end_lost_runs(instance: dg.DagsterInstance, lost: Sequence[dg.RunRecord]) -> list[str]:
    """Reports each of these runs as failed, or as cancelled when that was asked for; returns their ids.

    A run that has moved since its record was read is alive, in the new server, or ended: it is left alone.
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
    """Runs the code server until it ends or a signal comes; its exit status, 0 after a signal."""
    parser = argparse.ArgumentParser(prog="python -m taxi_platform.deployment.code_server", allow_abbrev=False)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    told, options = parser.parse_known_args(arguments)
    command = [sys.executable, "-m", "dagster", "api", "grpc", "--host", told.host, "--port", str(told.port), *options]
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    try:
        with dg.DagsterInstance.get() as instance:
            lost = runs_under_way(instance)
            # In a process group of its own, which its runs share.
            server = subprocess.Popen(command, start_new_session=True)
            try:
                if lost:
                    _wait_until_back(server, told.host, told.port)
                for run_id in end_lost_runs(instance, lost):
                    _log.warning(
                        "reported run %s as failed: the code server was stopped while it was under way", run_id
                    )
                return server.wait()
            finally:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(server.pid, signal.SIGKILL)
                server.wait()
    except _Stop:
        return 0


def _wait_until_back(server: subprocess.Popen[bytes], host: str, port: int) -> None:
    """Until the server answers and the daemon has had the time to notice, or until it has ended."""
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
