"""Tests of the Helm values.

The chart and its values.schema.json are in no package. The keys that are used are listed here with the types of that
schema; `helm template` in the workflow compares the rest. What the chart renders from them is validated by Dagster,
dagster-k8s and the Kubernetes client.
"""

import importlib
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.job import DagsterK8sJobConfig, construct_dagster_k8s_job
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from taxi_platform.local.emulators.servers import Emulators
from taxi_platform.settings import Settings
from taxi_platform_tests.support.compose import REPO, read_compose

VALUES = REPO / "deploy/kubernetes/values.yaml"

# Objects of Kubernetes' own, which the chart passes on.
KUBERNETES = dict[str, Any]
IMAGE = {"repository": str, "tag": str, "pullPolicy": str}
SOURCES = [{"name": str}]
SECURITY = {"podSecurityContext": KUBERNETES, "securityContext": KUBERNETES, "resources": KUBERNETES}

CHART = {
    "global": {"dagsterHome": str, "postgresqlSecretName": str},
    "generatePostgresqlPasswordSecret": bool,
    "postgresql": {
        "enabled": bool,
        "postgresqlHost": str,
        "postgresqlUsername": str,
        "postgresqlDatabase": str,
        "postgresqlParams": KUBERNETES,
        "postgresqlScheme": str,
        "service": {"port": int},
    },
    "dagster-user-deployments": {
        "enabled": bool,
        "serviceAccount": {"create": bool, "name": str},
        "deployments": [
            {
                "name": str,
                "image": IMAGE,
                "dagsterApiGrpcArgs": [str],
                "port": int,
                "includeConfigInLaunchedRuns": {"enabled": bool},
                "envConfigMaps": SOURCES,
                "envSecrets": SOURCES,
                "readinessProbe": KUBERNETES,
                **SECURITY,
            }
        ],
    },
    "runLauncher": {
        "type": str,
        "config": {
            "k8sRunLauncher": {
                "imagePullPolicy": str,
                "loadInclusterConfig": bool,
                "envConfigMaps": SOURCES,
                "envSecrets": SOURCES,
                "envVars": [str],
                "volumeMounts": [KUBERNETES],
                "volumes": [KUBERNETES],
                "resources": KUBERNETES,
                "securityContext": KUBERNETES,
                "runK8sConfig": {"podSpecConfig": KUBERNETES, "jobSpecConfig": KUBERNETES},
            }
        },
    },
    "dagsterWebserver": {
        "image": IMAGE,
        "service": {"type": str, "port": int},
        "readinessProbe": KUBERNETES,
        **SECURITY,
    },
    "dagsterDaemon": {
        "enabled": bool,
        "image": IMAGE,
        "env": [{"name": str, "value": str}],
        "runCoordinator": {"enabled": bool},
        "runMonitoring": {"enabled": bool},
        "runRetries": {"enabled": bool},
        "livenessProbe": KUBERNETES,
        **SECURITY,
    },
    "computeLogManager": {
        "type": str,
        "config": {"gcsComputeLogManager": {"bucket": str, "prefix": str, "localDir": str}},
    },
    "serviceAccount": {"create": bool, "name": str, "annotations": KUBERNETES},
    "retention": {
        "enabled": bool,
        "schedule": {"purgeAfterDays": int},
        "sensor": {"purgeAfterDays": {"skipped": int, "failure": int, "success": int, "started": int}},
    },
    "telemetry": {"enabled": bool},
    "additionalInstanceConfig": KUBERNETES,
    "rabbitmq": {"enabled": bool},
    "redis": {"enabled": bool},
    "flower": {"enabled": bool},
    "ingress": {"enabled": bool},
}


@pytest.fixture
def values() -> dict[str, Any]:
    return yaml.safe_load(VALUES.read_text())


@pytest.fixture
def output_values() -> dict[str, Any]:
    """The commented block that stores the pods' output in the bucket."""
    block = VALUES.read_text().partition("\n#computeLogManager:\n")[2].partition("\n\n")[0]
    return yaml.safe_load("computeLogManager:\n" + "\n".join(line.removeprefix("#") for line in block.splitlines()))


def misfits(value: Any, expected: Any, path: str = "") -> list[str]:
    """Return the paths below which a value has a key or a type that the chart does not have."""
    match expected:
        case dict():
            if not isinstance(value, dict):
                return [path]
            unknown = [f"{path}.{key}" for key in value if key not in expected]
            known = [misfits(each, expected[key], f"{path}.{key}") for key, each in value.items() if key in expected]
            return sum(known, unknown)
        case [item]:
            if not isinstance(value, list):
                return [path]
            return [found for each in value for found in misfits(each, item, f"{path}[]")]
        case type():
            return [] if type(value) is expected else [path]
    return [] if isinstance(value, dict) else [path]


def test_keys_and_types_are_the_charts(values: dict[str, Any], output_values: dict[str, Any]) -> None:
    assert misfits(values, CHART) == []
    assert misfits(output_values, CHART) == []


def test_a_wrong_key_or_type_is_found() -> None:
    wrong = {"telemetry": {"enabled": "no"}, "ingress": [], "redis": {"enable": True}, "global": {"dagsterHome": "x"}}
    assert misfits(wrong, CHART) == [".telemetry.enabled", ".ingress", ".redis.enable"]


def test_instance_has_the_limits_and_retries_of_compose(values: dict[str, Any]) -> None:
    composed = yaml.safe_load((REPO / "deploy/compose/dagster.yaml").read_text())
    charted = values["additionalInstanceConfig"]
    assert charted["run_queue"].pop("max_concurrent_runs") == 4
    default = read_compose()["services"]["daemon"]["environment"]["TAXI_RUNS_AT_ONCE"]
    assert (composed["run_queue"].pop("max_concurrent_runs"), default) == ({"env": "TAXI_RUNS_AT_ONCE"}, "4")
    # A pod may have to wait for a node, and no run is resumed.
    composed["run_monitoring"] |= {"start_timeout_seconds": 600, "max_resume_run_attempts": 0}
    assert charted == {key: composed[key] for key in charted}
    assert values["telemetry"] == composed["telemetry"]
    [variable] = values["dagsterDaemon"]["env"]
    assert read_compose()["services"]["daemon"]["environment"][variable["name"]] == variable["value"]


def test_dagster_accepts_the_rendered_instance(values: dict[str, Any], tmp_path: Path) -> None:
    rendered = values["additionalInstanceConfig"] | {"telemetry": values["telemetry"]}
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(rendered))
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.run_retries_max_retries == 2
        assert instance.run_monitoring_enabled


def test_run_pod_has_no_privileges_and_an_empty_download_folder(values: dict[str, Any]) -> None:
    launcher = values["runLauncher"]["config"]["k8sRunLauncher"]
    config = {snake(key): value for key, value in launcher.items() if key != "loadInclusterConfig"}
    for sources in ("env_config_maps", "env_secrets"):
        config[sources] = [source["name"] for source in config[sources]]
    config["run_k8s_config"] = {snake(key): value for key, value in config["run_k8s_config"].items()}
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


def test_objects_that_the_values_name_exist(values: dict[str, Any], output_values: dict[str, Any]) -> None:
    objects = list(yaml.safe_load_all((REPO / "deploy/kubernetes/platform.yaml").read_text()))
    names = {(each["kind"], each["metadata"]["name"]) for each in objects}
    account = values["dagster-user-deployments"]["serviceAccount"]["name"]
    assert {("ServiceAccount", account), ("ConfigMap", "taxi-platform")} <= names
    outputs = (REPO / "deploy/terraform/outputs.tf").read_text()
    settings = next(each["data"] for each in objects if each["kind"] == "ConfigMap")
    assert all(re.search(rf"{name}\s+=", outputs) for name in settings)
    assert settings.keys() <= {str(field.validation_alias) for field in Settings.model_fields.values()}
    terraform = (REPO / "deploy/terraform/main.tf").read_text()
    [google_account] = output_values["serviceAccount"]["annotations"].values()
    assert f'account_id   = "{google_account.split("@")[0]}"' in terraform
    prefix = output_values["computeLogManager"]["config"]["gcsComputeLogManager"]["prefix"]
    assert f"/objects/{prefix}/')" in terraform


def test_other_namespaces_reach_no_pod() -> None:
    objects = list(yaml.safe_load_all((REPO / "deploy/kubernetes/platform.yaml").read_text()))
    [policy] = [each["spec"] for each in objects if each["kind"] == "NetworkPolicy"]
    every_pod_of_the_namespace = {"podSelector": {}}
    assert policy["podSelector"] == {}
    assert policy["policyTypes"] == ["Ingress"]
    assert policy["ingress"] == [{"from": [every_pod_of_the_namespace]}]
    # The account of runs gets no permission in Kubernetes.
    assert not [each for each in objects if "Role" in each["kind"]]


@pytest.mark.skipif(find_spec("dagster_gcp") is None, reason="dagster-gcp is not installed")
def test_output_of_a_run_is_stored_in_the_bucket(
    output_values: dict[str, Any], emulators: Emulators, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulators.storage_url)
    client = storage.Client("test-project", AnonymousCredentials())
    client.create_bucket("test-run-output")
    chosen = output_values["computeLogManager"]
    [settings] = chosen["config"].values()
    config = {snake(key): value for key, value in settings.items()}
    config |= {"bucket": "test-run-output", "local_dir": str(tmp_path / "pod")}
    manager_class = getattr(importlib.import_module("dagster_gcp.gcs.compute_log_manager"), chosen["type"])
    logs = {"module": manager_class.__module__, "class": manager_class.__name__, "config": config}
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump({"compute_logs": logs, "telemetry": {"enabled": False}}))

    @dg.op
    def speak() -> None:
        print("said by the run")

    @dg.job
    def spoken() -> None:
        speak()

    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert spoken.execute_in_process(instance=instance).success
    [key] = [blob.name for blob in client.list_blobs("test-run-output") if blob.name.endswith(".out")]
    assert key.startswith("dagster-logs/storage/")
    assert b"said by the run" in client.bucket("test-run-output").blob(key).download_as_bytes()
    client.close()


def snake(name: str) -> str:
    """Return the chart's name of a key as Dagster writes it."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[a-z])(?=8s)", "_", name).lower().replace("k_8s", "k8s")
