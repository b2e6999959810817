"""The rules of docs/architecture.md that code can break: the direction of imports, and where names may appear."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import taxi_platform
from taxi_platform.destinations.registry import DESTINATIONS
from taxi_platform.trips.columns import COLOURS

PACKAGE = Path(taxi_platform.__file__).parent
LAYERS = (
    {"__main__"},
    {"cli", "__init__"},
    {"demo"},
    {"definitions"},
    {"analytics", "automation", "deployment", "getting_started"},
    {"destinations"},
    {"source"},
    {"google_cloud", "local"},
    {"trips"},
    {"data_directory", "lazy_import", "redaction", "webhook"},
    {"settings"},
    {"errors"},
)
"""Folders and modules of the package, from the highest: each may import itself and what is below it."""
NAMELESS = ("source", "automation", "definitions.py", "cli.py")
"""What may name no destination; it may name no column and no colour either."""
EXCEPTIONS = {"source/known_row_counts.py"}
COLUMNS = {column.name.lower() for colour in COLOURS.values() for column in colour.columns}


def modules(*places: str) -> list[Path]:
    found = [PACKAGE / place for place in places]
    return sorted(each for place in found for each in ([place] if place.is_file() else place.rglob("*.py")))


def unit(path: Path) -> str:
    """Return the folder or module at the top of the package that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def layer(name: str) -> int:
    return next(place for place, names in enumerate(LAYERS) if name in names)


def imports(path: Path) -> Iterator[str]:
    """Yield the modules of the package that a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("taxi_platform"):
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if (PACKAGE.parent / full.replace(".", "/")).with_suffix(".py").exists() else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("taxi_platform"))


def words(path: Path) -> Iterator[str]:
    """Yield the strings of a file, without docstrings, and the names that it imports."""
    tree = ast.parse(path.read_text("utf-8"))
    docstrings = {
        id(statement.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        for statement in node.body
        if isinstance(statement, ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value
    yield from imports(path)


def test_each_part_of_the_package_has_a_layer() -> None:
    parts = {path.name.removesuffix(".py") for path in PACKAGE.iterdir() if not path.name.startswith("__py")}
    assert parts - set().union(*LAYERS) == set()


@pytest.mark.parametrize("path", modules(""), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_go_down(path: Path) -> None:
    here = unit(path)
    for name in imports(path):
        there = name.split(".")[1] if "." in name else "__init__"
        assert there == here or layer(there) > layer(here), f"{path} imports {name}"


@pytest.mark.parametrize("destination", DESTINATIONS, ids=lambda each: each.name)
def test_destinations_do_not_import_each_other(destination) -> None:
    for path in modules(f"destinations/{destination.name}"):
        for name in imports(path):
            parts = name.split(".")
            if parts[1] == "destinations" and len(parts) > 3:
                assert parts[2] == destination.name, f"{path} imports {name}"


@pytest.mark.parametrize("path", modules(*NAMELESS), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_destination_is_named_in_its_folder_only(path: Path) -> None:
    names = "|".join(each.name for each in DESTINATIONS)
    found = [word for word in words(path) if re.search(rf"(?<!dagster_)(?<![a-z])(?:{names})(?![a-z])", word)]
    assert found == []


@pytest.mark.parametrize(
    "path", modules(*NAMELESS, "destinations"), ids=lambda path: path.relative_to(PACKAGE).as_posix()
)
def test_columns_and_colours_are_named_in_the_registry_only(path: Path) -> None:
    if path.relative_to(PACKAGE).as_posix() not in EXCEPTIONS:
        colours = "|".join(COLOURS)
        found = [
            word for word in words(path) if word.lower() in COLUMNS or re.search(rf"(?:\b|_)(?:{colours})\b", word)
        ]
        assert found == []


def test_package_has_at_most_ten_modules_at_the_top() -> None:
    assert len([path for path in PACKAGE.iterdir() if path.is_file()]) <= 10


@pytest.mark.parametrize("path", modules(""), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_module_has_at_most_300_lines(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 300
