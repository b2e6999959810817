"""The docs: links, named files and make targets exist, figures are the measured ones, and commands succeed."""

import ast
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from taxi_platform.definitions import defs
from taxi_platform.demo.sample_products import write_sample_products
from taxi_platform.demo.sample_trips import write_sample
from taxi_platform.local.emulators.servers import Emulators
from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.support.api_server import ApiResponse, api_server

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
EACH_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
PROGRAMS = Path(sys.executable).parent
IDEAS = {
    "flow",
    "namespace",
    "namespace files",
    "task",
    "input",
    "output",
    "variable",
    "trigger",
    "flow trigger",
    "webhook trigger",
    "file trigger",
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
    """Return the rows of all tables of a Markdown file, by the names of their columns."""
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
    """Return the names that a Python module and its classes define, or all words of another file."""
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
FLOWS = [row for row in FROM_KESTRA if "flow" in row]


def references() -> list[tuple[str, str]]:
    """Return the pairs of file and symbol in the column "shown in"."""
    return sorted({pair for row in FROM_KESTRA for pair in re.findall(r"`([^`]+)` `([^`]+)`", row["shown in"])})


@pytest.mark.parametrize(("file", "symbol"), references())
def test_referenced_symbol_exists(file: str, symbol: str) -> None:
    assert symbol in defined_in(ROOT / file)


def test_each_kestra_row_names_a_symbol() -> None:
    assert [row for row in FROM_KESTRA if not re.search(r"`[^`]+` `[^`]+`", row["shown in"])] == []


def test_each_kestra_idea_has_a_row() -> None:
    assert {row["Kestra"] for row in FROM_KESTRA if "Kestra" in row} == IDEAS


def test_each_flow_has_a_row() -> None:
    assert [row["flow"][:2] for row in FLOWS] == [f"0{number}" for number in range(1, 10)]


def test_assets_and_jobs_of_flows_exist() -> None:
    assets = {key.to_user_string() for key in defs.resolve_all_asset_keys()}
    others = {each.name for each in (*(defs.jobs or ()), *(defs.schedules or ()))}
    named = {name for row in FLOWS for name in re.findall(r"`(\w+)`", row["assets and jobs here"])}
    assert named - assets - others == set()


def commands() -> list[str]:
    """Return the commands of the flows' table, without the escapes that a table needs."""
    return [each.replace("\\|", "|") for row in FLOWS for each in re.findall(r"`(dg .+?)`", row["command"])]


def test_commands_of_flows_succeed(tmp_path: Path, postgres_url: str, emulators: Emulators) -> None:
    for key in ("yellow|2019-01", "green|2020-04"):
        write_sample(tmp_path / "mirror", TripMonth.from_key(key), rows=100)
    counts = ApiResponse({"pull_count": 1, "stargazers_count": 1})
    with api_server(lambda _: counts) as api:
        settings = {
            "TAXI_HOME": str(tmp_path / "home"),
            "TAXI_SOURCE_URL": (tmp_path / "mirror").as_uri(),
            "TAXI_PRODUCTS_URL": write_sample_products(tmp_path).as_uri(),
            "TAXI_DOCKER_HUB_URL": api.url,
            "TAXI_GITHUB_API_URL": api.url,
            "TAXI_POSTGRES_URL": postgres_url,
            "TAXI_ALERT_WEBHOOK": "",
            "GCP_PROJECT_ID": "test-project",
            "GCP_BUCKET_NAME": "from-kestra",
            "GCP_DATASET": "from_kestra",
            **emulators.environment,
        }
        for command in commands():
            program, *options = shlex.split(command)
            done = subprocess.run(
                [PROGRAMS / program, *options],
                cwd=ROOT,
                env={**os.environ, **settings},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{command}\n{done.stderr}"
            assert "warning" not in done.stderr.lower(), done.stderr
    assert len(commands()) == 7
    made = {path.relative_to(tmp_path / "home").as_posix() for path in (tmp_path / "home").rglob("*.*")}
    assert {"products.duckdb", "products/products.json", "raw/yellow/yellow_tripdata_2019-01.csv.gz"} <= made


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub derives them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@EACH_PAGE
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if not link.startswith("https://"):
            name, _, anchor = link.partition("#")
            target = page.parent / name if name else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


@EACH_PAGE
def test_named_files_exist(page: Path) -> None:
    names = re.findall(r"`([\w./-]+\.(?:py|sql|yaml|toml|md))`", page.read_text(encoding="utf-8"))
    places = ("taxi_platform", "taxi_platform_tests", "benchmarks", "deploy")
    for name in names:
        assert (ROOT / name).exists() or any(next((ROOT / each).rglob(name), None) for each in places), name


@EACH_PAGE
def test_named_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:^ *|`)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE)) <= targets


def test_each_threat_names_tests_that_exist() -> None:
    named = {row.get("who", row.get("what")): row["test"] for row in rows("security.md") if "test" in row}
    assert len(named) >= 16
    for who, cell in named.items():
        tests = re.findall(r"\[(\w+)\]\((\S+)\)", cell)
        assert tests, who
        for name, path in tests:
            assert name in defined_in(ROOT / "docs" / path), f"{who}: {name} is not in {path}"


def test_figures_equal_measured_ones() -> None:
    measured = json.loads((ROOT / "docs" / "benchmarks.json").read_text(encoding="utf-8"))["figures"]
    text = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| (.+?) \| ([\d.]+)(?: MB)? \| (.*?) ?\| (?:yes |no )?\|$", text, re.MULTILINE)
    expected = [(figure["name"], f"{figure['value']:.2f}", figure["goal"]) for figure in measured]
    assert sorted(shown) == sorted(expected)


@pytest.mark.parametrize("group", ["bigquery", "journey", "lake", "marts"])
def test_figures_of_group_equal_measured_ones(group: str) -> None:
    measured = json.loads((ROOT / "docs" / f"{group}.json").read_text(encoding="utf-8"))["figures"]
    text = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert [each["name"] for each in measured if f"| {each['name']} | {each['value']:.2f}" not in text] == []
