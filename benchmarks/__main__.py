"""Run the benchmarks on an embedded server of their own and print one table of ratios.

    python -m benchmarks [group ...]

All groups take 50 minutes and 15 GB of disk in the folder for temporary files (TMPDIR). With TAXI_POSTGRES_URL in the
environment another server is measured, in temporary databases.
"""

import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks import figures, journey, marts, one_month, report
from benchmarks.bigquery import bigquery
from benchmarks.figures import Bench, Figure
from benchmarks.lake import lake
from benchmarks.source import source
from benchmarks.startup import startup
from benchmarks.work import Files
from taxi_platform.local.embedded_postgres import EmbeddedPostgres

GROUPS: dict[str, Callable[[Bench], list[Figure]]] = {
    "first": figures.first_month,
    "again": figures.again,
    "stock": figures.stock,
    "side-by-side": figures.side_by_side,
    "memory": figures.memory,
    "startup": startup,
    "source": source,
    "backfill": figures.backfill,
    "others": figures.others,
    "lake": lake,
    "bigquery": bigquery,
    "journey": one_month.journey_and_one_month,
    "journey-small": journey.journey_small,
    "marts": marts.marts,
    "marts-small": marts.marts_small,
}
SMALLER = {"journey-small", "marts-small"}
"""Groups that are measured only when they are named."""
DOCS = Path(__file__).parents[1] / "docs"
KEPT = {group: DOCS / f"{group}.json" for group in ("bigquery", "journey", "lake", "marts")}
"""Files for the seconds of groups that have a section of their own, when they are measured alone or with all others.
Those of all other groups are in docs/benchmarks.json; of other selections in ./benchmarks.json."""


def kept_in(group: str, names: list[str]) -> Path:
    """Return the file for the seconds of a group when the groups `names` are measured, all if there are none."""
    if names in ([], [group]) and group in KEPT:
        return KEPT[group]
    return Path("benchmarks.json") if names else DOCS / "benchmarks.json"


def main(names: list[str]) -> None:
    unknown = set(names) - set(GROUPS)
    if unknown:
        sys.exit(f"There is no group {', '.join(sorted(unknown))}. Choose from: {', '.join(GROUPS)}.")
    with tempfile.TemporaryDirectory(prefix="taxi-platform-bench-") as name:
        folder = Path(name)
        embedded = None if os.environ.get("TAXI_POSTGRES_URL") else EmbeddedPostgres(folder / "postgres")
        server_url = embedded.start() if embedded else os.environ["TAXI_POSTGRES_URL"]
        bench = Bench(server_url, Files(folder / "files"), folder)
        measured: dict[Path, tuple[Bench, list[Figure]]] = {}
        try:
            for group in names or [each for each in GROUPS if each not in SMALLER]:
                path = kept_in(group, names)
                part, found = measured.setdefault(path, (replace(bench, measured={}), []))
                try:
                    found += GROUPS[group](part)
                finally:
                    report.write_json(path, part, found)  # after an interruption, what was measured before it
            print(report.table([figure for _, found in measured.values() for figure in found]))
            print("\nAll seconds: " + ", ".join(map(str, measured)))
        finally:
            if embedded:
                embedded.remove()
    if not names:
        report.plot(DOCS / "images" / "benchmark.svg", measured[DOCS / "benchmarks.json"][0].measured)
    if KEPT["journey"] in measured:
        report.plot_journey(DOCS / "images" / "journey.svg", measured[KEPT["journey"]][0].measured)


if __name__ == "__main__":
    main(sys.argv[1:])
