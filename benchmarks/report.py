"""The results of a run: the table in the terminal, the JSON file and the plot."""

import json
import os
import platform
import re
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import psycopg

from benchmarks.figures import Bench, Figure


def table(figures: list[Figure]) -> str:
    """Return the figures as a Markdown table."""
    lines = ["| figure | measured | goal |", "|---|---|---|"]
    return "\n".join(
        lines + [f"| {f.name} | {f.value:.2f}{f' {f.unit}' if f.unit else ''} | {f.goal} |" for f in figures]
    )


def write_json(path: Path, bench: Bench, figures: list[Figure]) -> None:
    """Write all figures, with the seconds that the ratios are computed from."""
    facts = {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "server": server(bench.server_url),
        "figures": [vars(figure) for figure in figures],
        "measured": bench.measured,
    }
    path.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def machine() -> dict[str, str | int | float]:
    """Return a description of the machine."""
    info = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.+)", info.read_text()) if info.exists() else None
    return {
        "processor": model[1] if model else platform.processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 0,
        "memory_gigabytes": round(psutil.virtual_memory().total / 2**30),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_average": round(os.getloadavg()[1], 2),
    }


def server(url: str) -> dict[str, str]:
    """Return the server's version and the settings that affect loading."""
    names = [
        "server_version",
        "shared_buffers",
        "max_wal_size",
        "wal_level",
        "wal_writer_delay",
        "fsync",
        "synchronous_commit",
    ]
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "select name, current_setting(name) from unnest(%s::text[]) as name", [names]
        ).fetchall()
    return dict(rows)


def plot(path: Path, measured: dict[str, dict[str, list[float]]]) -> None:
    """Plot seconds by month number. Do nothing if the backfill was not measured."""
    if "backfill" not in measured:
        return
    plot = import_module("matplotlib.figure").Figure(figsize=(7, 3.6), layout="constrained")
    axes = plot.subplots()
    for name, label in (("flow", "the Kestra flow's way"), ("ours", "taxi-platform")):
        points = {
            int(key.rsplit(" ", 1)[1]): sorted(values)[len(values) // 2]
            for key, values in measured["backfill"].items()
            if key.startswith(f"{name}, month")
        }
        axes.plot(list(points), list(points.values()), marker="o", markersize=3.5, label=label)
    axes.set(xlabel="month of the backfill, 1.5 million rows each", ylabel="seconds", ylim=(0, None))
    axes.legend(frameon=False)
    _save(plot, path)


def plot_journey(path: Path, measured: dict[str, dict[str, list[float]]]) -> None:
    """Plot the seconds of the journey's contenders, one panel for each set of months."""
    labels = {
        "floor": "curl | gunzip | COPY",
        "script": "the flow as a script",
        "ours": "taxi-platform backfill",
        "web": "web interface",
    }
    groups = ("journey, ten green months", "journey, four yellow months")
    plot = import_module("matplotlib.figure").Figure(figsize=(7, 3.2), layout="constrained")
    for axes, group in zip(plot.subplots(1, len(groups)), groups, strict=True):
        seconds = {label: median(measured[group][name]) for name, label in labels.items() if name in measured[group]}
        bars = axes.barh(list(seconds), list(seconds.values()), color=["0.7", "0.7", "C1", "C1"][: len(seconds)])
        axes.bar_label(bars, fmt="%.1f s", padding=3)
        axes.set(title=group.removeprefix("journey, "), xlabel="seconds")
        axes.margins(x=0.25)
        axes.invert_yaxis()
    _save(plot, path)


def _save(plot: Any, path: Path) -> None:
    for axes in plot.axes:
        axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    plot.savefig(path, metadata={"Date": None})
