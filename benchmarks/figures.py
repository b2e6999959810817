"""What is measured: groups of figures, each a ratio of contenders that run in turn.

A group's function gives its figures; what it loads, it loads into databases of its own.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks import contenders
from benchmarks.load import Loader
from benchmarks.work import Files, Work, empty_database

ROUNDS = 3
MONTHS = 24
"""Months that ours loads one after another; the flow loads the first twelve."""
SMALL = 1000


@dataclass
class Bench:
    """The server, the files, and what was measured: seconds, and megabytes, of each contender, by group."""

    server_url: str
    files: Files
    folder: Path
    measured: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def note(self, group: str, contender: str, value: float) -> None:
        self.measured.setdefault(group, {}).setdefault(contender, []).append(round(value, 3))
        print(f"  {group}: {contender} {value:.2f}", file=sys.stderr, flush=True)

    def median(self, group: str, contender: str) -> float:
        return median(self.measured[group][contender])

    def ratio(self, group: str, above: str, below: str) -> float:
        """The median of the rounds' ratios: the machine's speed may change from round to round."""
        rounds = self.measured[group]
        return median(a / b for a, b in zip(rounds[above], rounds[below], strict=True))

    @contextmanager
    def loader(self, url: str, *, ready: bool = True) -> Iterator[Loader]:
        """A loading process on a database. It has loaded a small month before, so that no figure has the first one's
        making of tables and reading of modules in it."""
        with tempfile.TemporaryDirectory(dir=self.folder) as home, Loader(url, Path(home)) as loader:
            if ready:
                loader.load(self.files.month(30, rows=SMALL))
            yield loader


@dataclass(frozen=True)
class Figure:
    """One line of the table."""

    name: str
    value: float
    goal: str
    unit: str = ""


def first_month(bench: Bench) -> list[Figure]:
    """The floor, ours and the flow, each into a database where nothing stands."""
    group, work = "first month", bench.files.month(0)
    for _ in range(ROUNDS):
        _time(bench, group, "floor", contenders.floor, work)
        _load(bench, group, "ours", work)
        _time(bench, group, "flow", _flow_into_nothing, work)
    return [
        Figure("ours ÷ floor, first month into an empty table", bench.ratio(group, "ours", "floor"), "≤ 1.4"),
        Figure("flow ÷ ours, first month", bench.ratio(group, "flow", "ours"), "≥ 4"),
    ]


def others(bench: Bench) -> list[Figure]:
    """pandas and dlt, in turn with ours."""
    group, work = "other ways", bench.files.month(0)
    for _ in range(ROUNDS):
        _time(bench, group, "pandas", contenders.pandas, work)
        _load(bench, group, "ours", work)
        _time(bench, group, "dlt", contenders.dlt, work)
    return [
        Figure("pandas ÷ ours", bench.ratio(group, "pandas", "ours"), "≥ 35"),
        Figure("dlt merge ÷ ours", bench.ratio(group, "dlt", "ours"), "≥ 13"),
    ]


def again(bench: Bench) -> list[Figure]:
    """A month that is loaded already, from a file that changed."""
    group = "again from a changed file"
    versions = [bench.files.month(0), bench.files.month(0, changed=True)]
    with empty_database(bench.server_url) as url, bench.loader(url) as loader:
        contenders.flow_tables(url, versions[0].month.colour)
        loader.load(versions[0])
        contenders.flow(url, versions[0])
        for turn in range(ROUNDS):
            work = versions[(turn + 1) % 2]
            bench.note(group, "ours", loader.load(work).seconds)
            bench.note(group, "flow", _seconds(contenders.flow, url, work))
    return [Figure("flow ÷ ours, a month again from a changed file", bench.ratio(group, "flow", "ours"), "≥ 5.5")]


def backfill(bench: Bench) -> list[Figure]:
    """Month after month, ours twice as many as the flow; the last of each is loaded again until it counts three."""
    group = "backfill"
    months = [bench.files.month(number) for number in range(MONTHS)]
    with empty_database(bench.server_url) as url, bench.loader(url) as loader:
        contenders.flow_tables(url, months[0].month.colour)
        for number, work in enumerate(months, 1):
            bench.note(group, f"ours, month {number}", loader.load(work).seconds)
            if number < 12:
                bench.note(group, f"flow, month {number}", _seconds(contenders.flow, url, work))
        for _ in range(ROUNDS):
            bench.note(group, "flow, month 12", _seconds(contenders.flow, url, months[11]))
            contenders.forget_in_flow(url, months[11])
        for _ in range(ROUNDS):
            for number in (1, 12, 24):
                contenders.forget_ours(url, months[number - 1])
                bench.note(group, f"ours again, month {number}", loader.load(months[number - 1]).seconds)
    return [
        Figure(
            "flow ÷ ours, twelfth month of a year's backfill",
            bench.ratio(group, "flow, month 12", "ours again, month 12"),
            "≥ 7.5",
        ),
        Figure(
            "ours, 24th month ÷ 1st month",
            bench.ratio(group, "ours again, month 24", "ours again, month 1"),
            "≤ 1.15",
        ),
    ]


def side_by_side(bench: Bench) -> list[Figure]:
    """Two months in two processes at once, and one after the other."""
    group = "two months"
    works = [bench.files.month(0), bench.files.month(1)]
    for _ in range(ROUNDS):
        for at_once in (False, True):
            with empty_database(bench.server_url) as url, bench.loader(url) as one, bench.loader(url) as two:
                one.prepare(works[0])
                two.prepare(works[1])
                began = time.monotonic()
                one.go()
                if not at_once:
                    one.wait()
                two.go()
                two.wait()
                if at_once:
                    one.wait()
                name = "side by side" if at_once else "one after the other"
                bench.note(group, name, time.monotonic() - began)
    return [
        Figure(
            "two months side by side ÷ one after the other",
            bench.ratio(group, "side by side", "one after the other"),
            "≤ 1.05",
        )
    ]


def memory(bench: Bench) -> list[Figure]:
    """The most memory that a loading process takes, Python and Dagster included."""
    group = "peak memory"
    for times, rows in ((1, "1.5 million rows"), (4, "6 million rows")):
        for _ in range(ROUNDS):
            with empty_database(bench.server_url) as url, bench.loader(url, ready=False) as loader:
                bench.note(group, rows, loader.load(bench.files.month(0, times=times)).peak_megabytes)
    return [
        Figure(
            "peak memory of the loading process, 1.5 million rows",
            bench.median(group, "1.5 million rows"),
            "≤ 300",
            "MB",
        ),
        Figure(
            "peak memory of the loading process, 6 million rows", bench.median(group, "6 million rows"), "equal", "MB"
        ),
    ]


def _time(bench: Bench, group: str, name: str, way: Callable[[str, Work], None], work: Work) -> None:
    with empty_database(bench.server_url) as url:
        bench.note(group, name, _seconds(way, url, work))


def _load(bench: Bench, group: str, name: str, work: Work) -> None:
    with empty_database(bench.server_url) as url, bench.loader(url) as loader:
        bench.note(group, name, loader.load(work).seconds)


def _seconds(way: Callable[[str, Work], None], url: str, work: Work) -> float:
    began = time.monotonic()
    way(url, work)
    return time.monotonic() - began


def _flow_into_nothing(url: str, work: Work) -> None:
    contenders.flow_tables(url, work.month.colour)
    contenders.flow(url, work)
