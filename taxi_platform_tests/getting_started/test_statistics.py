"""Docker Hub's and GitHub's numbers."""

from collections.abc import Callable
from typing import Any

import pytest

from taxi_platform.errors import BadAnswer, BadSetting
from taxi_platform.getting_started.statistics import DockerHub, GitHub
from taxi_platform_tests.support.api_server import Answer, Asked, api_server


def pulls(url: str) -> int:
    return DockerHub(url=url).pull_count("dagster/dagster-k8s")


def stars(url: str) -> int:
    return GitHub(url=url).stars("dagster-io/dagster")


def hub(asked: Asked) -> Answer:
    """As Docker Hub: the path ends in a slash, and the count stands among other fields."""
    if asked.path == "/repositories/dagster/dagster-k8s/":
        return Answer({"name": "dagster-k8s", "star_count": 3, "pull_count": 12_345_678})
    return Answer({"message": "object not found"}, 404)


def github(asked: Asked) -> Answer:
    if asked.path == "/repos/dagster-io/dagster":
        return Answer({"full_name": "dagster-io/dagster", "stargazers_count": 14_321, "watchers_count": 14_321})
    return Answer({"message": "Not Found"}, 404)


def test_docker_hub_tells_an_images_pulls() -> None:
    with api_server(hub) as server:
        assert pulls(server.url) == 12_345_678
        with pytest.raises(BadAnswer, match="404"):
            DockerHub(url=server.url).pull_count("dagster/none")


def test_github_tells_a_repositorys_stars() -> None:
    with api_server(github) as server:
        assert stars(server.url) == 14_321
        with pytest.raises(BadAnswer, match="404"):
            GitHub(url=server.url).stars("dagster-io/none")
    # GitHub refuses requests without a User-Agent.
    assert all(asked.headers.get("User-Agent") for asked in server.asked)


@pytest.mark.parametrize("ask", [pulls, stars])
@pytest.mark.parametrize("body", [{}, [], {"pull_count": "many", "stargazers_count": "many"}, {"pull_count": None}])
def test_an_answer_without_the_number_is_refused(ask: Callable[[str], int], body: Any) -> None:
    with api_server(lambda _: Answer(body)) as server, pytest.raises(BadAnswer, match="no whole number"):
        ask(server.url)


@pytest.mark.parametrize("name", ["", "dagster", "a/b/c", "../secrets", "a/..", "a/b?x=1", "a/b#c", "a b/c"])
def test_a_name_that_would_ask_for_another_page_is_refused(name: str) -> None:
    with api_server(github) as server:
        with pytest.raises(BadSetting, match="owner/name"):
            GitHub(url=server.url).stars(name)
        with pytest.raises(BadSetting, match="owner/name"):
            DockerHub(url=server.url).pull_count(name)
    assert server.asked == []
