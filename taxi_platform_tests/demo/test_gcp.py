"""The command `taxi-platform demo-gcp`, run in a process of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

from taxi_platform.analytics.models import MODELS
from taxi_platform.local.emulators.servers import Emulators
from taxi_platform_tests.conftest import REPO
from taxi_platform_tests.support.waiting import PATIENCE

DBT_BIGQUERY = os.environ.get("TAXI_TEST_DBT_BIGQUERY", "")
"""A dbt with dbt-bigquery; without it the demo builds no marts."""


def test_demo_gcp_prints_every_table(tmp_path: Path, emulators: Emulators) -> None:
    """The folder's `.env` names another project and a key, which must not be used."""
    env = "GCP_PROJECT_ID=theirs\nGCP_CREDS=/nowhere\nSTORAGE_EMULATOR_HOST=http://127.0.0.1:1\nTAXI_SOURCE_URL=http://x\n"
    (tmp_path / ".env").write_text(env)
    done = subprocess.run(
        [sys.executable, "-c", "from taxi_platform.cli import main; main()", "demo-gcp"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(REPO), "TAXI_DBT": DBT_BIGQUERY},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    months = re.findall(r"^zoomcamp\.(\w+) +(\S+) +([\d,]+) +([\d,]+) +([\d,]+)$", done.stdout, re.MULTILINE)
    assert [(table, month) for table, month, *_ in months] == [
        (f"{colour}_tripdata", f"2020-0{n}") for colour in ("yellow", "green") for n in (3, 4, 5)
    ]
    assert all(number(in_file) == number(in_table) + number(skipped) for *_, in_file, in_table, skipped in months)
    assert any(number(skipped) for *_, skipped in months), "the samples share rows"
    kinds = re.findall(r"^zoomcamp\.(\w+) +(table|external) +([\d,]+)$", done.stdout, re.MULTILINE)
    assert len(kinds) == 15
    assert {name for name, kind, _ in kinds if kind == "external"} == {
        f"{colour}_tripdata_2020_0{n}_ext" for colour in ("yellow", "green") for n in (3, 4, 5)
    }
    equal = re.findall(r"^(\w+) +([\d,]+) +\2  equal$", done.stdout, re.MULTILINE)
    assert [name for name, _ in equal] == ([model.name for model in MODELS] if DBT_BIGQUERY else [])
    assert sorted(path.name for path in tmp_path.iterdir()) == [".env", ".taxi"]


def number(text: str) -> int:
    return int(text.replace(",", ""))


def test_missing_emulators_are_named_with_the_command(tmp_path: Path) -> None:
    program = """
import sys
for name in ("bqemulator", "gcp_storage_emulator"):
    sys.modules[name] = None
from taxi_platform.cli import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program, "demo-gcp"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(REPO)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1
    assert "pip install '.[emulators]'" in done.stderr
    assert "Traceback" not in done.stderr
