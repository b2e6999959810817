"""The tests mirror the package: the test of `a/b.py` is `a/test_b.py`, or the one that is named here."""

import ast
from pathlib import Path

import pytest

import taxi_platform

PACKAGE = Path(taxi_platform.__file__).parent
TESTS = Path(__file__).parent
BRANCHES = (ast.If, ast.IfExp, ast.For, ast.While, ast.Try, ast.Match, ast.comprehension)
"""What makes a module one with logic of its own."""

ELSEWHERE = {
    "analytics/test_dbt_project.py": ["analytics/dbt_process.py"],
    "analytics/test_mart_assets.py": [
        "analytics/definitions.py",
        "analytics/lake_marts.py",
        "analytics/marts.py",
        "analytics/postgres_marts.py",
        "analytics/sensor.py",
    ],
    "analytics/test_report.py": [
        "analytics/commands.py",
        "analytics/report/asset.py",
        "analytics/report/charts.py",
        "analytics/report/figures.py",
        "analytics/report/page.py",
    ],
    "analytics/test_zones.py": ["analytics/zone_shapes.py"],
    "automation/backfill/test_runner.py": [
        "automation/backfill/worker.py",
        "automation/backfill/worker_process.py",
    ],
    "automation/test_alerts.py": ["automation/sensors.py"],
    "automation/test_freshness.py": ["automation/jobs.py"],
    "automation/test_new_months.py": ["automation/schedules.py"],
    "demo/test_loading.py": ["demo/sample_products.py"],
    "destinations/bigquery/test_assets.py": [
        "destinations/bigquery/checks.py",
        "destinations/bigquery/destination.py",
        "destinations/bigquery/io_managers.py",
        "destinations/bigquery/monthly.py",
        "destinations/bigquery/object_storage.py",
    ],
    "destinations/bigquery/test_merge.py": [
        "destinations/bigquery/load_log.py",
        "destinations/bigquery/merged_table.py",
    ],
    "destinations/lake/test_cloud.py": ["destinations/lake/assets.py", "destinations/lake/io_managers.py"],
    "destinations/lake/test_merge.py": [
        "destinations/lake/checks.py",
        "destinations/lake/lake_files.py",
        "destinations/lake/locks.py",
        "destinations/lake/resource.py",
        "destinations/lake/snapshot.py",
    ],
    "destinations/lake/test_shell.py": ["destinations/lake/libraries.py"],
    "destinations/postgres/test_assets.py": [
        "destinations/checks.py",
        "destinations/merge_report.py",
        "destinations/postgres/checks.py",
        "destinations/postgres/io_managers.py",
        "destinations/postgres/metadata.py",
    ],
    "destinations/postgres/test_bad_input.py": ["destinations/postgres/copy_rows.py"],
    "destinations/postgres/test_concurrency.py": [
        "destinations/postgres/locks.py",
        "destinations/postgres/staging.py",
    ],
    "destinations/postgres/test_contract.py": ["destinations/postgres/duplicates.py"],
    "destinations/postgres/test_ensure.py": ["destinations/postgres/refusal.py", "destinations/postgres/tables.py"],
    "automation/test_reconcile.py": [
        "destinations/bigquery/figures.py",
        "destinations/lake/figures.py",
        "destinations/postgres/figures.py",
    ],
    "destinations/test_registry.py": ["destinations/base.py"],
    "google_cloud/test_resources.py": ["google_cloud/lazy_resources.py", "google_cloud/libraries.py"],
    "local/test_embedded_postgres.py": ["local/server_account.py"],
    "test_cli.py": ["demo/commands.py", "destinations/postgres/psql.py"],
    "test_homework.py": ["source/known_row_counts.py"],
}
"""Modules whose behaviour is that of an asset, a command or a process, by the file that tests it."""


def own_test(module: str) -> Path:
    path = TESTS / module
    return path.with_name(f"test_{path.name}")


def has_logic(path: Path) -> bool:
    return any(isinstance(node, BRANCHES) for node in ast.walk(ast.parse(path.read_text("utf-8"))))


def test_each_module_with_logic_has_a_test() -> None:
    modules = [path for path in PACKAGE.rglob("*.py") if not path.name.startswith("__") and has_logic(path)]
    names = {path.relative_to(PACKAGE).as_posix() for path in modules}
    named = {module for listed in ELSEWHERE.values() for module in listed}
    assert {name for name in names if not own_test(name).exists()} - named == set()
    assert {name for name in named if own_test(name).exists() or not (PACKAGE / name).exists()} == set()


@pytest.mark.parametrize("file", ELSEWHERE)
def test_named_test_exists(file: str) -> None:
    assert (TESTS / file).exists()
