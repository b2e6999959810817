"""Print the lowest versions that pyproject.toml allows of each package, as constraints for pip.

pip has no option that chooses them. `make test-bounds` runs this with an interpreter in which nothing is installed.
"""

import re
import sys
import tomllib
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def lowest_versions(project: dict, extras: Iterable[str]) -> list[str]:
    """Return a constraint for each requirement of a project and its extras; ValueError if one has no lower bound."""
    requirements = chain(project["dependencies"], *(project["optional-dependencies"][extra] for extra in extras))
    return sorted({_lowest(requirement) for requirement in requirements})


def _lowest(requirement: str) -> str:
    found = re.fullmatch(r"([\w.-]+)(?:\[[^]]*])?(?:>=|==)([\w.]+)[^;]*(;.*)?", requirement)
    if not found:
        raise ValueError(f"{requirement} has no lower bound.")
    name, version, marker = found.groups()
    return f"{name}=={version}{marker or ''}"


if __name__ == "__main__":
    print("\n".join(lowest_versions(tomllib.loads(PYPROJECT.read_text("utf-8"))["project"], sys.argv[1:])))
