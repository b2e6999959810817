"""Reads docker-compose.yml, and runs its commands as processes of this machine, without a Docker engine.

What an engine would do and is done here: variables get their values or defaults, a service's name leads to an
address, a container's port to a free one, a stop is told to the service's first process, and the end of that one is
the end of all. What is not done: images, users, volumes, networks.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

from taxi_platform_tests.support.waiting import PATIENCE, until

REPO = Path(__file__).parents[2]
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


def read_compose(variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The compose file with its anchors resolved and its variables replaced, as `docker compose config` has it."""
    given = variables or {}

    def replaced(value: Any) -> Any:
        match value:
            case str():
                return _VARIABLE.sub(lambda found: given.get(found[1]) or found[2] or "", value).replace("$$", "$")
            case dict():
                return {key: replaced(each) for key, each in value.items()}
            case list():
                return [replaced(each) for each in value]
        return value

    return replaced(yaml.safe_load((REPO / "docker-compose.yml").read_text()))


@dataclass
class Here:
    """Where on this machine is what the compose file names: the places of texts in commands and environments."""

    home: Path
    """In place of DAGSTER_HOME in the image; dagster.yaml and workspace.yaml are copied there."""
    ports: Mapping[str, int]
    """Free ports in place of the containers' own."""
    environment: Mapping[str, str]
    """In place of what the compose file sets for the same name."""
    folders: Mapping[str, Path] = field(default_factory=dict)
    """Folders in place of the containers' own."""

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        for name in ("deploy/compose/dagster.yaml", "deploy/compose/workspace.yaml"):
            shutil.copy(REPO / name, self.home)

    def translate(self, text: str) -> str:
        for theirs, ours in {"/opt/dagster/home": self.home, **self.folders}.items():
            text = text.replace(theirs, str(ours))
        text = text.replace("0.0.0.0", "127.0.0.1").replace("code-server", "127.0.0.1")
        return re.sub(r"\b\d{4}\b", lambda found: str(self.ports.get(found[0], found[0])), text)


@dataclass
class Service:
    """A service of the compose file, as processes of this machine."""

    name: str
    definition: Mapping[str, Any]
    here: Here
    log: Path = field(init=False)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.log = self.here.home.parent / f"{self.name}.log"

    @property
    def environment(self) -> dict[str, str]:
        # A container has none of this machine's variables but the path to its programs.
        machine = {name: os.environ[name] for name in ("HOME", "PYTHONPATH") if name in os.environ}
        machine["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        composed = {name: self.here.translate(value) for name, value in self.definition["environment"].items()}
        return {**machine, "DAGSTER_HOME": str(self.here.home), **composed, **self.here.environment}

    def start(self) -> None:
        """Runs the service's command in a process group of its own."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self.here.translate(word) for word in self.definition["command"]],
                env=self.environment,
                cwd=self.here.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def healthy(self) -> bool:
        """Whether the service's own health check passes now. Raises when the service has ended."""
        assert self.process is not None
        assert self.process.poll() is None, f"{self.name} ended with {self.process.returncode}:\n{self.said()}"
        kind, *words = self.definition["healthcheck"]["test"]
        assert kind == "CMD", kind
        return self.run(*words).returncode == 0

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs a command as `docker compose exec` would, to its end."""
        return subprocess.run(
            [self.here.translate(word) for word in words],
            env=self.environment,
            cwd=self.here.home,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    def stop(self, how: signal.Signals = signal.SIGTERM, grace: float = PATIENCE) -> None:
        """Signals the service's first process, and kills what is left of the service when that has ended."""
        process, self.process = self.process, None
        if process is None:
            return
        everything = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        try:
            process.send_signal(how)
            process.wait(grace)
        finally:
            for each in everything:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()
            psutil.wait_procs(everything, timeout=grace)

    def said(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]


def wait_until_healthy(service: Service) -> None:
    """Waits until the service's health check passes. Each look is a process, so there is some time between two."""
    until(service.healthy, f"{service.name} is healthy", pause=5)
