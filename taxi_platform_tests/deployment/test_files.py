"""The files of the deployment: by their published schemas, by what they promise, and against each other.

The schemas of compose and of GitHub's workflows come with check-jsonschema. The chart's own is in no package: its keys
are listed here, what the chart makes of them is checked by Dagster, dagster-k8s and the Kubernetes client, and the
workflow has helm check the rest. `terraform validate` needs the network and is in the workflow too.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.job import DagsterK8sJobConfig, construct_dagster_k8s_job

from taxi_platform.settings import Settings
from taxi_platform_tests.support.compose import REPO, read_compose

WORKFLOW = REPO / ".github/workflows/ci.yml"
OURS = ("code-location", "daemon", "webserver")

CHART_KEYS = {
    "": "additionalInstanceConfig computeLogManager dagster-user-deployments dagsterDaemon dagsterWebserver flower "
    "generatePostgresqlPasswordSecret global ingress postgresql rabbitmq redis retention runLauncher telemetry",
    "global": "dagsterHome postgresqlSecretName serviceAccountName",
    "postgresql": "enabled postgresqlDatabase postgresqlHost postgresqlParams postgresqlScheme postgresqlUsername "
    "service",
    "dagster-user-deployments": "deployments enabled serviceAccount",
    "runLauncher": "config type",
    "runLauncher.config": "k8sRunLauncher",
    "runLauncher.config.k8sRunLauncher": "envConfigMaps envSecrets envVars imagePullPolicy loadInclusterConfig "
    "resources runK8sConfig securityContext volumeMounts volumes",
    "dagsterWebserver": "image podSecurityContext readinessProbe resources securityContext service",
    "dagsterDaemon": "enabled env image livenessProbe podSecurityContext resources runCoordinator runMonitoring "
    "runRetries securityContext",
    "retention": "enabled schedule sensor",
    "retention.sensor.purgeAfterDays": "failure skipped started success",
}
DEPLOYMENT_KEYS = (
    "dagsterApiGrpcArgs envConfigMaps envSecrets image includeConfigInLaunchedRuns name podSecurityContext port "
    "readinessProbe resources securityContext"
)


def read_yaml(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text())


@pytest.fixture
def values() -> dict[str, Any]:
    return read_yaml(REPO / "deploy/kubernetes/values.yaml")


@pytest.mark.parametrize(
    ("schema", "file"),
    [
        ("vendor.compose-spec", REPO / "docker-compose.yml"),
        ("vendor.github-workflows", WORKFLOW),
        ("custom.github-workflows-require-timeout", WORKFLOW),
    ],
    ids=["compose", "workflow", "workflow-timeouts"],
)
def test_a_file_fits_its_published_schema(schema: str, file: Path) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_service_is_pinned_checked_and_reachable_from_this_machine_alone() -> None:
    compose = read_compose()
    for name, service in compose["services"].items():
        assert service["healthcheck"]["test"][0] == "CMD", name
        assert not {"privileged", "network_mode", "pid"} & service.keys(), name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert all(need["condition"] == "service_healthy" for need in service.get("depends_on", {}).values()), name
        assert "docker.sock" not in str(service), name
        if "build" not in service:
            assert re.fullmatch(r"[a-z0-9/]+:\d+\.\d+", service["image"]), name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
    assert {name for name, service in compose["services"].items() if "cap_add" in service} == {"pgadmin"}


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


def test_data_are_in_named_volumes_at_the_path_of_version_18() -> None:
    compose = read_compose()
    for name in ("trips-db", "dagster-db"):
        volume = compose["services"][name]["volumes"][0]
        assert volume.endswith(":/var/lib/postgresql")
        assert volume.split(":")[0] in compose["volumes"]


def test_only_the_code_location_gets_the_secrets_of_trips_and_google() -> None:
    services = read_compose({"GCP_CREDS": "a-key", "TRIPS_PASSWORD": "a-password"})["services"]
    assert {name for name in OURS if re.search("a-key|a-password", str(services[name]))} == {"code-location"}


def test_every_setting_reaches_the_code_and_every_variable_is_explained() -> None:
    settings = {str(field.validation_alias) for field in Settings.model_fields.values()}
    assert settings - {"TAXI_HOME"} <= read_compose()["services"]["code-location"]["environment"].keys()
    used = set(re.findall(r"\$\{(\w+)", (REPO / "docker-compose.yml").read_text()))
    explained = set(re.findall(r"^#?(\w+)=", (REPO / ".env.example").read_text(), re.MULTILINE))
    assert used <= explained


def test_the_image_runs_as_a_number_that_is_not_root_and_takes_no_secret() -> None:
    lines = (REPO / "Dockerfile").read_text().replace("\\\n", "").splitlines()
    instructions = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    users = [rest for word, rest in instructions if word == "USER"]
    assert users[0] == users[-1] == "10001:10001"
    assert {word for word, _ in instructions} >= {"HEALTHCHECK", "STOPSIGNAL"}
    assert not [
        rest for word, rest in instructions if word in {"ARG", "ENV"} and re.search("PASS|CRED|SECRET|TOKEN", rest)
    ]
    assert not [word for word, _ in instructions if word == "ADD"]
    # It sends only what it needs to the builder, and .env is not of that.
    sent = (REPO / ".dockerignore").read_text().split("\n", 1)[1].split()
    assert sent[0] == "*"
    copied = ["pyproject.toml", "constraints.txt", "deploy/compose", "taxi_platform"]
    assert all(any(line.startswith(f"!{name}") for line in sent) for name in copied)
    assert not any(".env" in line for line in sent)


def test_the_image_starts_what_compose_starts() -> None:
    text = (REPO / "Dockerfile").read_text()
    service = read_compose()["services"]["code-location"]
    assert f"CMD {service['command']!s}".replace("'", '"').replace("code-server", "0.0.0.0") in text
    health = [word for word in service["healthcheck"]["test"][1:] if word not in {"--host", "code-server"}]
    assert f"CMD {health!s}".replace("'", '"') in text


def test_the_chart_knows_every_key(values: dict[str, Any]) -> None:
    for path, known in CHART_KEYS.items():
        found: Any = values
        for key in filter(None, path.split(".")):
            found = found[key]
        assert found.keys() <= set(known.split()), path
    for deployment in values["dagster-user-deployments"]["deployments"]:
        assert deployment.keys() <= set(DEPLOYMENT_KEYS.split())


def test_all_instances_have_the_same_limits_and_retries(values: dict[str, Any]) -> None:
    composed = read_yaml(REPO / "deploy/compose/dagster.yaml")
    runs_at_once = composed["run_queue"].pop("max_concurrent_runs")
    for name, developed in read_yaml(REPO / "taxi_platform/local/instance.yaml").items():
        if name != "storage":
            assert {**composed[name], "max_concurrent_runs": runs_at_once} | developed == {
                **composed[name],
                "max_concurrent_runs": runs_at_once,
            }, name

    cloned = read_yaml(REPO / "dagster.yaml")
    assert cloned["run_queue"].pop("max_concurrent_runs") == 1
    for name, settings in cloned.items():
        assert composed[name] | settings == composed[name], name

    charted = values["additionalInstanceConfig"]
    assert charted["run_queue"].pop("max_concurrent_runs") == 4
    assert read_compose()["services"]["daemon"]["environment"][runs_at_once["env"]] == "4"
    assert charted == {key: composed[key] for key in charted}
    monitoring = {_snake(key): value for key, value in values["dagsterDaemon"]["runMonitoring"].items()}
    # A pod may have to wait for a node, and no run is resumed.
    assert monitoring == {**composed["run_monitoring"], "start_timeout_seconds": 600, "max_resume_run_attempts": 0}
    assert values["telemetry"] == composed["telemetry"]


def test_dagster_takes_the_instance_that_the_chart_makes(values: dict[str, Any], tmp_path: Path) -> None:
    monitoring = {_snake(key): value for key, value in values["dagsterDaemon"]["runMonitoring"].items()}
    made = {"run_monitoring": monitoring, **values["additionalInstanceConfig"]}
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(made | {"telemetry": values["telemetry"]}))
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.run_retries_max_retries == 2


def test_a_run_in_kubernetes_is_a_pod_without_rights_with_an_empty_folder_for_downloads(values: dict[str, Any]) -> None:
    launcher = values["runLauncher"]["config"]["k8sRunLauncher"]
    config = {_snake(key): value for key, value in launcher.items() if key != "loadInclusterConfig"}
    for sources in ("env_config_maps", "env_secrets"):
        config[sources] = [source["name"] for source in config[sources]]
    config["run_k8s_config"] = {_snake(key): value for key, value in config["run_k8s_config"].items()}
    context = K8sContainerContext.create_from_config({"k8s": config})
    job = construct_dagster_k8s_job(
        DagsterK8sJobConfig(job_image="image", dagster_home="/opt/dagster/home"),
        args=["dagster", "api", "execute_run"],
        job_name="a-run",
        user_defined_k8s_config=context.run_k8s_config,
    )

    assert job.spec is not None
    pod = job.spec.template.spec
    container = pod.containers[0]
    assert pod.service_account_name == "taxi-platform"
    assert pod.security_context.run_as_non_root
    assert container.security_context.allow_privilege_escalation is False
    assert container.security_context.capabilities.drop == ["ALL"]
    mounted = {mount.name: mount.mount_path for mount in container.volume_mounts}
    home = re.search("TAXI_HOME=(.+)", (REPO / "Dockerfile").read_text())
    assert home
    assert mounted["downloads"] == home[1]
    assert [volume.name for volume in pod.volumes if volume.empty_dir is not None] == ["downloads"]
    assert container.resources.limits["memory"] == launcher["resources"]["limits"]["memory"]


def test_what_the_values_refer_to_is_there(values: dict[str, Any]) -> None:
    objects = list(yaml.safe_load_all((REPO / "deploy/kubernetes/platform.yaml").read_text()))
    names = {(each["kind"], each["metadata"]["name"]) for each in objects}
    account = values["dagster-user-deployments"]["serviceAccount"]["name"]
    assert {("ServiceAccount", account), ("ConfigMap", "taxi-platform")} <= names
    outputs = (REPO / "deploy/terraform/outputs.tf").read_text()
    settings = next(each["data"] for each in objects if each["kind"] == "ConfigMap")
    assert all(re.search(rf"{name}\s+=", outputs) for name in settings)
    assert settings.keys() <= {str(field.validation_alias) for field in Settings.model_fields.values()}


def test_terraforms_files_are_in_its_form() -> None:
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


def test_actions_have_no_more_rights_than_their_job_needs() -> None:
    workflow = read_yaml(WORKFLOW)
    assert workflow["permissions"] == {"contents": "read"}
    assert {name: job["permissions"] for name, job in workflow["jobs"].items() if "permissions" in job} == {
        "publish": {"contents": "read", "packages": "write"}
    }
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            if "uses" in step:
                assert re.fullmatch(r"[a-z-]+/[a-z-]+@[0-9a-f]{40}", step["uses"])


def _snake(name: str) -> str:
    """The chart's name of a key as Dagster has it."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[a-z])(?=8s)", "_", name).lower().replace("k_8s", "k8s")
