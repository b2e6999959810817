"""Tests of the deployment's files: compose, the image, the workflow and Terraform.

The schemas of compose and of GitHub's workflows come with check-jsonschema. What needs the network or a Docker engine,
such as `terraform validate`, is in the workflow. The Helm values are tested in test_kubernetes.py.
"""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from taxi_platform.settings import Settings
from taxi_platform_tests.support.compose import REPO, read_compose

WORKFLOW = REPO / ".github/workflows/ci.yml"
OURS = ("code-location", "daemon", "webserver")


def read_yaml(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize(
    ("schema", "file"),
    [
        ("vendor.compose-spec", REPO / "docker-compose.yml"),
        ("vendor.github-workflows", WORKFLOW),
        ("custom.github-workflows-require-timeout", WORKFLOW),
    ],
    ids=["compose", "workflow", "workflow-timeouts"],
)
def test_file_is_valid_by_its_published_schema(schema: str, file: Path) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_services_are_pinned_checked_and_local_only() -> None:
    for name, service in read_compose()["services"].items():
        assert service["healthcheck"]["test"][0] == "CMD", name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert all(need["condition"] == "service_healthy" for need in service.get("depends_on", {}).values()), name
        if "build" not in service:
            assert re.fullmatch(r"[a-z0-9/]+:\d+\.\d+", service["image"]), name


def test_services_have_no_privileges() -> None:
    services = read_compose()["services"]
    for name, service in services.items():
        assert not {"privileged", "network_mode", "pid"} & service.keys(), name
        assert "docker.sock" not in str(service), name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
    assert {name for name, service in services.items() if "cap_add" in service} == {"pgadmin"}


def test_only_dagsters_processes_reach_the_code_server() -> None:
    compose = read_compose()
    assert compose["networks"]["code"] == {"internal": True}
    services = compose["services"]
    assert {name for name, service in services.items() if "code" in service.get("networks", [])} == set(OURS)
    # It has an address in other networks too, so it must not listen on all.
    code = services["code-location"]
    [address] = code["networks"]["code"]["aliases"]
    assert code["command"][code["command"].index("--host") + 1] == address
    assert {services[name]["environment"]["TAXI_CODE_HOST"] for name in OURS} == {address}


def test_only_dagsters_processes_reach_its_database() -> None:
    compose = read_compose()
    assert compose["networks"]["history"] == {"internal": True}
    services = compose["services"]
    assert services["dagster-db"]["networks"] == ["history"]
    members = {name for name, service in services.items() if "history" in service.get("networks", [])}
    assert members == {*OURS, "dagster-db"}


def test_data_are_in_named_volumes_of_version_18() -> None:
    compose = read_compose()
    for name in ("trips-db", "dagster-db"):
        volume = compose["services"][name]["volumes"][0]
        assert volume.endswith(":/var/lib/postgresql")
        assert volume.split(":")[0] in compose["volumes"]


def test_only_the_code_location_gets_the_secrets_of_trips() -> None:
    services = read_compose({"GCP_CREDS": "a-key", "TRIPS_PASSWORD": "a-password"})["services"]
    assert {name for name in OURS if re.search("a-key|a-password", str(services[name]))} == {"code-location"}


def test_settings_reach_the_code_and_variables_are_explained() -> None:
    settings = {str(field.validation_alias) for field in Settings.model_fields.values()}
    assert settings - {"TAXI_HOME"} <= read_compose()["services"]["code-location"]["environment"].keys()
    used = set(re.findall(r"\$\{(\w+)", (REPO / "docker-compose.yml").read_text()))
    explained = set(re.findall(r"^#?(\w+)=", (REPO / ".env.example").read_text(), re.MULTILINE))
    assert used <= explained


def test_image_runs_without_root_and_contains_no_secret() -> None:
    lines = (REPO / "Dockerfile").read_text().replace("\\\n", "").splitlines()
    instructions = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    users = [rest for word, rest in instructions if word == "USER"]
    assert users[0] == users[-1] == "10001:10001"
    assert {word for word, _ in instructions} >= {"HEALTHCHECK", "STOPSIGNAL"}
    assert not [
        rest for word, rest in instructions if word in {"ARG", "ENV"} and re.search("PASS|CRED|SECRET|TOKEN", rest)
    ]
    assert not [word for word, _ in instructions if word == "ADD"]
    # Only the listed files are sent to the builder, and .env is not among them.
    sent = (REPO / ".dockerignore").read_text().split("\n", 1)[1].split()
    assert sent[0] == "*"
    copied = ["pyproject.toml", "constraints.txt", "deploy/compose", "taxi_platform"]
    assert all(any(line.startswith(f"!{name}") for line in sent) for name in copied)
    assert not any(".env" in line for line in sent)


def test_image_starts_what_compose_starts() -> None:
    text = (REPO / "Dockerfile").read_text()
    service = read_compose()["services"]["code-location"]
    assert f"CMD {service['command']!s}".replace("'", '"').replace("code-server", "0.0.0.0") in text
    health = [word for word in service["healthcheck"]["test"][1:] if word not in {"--host", "code-server"}]
    assert f"CMD {health!s}".replace("'", '"') in text


def test_all_instances_have_the_same_limits_and_retries() -> None:
    composed = read_yaml(REPO / "deploy/compose/dagster.yaml")
    for file in ("taxi_platform/local/instance.yaml", "dagster.yaml"):
        settings = {name: value for name, value in read_yaml(REPO / file).items() if not name.endswith("storage")}
        settings["run_queue"]["max_concurrent_runs"] = composed["run_queue"]["max_concurrent_runs"]
        assert {name: composed[name] | value for name, value in settings.items()} == {
            name: composed[name] for name in settings
        }, file


def test_terraform_files_are_formatted() -> None:
    terraform = shutil.which("terraform")
    if terraform is None:
        pytest.skip("no terraform on this machine")
    done = subprocess.run(
        [terraform, "fmt", "-check", "-diff", str(REPO / "deploy/terraform")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_workflow_tests_the_oldest_and_newest_python() -> None:
    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    supported = re.findall(r"Python :: (3\.\d+)", " ".join(project["classifiers"]))
    assert read_yaml(WORKFLOW)["jobs"]["test"]["strategy"]["matrix"]["python"] == [supported[0], supported[-1]]
    makefile = (REPO / "Makefile").read_text()
    assert all(f" python{version} " in makefile for version in supported)


def test_make_installs_the_programs_of_the_readme() -> None:
    """Each environment that a command of the quick start creates has dg, which is not in the package's requirements."""
    rules = re.findall(r"^\t@\$\(PIP\) (.+)$", (REPO / "Makefile").read_text(), re.MULTILINE)
    assert len(rules) == 3
    assert all("dagster-dg-cli" in rule or "dev" in rule for rule in rules)


def test_workflow_actions_are_pinned_and_have_few_permissions() -> None:
    workflow = read_yaml(WORKFLOW)
    assert workflow["permissions"] == {"contents": "read"}
    assert {name: job["permissions"] for name, job in workflow["jobs"].items() if "permissions" in job} == {
        "publish": {"contents": "read", "packages": "write"}
    }
    used = [step["uses"] for job in workflow["jobs"].values() for step in job["steps"] if "uses" in step]
    assert [action for action in used if not re.fullmatch(r"[a-z-]+/[a-z-]+@[0-9a-f]{40}", action)] == []
