"""dbt as a process of its own. Dagster's processes do not import it, which takes 1.5 s and 81 MB in each of them."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from taxi_platform.data_directory import make_folder
from taxi_platform.errors import BadSetting, PermanentError, TransientError, ends_when_stopped

PROJECT = Path(__file__).parent / "dbt"
ZONES_SEED = "taxi_zone_lookup.csv"

_TRANSIENT_ERRORS = (
    "could not connect",
    "connection refused",
    "connection to server",
    "terminating connection",
    # BigQuery, of two builds that change the same table.
    "aborted due to concurrent update",
)


class DbtFailed(PermanentError):
    """dbt ended before it built anything."""


class DbtUnavailable(TransientError):
    """dbt could not connect, lost the connection, or was aborted in favour of another build."""


@dataclass(frozen=True)
class Node:
    """dbt's result for one model, seed or test."""

    unique_id: str
    status: str
    """`success`, `pass`, `fail`, `warn`, `error` or `skipped`."""
    message: str
    failures: int | None
    """Of a test: rows that violate it."""
    seconds: float

    @property
    def name(self) -> str:
        """The model's or test's name in the project."""
        return self.unique_id.split(".")[2]

    @property
    def succeeded(self) -> bool:
        return self.status in ("success", "pass")


@dataclass(frozen=True)
class Dbt:
    """The dbt project, run for one target in a folder of its own."""

    target: str
    """Output in profiles.yml: the destination's name."""
    folder: Path
    """Holds the project's copy, `target` and `logs`; used by one process at a time."""
    environment: Mapping[str, str]
    """The variables that profiles.yml reads."""
    executable: Path | None = None
    """The `dbt` to run; None for the one beside the Python that runs."""

    def build(
        self,
        select: Sequence[str],
        *,
        files: Mapping[str, Mapping[str, str] | None] | None = None,
        days: Sequence[str] = (),
        zones: Path,
    ) -> tuple[list[Node], str]:
        """Build and test the selected models; return the result of each node, and dbt's output.

        `files`: the files whose rows the incremental models build, by name, with their versions; None for all rows.
        `days`: the days on which these files' trips start. `zones`: TLC's zone table.
        """
        make_folder(self.folder)
        with ends_when_stopped(), locked(self.folder / "lock") as lock:
            arguments = ["build", "--project-dir", str(self._copy_project(zones)), "--select", *select]
            results = self.folder / "target" / "run_results.json"
            results.unlink(missing_ok=True)
            output = self._run(arguments, {"TAXI_DBT_FILES": files or {}, "TAXI_DBT_DAYS": list(days)}, lock)
            if not results.exists():
                raise _failure(output)
            nodes = [_node(each) for each in json.loads(results.read_text(encoding="utf-8"))["results"]]
            if any(node.unique_id.startswith("operation.") and not node.succeeded for node in nodes):
                raise _failure(output)
            return nodes, output

    def _copy_project(self, zones: Path) -> Path:
        project = self.folder / "project"
        shutil.rmtree(project, ignore_errors=True)
        shutil.copytree(PROJECT, project)
        shutil.copyfile(zones, project / "seeds" / ZONES_SEED)
        return project

    def _run(self, arguments: Sequence[str], chosen: Mapping[str, object], lock: int) -> str:
        executable = self.executable or Path(sys.executable).with_name("dbt")
        if not executable.exists():
            raise BadSetting(
                f"{executable} was not found.",
                "Install the extra `marts` (pip install 'taxi-platform[marts]'), or set TAXI_DBT to a dbt executable.",
            )
        done = subprocess.run(
            [str(executable), *arguments, "--profiles-dir", str(PROJECT), "--target", self.target],
            env={
                **os.environ,
                **self.environment,
                **{name: json.dumps(value) for name, value in chosen.items()},
                "DBT_TARGET_PATH": str(self.folder / "target"),
                "DBT_LOG_PATH": str(self.folder / "logs"),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            # A dbt that outlives this process keeps the lock.
            pass_fds=[lock],
        )
        return done.stdout


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """Hold the lock of that file, waiting for it; yield its descriptor."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def _node(result: Mapping) -> Node:
    return Node(
        unique_id=result["unique_id"],
        status=result["status"],
        message=result["message"] or "",
        failures=result["failures"],
        seconds=result["execution_time"],
    )


def _failure(output: str) -> PermanentError | TransientError:
    """Return the error for a run of dbt that left no results. dbt masks the secrets that profiles.yml marks."""
    lines = [line.partition("  ")[2] or line for line in output.splitlines() if line.strip()]
    text = "\n".join(lines[-20:])
    if is_transient(text):
        return DbtUnavailable(f"dbt could not connect: {text}", "Check that the server responds.")
    return DbtFailed(f"dbt built nothing: {text}", "Correct what dbt reports.")


def is_transient(text: str) -> bool:
    """Return whether a message of dbt reports a lost connection or a conflict with another build."""
    return any(sign in text.lower() for sign in _TRANSIENT_ERRORS)
