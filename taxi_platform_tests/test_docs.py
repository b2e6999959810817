"""What the docs point to is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
IDEAS = {
    "flow",
    "namespace",
    "task",
    "input",
    "output",
    "variable",
    "trigger",
    "plugin defaults",
    "KV store",
    "secret",
    "concurrency",
    "retry",
    "errors",
    "subflow",
    "parallel",
    "backfill",
    "label",
    "purge",
    "revision",
    "topology view",
    "Gantt view",
}


def rows(document: str) -> list[dict[str, str]]:
    """The rows of all tables of a Markdown file, by the names of their columns; `\\|` is no border."""
    found: list[dict[str, str]] = []
    header: list[str] = []
    for line in (ROOT / "docs" / document).read_text(encoding="utf-8").splitlines():
        if not line.startswith("|"):
            header = []
            continue
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not header:
            header = cells
        elif not all(set(cell) <= {"-", ":"} for cell in cells):
            found.append(dict(zip(header, cells, strict=True)))
    return found


def defined_in(file: Path) -> set[str]:
    """The names that a Python module and its classes define, or all words of another file."""
    text = file.read_text(encoding="utf-8")
    if file.suffix != ".py":
        return set(re.findall(r"[\w.-]+", text))
    return set(_names(ast.parse(text).body, ""))


def _names(body: list[ast.stmt], prefix: str) -> list[str]:
    found: list[str] = []
    for statement in body:
        match statement:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found.append(prefix + name)
            case ast.ClassDef(name=name):
                found += [prefix + name, *_names(statement.body, f"{prefix}{name}.")]
            case ast.Assign(targets=targets):
                found += [prefix + target.id for target in targets if isinstance(target, ast.Name)]
            case ast.AnnAssign(target=ast.Name(id=name)):
                found.append(prefix + name)
            case _:
                pass
    return found


FROM_KESTRA = rows("from-kestra.md")


def references() -> list[tuple[str, str]]:
    """File and symbol, as they stand in the column "shown in"."""
    return sorted({pair for row in FROM_KESTRA for pair in re.findall(r"`([^`]+)` `([^`]+)`", row["shown in"])})


@pytest.mark.parametrize(("file", "symbol"), references())
def test_what_the_table_points_to_exists(file: str, symbol: str) -> None:
    assert symbol in defined_in(ROOT / file)


def test_each_row_points_somewhere() -> None:
    assert [row for row in FROM_KESTRA if not re.search(r"`[^`]+` `[^`]+`", row["shown in"])] == []


def test_each_idea_has_its_row() -> None:
    assert {row["Kestra"] for row in FROM_KESTRA if "Kestra" in row} == IDEAS


def test_each_flow_has_its_row() -> None:
    assert [row["flow"][:2] for row in FROM_KESTRA if "flow" in row] == [f"0{number}" for number in range(1, 10)]
