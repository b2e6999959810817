"""Seconds that other tools take to read the lake, by the code in docs/lake.md.

    python -m benchmarks.readers <lake> [python]

`python` is an interpreter that has pandas, Polars or PySpark, and beside it DuckDB's command line; a tool that is not
installed is left out. A process is started for each tool; the time is that of the code, for a program the whole.
"""

import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "lake.md"
PRELUDES = {
    "pandas": "import pandas as pd",
    "Polars": "import polars as pl",
    "Spark": "from pyspark.sql import SparkSession\n"
    "spark = SparkSession.builder.config('spark.ui.enabled', False).getOrCreate()\n"
    "spark.range(1).count()",
}
TIMED = "import time\n{prelude}\nbegan = time.monotonic()\n{code}\nprint('seconds', time.monotonic() - began)"


def codes() -> list[tuple[str, str]]:
    """Return what the page's table says: the tool and what it does, and the code."""
    return re.findall(r"^\| ([^|]+) \| `([^`]+)` \| [^|]*\|$", PAGE.read_text("utf-8"), re.MULTILINE)


def seconds(tool: str, code: str, folder: Path, python: str) -> float | None:
    """Return what the code takes in a folder that contains `lake`; None if the tool is not installed."""
    prelude = next((text for name, text in PRELUDES.items() if tool.startswith(name)), None)
    if prelude is None:
        began = time.monotonic()
        program, *arguments = shlex.split(code)
        command = [str(Path(python).parent / program), *arguments]
        try:
            done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
        except FileNotFoundError:
            return None
        return time.monotonic() - began if done.returncode == 0 else None
    command = [python, "-c", TIMED.format(prelude=prelude, code=code)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    found = re.search(r"^seconds (.+)$", done.stdout, re.MULTILINE)
    return float(found[1]) if found else None


if __name__ == "__main__":
    lake, python = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else sys.executable
    files = list(lake.glob("*/*/*.parquet"))
    print(f"{len(files)} files, {sum(file.stat().st_size for file in files) / 1e6:.1f} MB\n")
    for tool, code in codes():
        taken = seconds(tool, code, lake.absolute().parent, python)
        print(f"| {tool} | {'not installed' if taken is None else f'{taken:.1f} s'} |")
