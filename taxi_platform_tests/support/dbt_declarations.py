"""Declarations of the dbt models, derived from dbt's manifest.

After a change of the dbt project, `python -m taxi_platform_tests.support.dbt_declarations` rewrites those in
taxi_platform/analytics/models.py.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from taxi_platform.analytics import models
from taxi_platform.analytics.dbt_process import PROJECT
from taxi_platform.analytics.model import TRIPS, Model


def parse_project() -> dict[str, Any]:
    """Return the manifest of the dbt project."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [Path(sys.executable).with_name("dbt"), "parse", "--project-dir", PROJECT, "--profiles-dir", PROJECT],
            env={**os.environ, "DBT_TARGET_PATH": folder, "DBT_LOG_PATH": folder},
            check=True,
            capture_output=True,
        )
        return json.loads(Path(folder, "manifest.json").read_text(encoding="utf-8"))


def declarations(manifest: dict[str, Any]) -> list[Model]:
    """Return a declaration for each table and view of the project, each after those it depends on."""
    nodes = manifest["nodes"]
    found = [node for node in nodes.values() if node["resource_type"] in ("model", "seed")]
    kept = {node["unique_id"]: node for node in found if node["config"]["materialized"] != "ephemeral"}
    ordered: list[str] = []
    while len(ordered) < len(kept):
        ordered += sorted(
            name for name in kept if name not in ordered and _parents(manifest, name) & kept.keys() <= set(ordered)
        )
    return [_model(manifest, kept[name]) for name in ordered]


def _parents(manifest: dict[str, Any], name: str) -> set[str]:
    """Return the tables and views that a node reads, through ephemeral models."""
    parents: set[str] = set()
    for parent in manifest["nodes"][name]["depends_on"].get("nodes", []):
        node = manifest["nodes"].get(parent)
        is_ephemeral = node is not None and node["config"]["materialized"] == "ephemeral"
        parents |= _parents(manifest, parent) if is_ephemeral else {parent}
    return parents


def _model(manifest: dict[str, Any], node: dict[str, Any]) -> Model:
    parents = _parents(manifest, node["unique_id"])
    return Model(
        name=node["name"],
        materialized=node["config"]["materialized"],
        by_file="by_file" in node["fqn"],
        description=node["description"],
        depends_on=tuple(
            sorted({TRIPS if parent.startswith("source.") else parent.split(".")[2] for parent in parents})
        ),
        columns={column["name"]: column["description"] for column in node["columns"].values()},
        tests=dict(
            sorted(
                (_test_name(test), test["name"])
                for test in manifest["nodes"].values()
                if test["resource_type"] == "test" and test["attached_node"] == node["unique_id"]
            )
        ),
    )


def _test_name(test: dict[str, Any]) -> str:
    return "_".join(filter(None, [test["column_name"], test["test_metadata"]["name"]]))


def main() -> None:
    path = Path(str(models.__file__))
    head, marker, _ = path.read_text(encoding="utf-8").partition("\nMODELS = ")
    text = ",\n".join(map(repr, declarations(parse_project())))
    path.write_text(f"{head}{marker}(\n{text},\n)\n", encoding="utf-8")
    subprocess.run([Path(sys.executable).with_name("ruff"), "format", path], check=True)


if __name__ == "__main__":
    main()
