"""Groups of figures, each a ratio of contenders that are measured alternately.

A group is a function that returns its figures. It loads into databases of its own.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

from benchmarks import contenders
from benchmarks.load import Loader
from benchmarks.work import Files, StockPostgres, Work, empty_database, settle

ROUNDS = 3
MONTHS = 24
"""Months that the platform loads one after another. The flow loads only the first year."""
YEAR = 12
SMALL = 1000
STOCK = ", stock settings"


@dataclass
class Bench:
    """The server, the files, and the measured seconds and megabytes of each contender, by group."""

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
        """Return the median of the rounds' ratios, because the machine's speed may change from round to round."""
        rounds = self.measured[group]
        return median(a / b for a, b in zip(rounds[above], rounds[below], strict=True))

    def time(self, group: str, name: str, way: Callable[[str, Work], None], url: str, work: Work) -> None:
        """Measure one of the other ways of loading."""
        settle(url)
        began = time.monotonic()
        way(url, work)
        self.note(group, name, time.monotonic() - began)

    def load(self, group: str, name: str, loader: Loader, url: str, work: Work) -> None:
        """Measure the platform."""
        loader.prepare(work)
        settle(url)
        loader.go()
        self.note(group, name, loader.wait().seconds)

    @contextmanager
    def loader(self, url: str, *, ready: bool = True) -> Iterator[Loader]:
        """Yield a loading process on a database.

        A `ready` one has loaded a small month, so that no figure includes the creation of tables and imports.
        """
        with tempfile.TemporaryDirectory(dir=self.folder) as directory, Loader(url, Path(directory)) as loader:
            if ready:
                loader.load(self.files.month(30, rows=SMALL))
            yield loader


@dataclass(frozen=True)
class Figure:
    """A line of the table of results."""

    name: str
    value: float
    goal: str
    unit: str = ""


def first_month(bench: Bench, server: str = "") -> list[Figure]:
    """Compare bare COPY, the platform and the flow, each into an empty database. `server` names another server."""
    group, work = f"first month{server}", bench.files.month(0)
    for _ in range(ROUNDS):
        with empty_database(bench.server_url) as url:
            bench.time(group, "floor", contenders.floor, url, work)
        with empty_database(bench.server_url) as url, bench.loader(url) as loader:
            bench.load(group, "ours", loader, url, work)
        with empty_database(bench.server_url) as url:
            contenders.flow_tables(url, work.month.colour)
            bench.time(group, "flow", contenders.flow, url, work)
    return [
        Figure(f"ours ÷ floor, first month into an empty table{server}", bench.ratio(group, "ours", "floor"), "≤ 1.4"),
        Figure(f"flow ÷ ours, first month{server}", bench.ratio(group, "flow", "ours"), "≥ 4"),
    ]


def stock(bench: Bench) -> list[Figure]:
    """Measure a first month and a changed file on a server with PostgreSQL's default settings."""
    server = StockPostgres(bench.folder / "stock")
    try:
        other = replace(bench, server_url=server.start())
        return first_month(other, STOCK) + again(other, STOCK)
    finally:
        server.remove()


def others(bench: Bench) -> list[Figure]:
    """Compare pandas and dlt with the platform."""
    group, work = "other ways", bench.files.month(0)
    for _ in range(ROUNDS):
        with empty_database(bench.server_url) as url:
            bench.time(group, "pandas", contenders.pandas, url, work)
        with empty_database(bench.server_url) as url, bench.loader(url) as loader:
            bench.load(group, "ours", loader, url, work)
        with empty_database(bench.server_url) as url:
            bench.time(group, "dlt", contenders.dlt, url, work)
    return [
        Figure("pandas ÷ ours", bench.ratio(group, "pandas", "ours"), "≥ 35"),
        Figure("dlt merge ÷ ours", bench.ratio(group, "dlt", "ours"), "≥ 13"),
    ]


def again(bench: Bench, server: str = "") -> list[Figure]:
    """Compare the reload of a month from a changed file. The table has no other month."""
    group = f"again from a changed file{server}"
    before, work = bench.files.month(0), bench.files.month(0, changed=True)
    for _ in range(ROUNDS):
        with empty_database(bench.server_url) as url, bench.loader(url) as loader:
            loader.load(before)
            bench.load(group, "ours", loader, url, work)
        with empty_database(bench.server_url) as url:
            contenders.flow_tables(url, work.month.colour)
            contenders.flow(url, before)
            bench.time(group, "flow", contenders.flow, url, work)
    return [Figure(f"flow ÷ ours, reload from a changed file{server}", bench.ratio(group, "flow", "ours"), "≥ 5.5")]


def backfill(bench: Bench) -> list[Figure]:
    """Compare backfills: the platform loads 24 months, the flow twelve, each in a database of its own.

    So the server's background work for a month slows only the same contender. After twelve months the first one is
    reloaded from a changed file.
    """
    group = "backfill"
    months = [bench.files.month(number) for number in range(MONTHS)]
    changed = bench.files.month(0, changed=True)
    for _ in range(ROUNDS):
        with empty_database(bench.server_url) as url, bench.loader(url) as loader:
            for number, work in enumerate(months, 1):
                bench.load(group, f"ours, month {number}", loader, url, work)
                if number == YEAR:
                    bench.load(group, "ours, changed file", loader, url, changed)
        with empty_database(bench.server_url) as url:
            contenders.flow_tables(url, changed.month.colour)
            for number, work in enumerate(months[:YEAR], 1):
                bench.time(group, f"flow, month {number}", contenders.flow, url, work)
            bench.time(group, "flow, changed file", contenders.flow, url, changed)
    for name in ("ours", "flow"):
        year = [bench.measured[group][f"{name}, month {number}"] for number in range(1, YEAR + 1)]
        bench.measured[group][f"{name}, a year"] = [round(sum(each), 3) for each in zip(*year, strict=True)]
    return [
        Figure(
            "flow ÷ ours, twelfth month of a year's backfill",
            bench.ratio(group, f"flow, month {YEAR}", f"ours, month {YEAR}"),
            "≥ 7.5",
        ),
        Figure("flow ÷ ours, the whole year", bench.ratio(group, "flow, a year", "ours, a year"), ""),
        Figure(
            "flow ÷ ours, reload from a changed file, in a year's table",
            bench.ratio(group, "flow, changed file", "ours, changed file"),
            "≥ 5.5",
        ),
        Figure(
            "ours, 24th month ÷ 1st month",
            bench.ratio(group, f"ours, month {MONTHS}", "ours, month 1"),
            "≤ 1.15",
        ),
    ]


def side_by_side(bench: Bench) -> list[Figure]:
    """Compare two months in two processes at the same time with one after the other."""
    group = "two months"
    works = [bench.files.month(0), bench.files.month(1)]
    for _ in range(ROUNDS):
        for at_once in (False, True):
            with empty_database(bench.server_url) as url, bench.loader(url) as one, bench.loader(url) as two:
                one.prepare(works[0])
                two.prepare(works[1])
                settle(url)
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
    """Measure the peak memory of a loading process, Python and Dagster included."""
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
