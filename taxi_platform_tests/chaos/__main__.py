"""Run sequences, lower seeds first: `python -m taxi_platform_tests.chaos [OPTIONS]`; `--help` lists the options."""

import argparse
import itertools
import math
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from taxi_platform.local.embedded_postgres import EmbeddedPostgres
from taxi_platform_tests.chaos.bigquery_table import BigQueryTable
from taxi_platform_tests.chaos.sequence import Loader, Sequence, Violation
from taxi_platform_tests.chaos.tables import LakeTable, PostgresTable, Table
from taxi_platform_tests.support.faulty_server import FaultyServer

TABLES: dict[str, type[Table]] = {table.destination.name: table for table in (PostgresTable, BigQueryTable, LakeTable)}


def run_sequence(destination: str, seed: int, steps: int, folder: Path) -> list[str]:
    """Run one sequence in an empty folder; return its steps. Raise Violation when a guarantee does not hold."""
    home = folder / "data"
    with FaultyServer().running() as mirror, TABLES[destination].opened(folder) as table:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("TAXI_", "GCP_"))},
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "TAXI_HOME": str(home),
            "TAXI_SOURCE_URL": mirror.url,
            **table.environment,
        }
        loaders = (Loader(environment, folder), Loader(environment, folder))
        sequence = Sequence(table, mirror, loaders, random.Random(seed))
        try:
            sequence.run(steps)
        finally:
            for loader in loaders:
                loader.stop()
            EmbeddedPostgres(home / "postgres").remove()
    return sequence.log


def main() -> int:
    """Run the sequences; exit with status 1 at the first violation, after printing the command that repeats it."""
    parser = argparse.ArgumentParser(prog="python -m taxi_platform_tests.chaos")
    parser.add_argument("--destination", choices=[*TABLES], action="append", help="may be given several times")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first sequence")
    parser.add_argument("--sequences", type=int, default=10, help="sequences for each destination")
    parser.add_argument("--steps", type=int, default=20, help="steps of a sequence")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no sequence later")
    options = parser.parse_args()
    end = time.monotonic() + 60 * options.minutes
    seeds = range(options.seed, options.seed + options.sequences)
    sequences = steps = 0
    for seed, destination in itertools.product(seeds, options.destination or TABLES):
        if time.monotonic() > end:
            break
        with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
            Path(folder).chmod(0o755)
            try:
                taken = run_sequence(destination, seed, options.steps, Path(folder))
            except Violation as error:
                print(
                    f"{destination}, seed {seed}: {error}\nRepeat it with: python -m taxi_platform_tests.chaos "
                    f"--destination {destination} --seed {seed} --sequences 1 --steps {options.steps}"
                )
                return 1
        print(f"{destination}, seed {seed}: {len(taken)} steps, no violation", flush=True)
        sequences, steps = sequences + 1, steps + len(taken)
    print(f"{sequences} sequences with {steps} steps, no violation")
    return 0


if __name__ == "__main__":
    sys.exit(main())
