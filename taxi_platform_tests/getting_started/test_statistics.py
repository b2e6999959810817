"""The two statistics: the APIs' responses, and the assets with their messages."""

from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
import pytest

from taxi_platform.errors import BadAnswer, BadSetting
from taxi_platform.getting_started.statistics import DockerHub, GitHub, docker_image_pulls, github_stars
from taxi_platform.webhook import Webhook
from taxi_platform_tests.support.api_server import ApiRequest, ApiResponse, api_server

SECRET = "hidden-path-of-the-webhook"


class Apis:
    """Docker Hub, GitHub and a chat's webhook; a test changes their state between runs."""

    def __init__(self) -> None:
        self.url = ""
        self.pulls = 100
        self.stars = 10
        self.webhook = ApiResponse(b"ok")
        self.messages: list[bytes] = []

    def respond(self, request: ApiRequest) -> ApiResponse:
        if request.path == f"/{SECRET}":
            self.messages.append(request.body)
            return self.webhook
        if request.path in ("/repositories/dagster/dagster-k8s/", "/repositories/library/postgres/"):
            return ApiResponse({"star_count": 3, "pull_count": self.pulls})
        # GitHub refuses requests without a User-Agent.
        if request.path in ("/repos/dagster-io/dagster", "/repos/duckdb/duckdb") and request.headers["User-Agent"]:
            return ApiResponse({"stargazers_count": self.stars, "watchers_count": 3})
        return ApiResponse({"message": "Not Found"}, 404)


@pytest.fixture
def apis() -> Iterator[Apis]:
    apis = Apis()
    with api_server(apis.respond) as server:
        apis.url = server.url
        yield apis


def run(apis: Apis, instance: dg.DagsterInstance, **configs: dict[str, Any]) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [docker_image_pulls, github_stars],
        resources={
            "docker_hub": DockerHub(url=apis.url),
            "github": GitHub(url=apis.url),
            "webhook": Webhook(url=f"{apis.url}/{SECRET}"),
        },
        run_config={"ops": {name: {"config": config} for name, config in configs.items()}},
        instance=instance,
        raise_on_error=False,
    )


def metadata(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    (materialization,) = result.asset_materializations_for_node(asset)
    return {name: value.value for name, value in materialization.metadata.items()}


def pulls(url: str, image: str = "dagster/dagster-k8s") -> int:
    return DockerHub(url=url).pull_count(image)


def stars(url: str, repository: str = "dagster-io/dagster") -> int:
    return GitHub(url=url).stars(repository)


@pytest.mark.parametrize("request_count", [pulls, stars])
def test_unknown_name_is_bad_answer(request_count: Callable[[str, str], int], apis: Apis) -> None:
    with pytest.raises(BadAnswer, match="404"):
        request_count(apis.url, "dagster/none")


@pytest.mark.parametrize("request_count", [pulls, stars])
@pytest.mark.parametrize("body", [{}, [], {"pull_count": "many", "stargazers_count": "many"}, {"pull_count": None}])
def test_response_without_number_is_bad_answer(request_count: Callable[[str], int], body: Any) -> None:
    with api_server(lambda _: ApiResponse(body)) as server, pytest.raises(BadAnswer, match="no whole number"):
        request_count(server.url)


@pytest.mark.parametrize("name", ["", "dagster", "a/b/c", "../secrets", "a/..", "a/b?x=1", "a/b#c", "a b/c"])
def test_name_of_another_form_is_not_requested(name: str) -> None:
    with api_server(lambda _: ApiResponse({})) as server:
        for request_count in (pulls, stars):
            with pytest.raises(BadSetting, match="owner/name"):
                request_count(server.url, name)
    assert server.requests == []


def test_counts_are_metadata(apis: Apis, instance: dg.DagsterInstance) -> None:
    result = run(apis, instance)
    assert metadata(result, "docker_image_pulls") == {"of": "dagster/dagster-k8s", "pull_count": 100}
    assert metadata(result, "github_stars") == {"of": "dagster-io/dagster", "stars": 10}


def test_only_changed_count_is_sent(apis: Apis, instance: dg.DagsterInstance) -> None:
    run(apis, instance)
    run(apis, instance)
    assert apis.messages == []
    apis.stars = 1012
    result = run(apis, instance)
    assert apis.messages == [b'{"text": "dagster-io/dagster: stars 10 -&gt; 1,012 (+1,002)"}']
    assert metadata(result, "github_stars")["change"] == 1002
    assert metadata(result, "docker_image_pulls")["change"] == 0


def test_counts_of_other_repositories_are_not_compared(apis: Apis, instance: dg.DagsterInstance) -> None:
    run(apis, instance)
    apis.stars = 99
    result = run(apis, instance, github_stars={"repository": "duckdb/duckdb"})
    assert metadata(result, "github_stars") == {"of": "duckdb/duckdb", "stars": 99}
    assert apis.messages == []
    apis.stars = 11
    assert metadata(run(apis, instance), "github_stars")["change"] == 1


def test_failed_message_does_not_fail_run(apis: Apis, instance: dg.DagsterInstance) -> None:
    apis.webhook = ApiResponse(b"", 500)
    run(apis, instance)
    apis.stars = 11
    result = run(apis, instance)
    assert result.success
    logs = "\n".join(str(entry) for entry in instance.all_logs(result.run_id))
    assert "was not delivered" in logs
    assert SECRET not in logs


def test_failed_api_does_not_affect_other_asset(apis: Apis, instance: dg.DagsterInstance) -> None:
    result = run(apis, instance, github_stars={"repository": "not a name"})
    assert result.get_failed_step_keys() == {"github_stars"}
    assert metadata(result, "docker_image_pulls")["pull_count"] == 100
