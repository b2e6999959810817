"""Docker Hub and GitHub: two public numbers about an image and a repository.

Not here: when they are asked for, and who hears of it.
"""

import re
from typing import Any

import dagster as dg

from taxi_platform.errors import BadAnswer, BadSetting
from taxi_platform.getting_started.json_api import get_json
from taxi_platform.settings import Settings
from taxi_platform.source.http_client import safe_url


class DockerHub(dg.ConfigurableResource):
    """Docker Hub's API. An official image's owner is `library`."""

    url: str | None = None
    """None: TAXI_DOCKER_HUB_URL."""
    timeout: float = 30.0
    """Seconds, for the connection and for each silence after it."""

    def pull_count(self, image: str) -> int:
        """How often `owner/name` was pulled since it exists."""
        base = self.url or Settings().docker_hub_url
        return _count(f"{base}/repositories/{_checked(image)}/", "pull_count", self.timeout, {})


class GitHub(dg.ConfigurableResource):
    """GitHub's API without an account: 60 requests an hour from an address."""

    url: str | None = None
    """None: TAXI_GITHUB_API_URL."""
    timeout: float = 30.0
    """Seconds, for the connection and for each silence after it."""

    def stars(self, repository: str) -> int:
        """How many people have starred `owner/name`."""
        base = self.url or Settings().github_api_url
        headers = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
        return _count(f"{base}/repos/{_checked(repository)}", "stargazers_count", self.timeout, headers)


def _count(url: str, field: str, timeout: float, headers: dict[str, str]) -> int:
    answer: Any = get_json(url, timeout=timeout, headers=headers)
    count = answer.get(field) if isinstance(answer, dict) else None
    if not isinstance(count, int) or isinstance(count, bool):
        raise BadAnswer(
            f"The answer of {safe_url(url)} has no whole number `{field}`.",
            "A rerun helps once the API answers properly.",
        )
    return count


def _checked(name: str) -> str:
    """`name` if it is of the form owner/name: anything else would ask for some other page of the API."""
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name, re.ASCII):
        raise BadSetting(
            f"{name!r} is not a name of the form owner/name.",
            "A rerun does not help: correct it in the run's configuration.",
        )
    return name
