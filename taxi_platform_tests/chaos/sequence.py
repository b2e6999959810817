"""One random sequence: published versions, loads, faults and hand edits, each step compared with the guarantees."""

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taxi_platform.destinations.base import SOURCE
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.chaos.tables import EDITS, Rows, Table
from taxi_platform_tests.support.faulty_server import Fault, FaultyServer
from taxi_platform_tests.support.trip_files import csv_text, trip

MONTHS = tuple(TripMonth.from_key(f"green|2020-0{number}") for number in (3, 4, 5))
STEPS = (
    "publish",
    "load",
    "load",
    "load together",
    "kill",
    "disturb",
    "kill server",
    "edit",
    "faulty mirror",
    "full disk",
)
_PICKUPS = ("2020-03-05 10:00:00", "2020-04-05 10:00:00", "2020-05-05 10:00:00", "2009-01-01 00:00:00", "")
_FAULTS = (
    Fault(status=503),
    Fault(cut_after=40),
    Fault(body=b"<html><title>Log in</title></html>"),
    Fault(status=302, headers={"Location": "http://[::bad"}),
)


class Violation(AssertionError):
    """A guarantee does not hold."""


class Loader:
    """The process that loads months; started again after it was killed."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self._environment = environment
        self._folder = folder
        self._process = self._start()

    def _start(self) -> subprocess.Popen[str]:
        with (self._folder / "loader.log").open("a") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "taxi_platform_tests.chaos.loader"],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )

    def _restart(self) -> subprocess.Popen[str]:
        self._process.communicate()
        return self._start()

    def execute(self, task: dict[str, Any]) -> dict[str, Any]:
        """Return the response; after a kill, one that reports it."""
        if self._process.poll() is not None:
            # It was killed after it had answered.
            self._process = self._restart()
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            self._process = self._restart()
            return {"success": False, "check": None, "error": "killed"}
        return json.loads(line)

    def kill(self) -> None:
        """Kill the process at once, with all that it started."""
        os.killpg(self._process.pid, signal.SIGKILL)

    def stop(self) -> None:
        """End the process."""
        self._process.communicate()


@dataclass
class Sequence:
    """A sequence on one destination's table."""

    table: Table
    mirror: FaultyServer
    loaders: tuple[Loader, Loader]
    random: random.Random
    published: dict[TripMonth, list[dict[str, str]]] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    duration: float = 1.5
    """Seconds that the last undisturbed load took: faults are injected at any moment of a load."""

    def run(self, steps: int) -> None:
        """Take random steps. Raise Violation with the steps so far when a guarantee does not hold."""
        for month in MONTHS:
            self.publish(month)
        for _ in range(steps):
            step, month = self.random.choice(STEPS), self.random.choice(MONTHS)
            self.log.append(f"{step} {month.month}")
            try:
                self.take(step, month)
            except Violation as error:
                raise Violation(f"{error}\nafter: {'; '.join(self.log)}") from None
        self.log.append("load all")
        for month in MONTHS:
            self.load(month)

    def take(self, step: str, month: TripMonth) -> None:
        """Take one step and compare the table with the guarantees."""
        match step:
            case "publish":
                self.publish(month)
            case "load":
                self.load(month)
            case "load together":
                self.load_together(month, self.random.choice(MONTHS))
            case "kill":
                self.load(month, timer=self.loaders[0].kill, may_fail=True)
            case "disturb":
                self.load(month, timer=self.table.disturb, may_fail=True)
            case "kill server":
                self.load(month, timer=self.table.kill_server, may_fail=True)
            case "edit":
                self.edit(month)
            case "faulty mirror":
                self.mirror.faults = [self.random.choice(_FAULTS)]
                self.load(month, may_fail=True)
                self.mirror.faults = []
            case "full disk":
                self.load(month, may_fail=True, file_limit=self.random.choice((1, 500, 4096)))

    def publish(self, month: TripMonth) -> None:
        """Publish a version of the month's file: trips of a small pool that all months share, some twice."""
        pool = [
            trip(month, pickup, PULocationID=zone, fare_amount=fare)
            for pickup in _PICKUPS
            for zone, fare in (("41", "8"), ("42", "9.5"))
        ]
        rows = [self.random.choice(pool) for _ in range(self.random.randrange(9))]
        self.published[month] = rows
        path = f"{month.colour.name}/{month.gz_name}"
        self.mirror.publish(path, gzip.compress(csv_text(month, rows), mtime=0))

    def task(self, month: TripMonth, *, checks_only: bool = False, file_limit: int | None = None) -> dict[str, Any]:
        keys = (SOURCE, *self.table.destination.keys_of_table)
        assets = [key.to_user_string() for key in keys]
        return {"partition": month.key, "assets": assets, "checks_only": checks_only, "file_limit": file_limit}

    def load(
        self, month: TripMonth, *, timer: Any = None, may_fail: bool = False, file_limit: int | None = None
    ) -> None:
        """Load the month; with `timer`, call it at a random moment meanwhile."""
        before = self.rows()
        thread = threading.Timer(self.random.uniform(0, 1) * self.duration, timer) if timer else None
        if thread:
            thread.start()
        began = time.monotonic()
        answer = self.loaders[0].execute(self.task(month, file_limit=file_limit))
        if thread:
            thread.cancel()
            thread.join()
        else:
            self.duration = time.monotonic() - began
        after = self.rows()
        if answer["success"]:
            self.require_loaded(month, after)
            self.require(answer["check"] is True, f"{month}: the check of a loaded month failed")
        else:
            self.require(may_fail, f"{month} was not loaded: {answer['error']}")
            if after.get(month.filename) != before.get(month.filename):
                # What is killed after the commit reports a failure of a month that is loaded.
                self.require(timer is not None, f"{month} failed and changed the table: {answer['error']}")
                self.require_loaded(month, after)
        others = {name for name in before | after if name != month.filename}
        self.require(
            all(before.get(name) == after.get(name) for name in others), f"{month} changed another file's rows"
        )

    def load_together(self, *months: TripMonth) -> None:
        """Load two months, or one twice, at the same time."""
        answers: dict[int, dict[str, Any]] = {}

        def run(number: int) -> None:
            answers[number] = self.loaders[number].execute(self.task(months[number]))

        threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        after = self.rows()
        for number, month in enumerate(months):
            self.require(answers[number]["success"], f"{month} was not loaded: {answers[number]['error']}")
            self.require_loaded(month, after)

    def edit(self, month: TripMonth) -> None:
        """Change a row by hand: the check must fail, and a rerun must restore the month."""
        before = self.rows()
        edit = self.random.choice(EDITS)
        if self.table.edit(month, edit) and self.rows() != before:
            self.log[-1] += f" {edit}"
            answer = self.loaders[0].execute(self.task(month, checks_only=True))
            self.require(answer["check"] is False, f"{month}: a row that was changed by hand passed the check")
            self.load(month)

    def rows(self) -> Rows:
        """Return the rows of all files, once nothing is under way any more."""
        self.table.settle()
        return self.table.rows(MONTHS[0].colour)

    def require_loaded(self, month: TripMonth, rows: Rows) -> None:
        """Require that each row of the file is in the table as often as in the file, or in one other file."""
        colour = month.colour
        wanted = Counter(
            (row[colour.pickup.name], row["PULocationID"], str(float(row["fare_amount"])))
            for row in self.published[month]
        )
        found = rows.get(month.filename, Counter())
        elsewhere = {key for name, each in rows.items() if name != month.filename for key in each}
        expected = Counter({key: copies for key, copies in wanted.items() if key not in elsewhere})
        self.require(found == expected, f"{month}: the table has {dict(found)} instead of {dict(expected)}")

    def require(self, holds: bool, what: str) -> None:
        if not holds:
            raise Violation(what)
