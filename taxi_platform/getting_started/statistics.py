"""Docker Hub and GitHub: two public numbers about an image and a repository.

Not here: when they are asked for, and who hears of it.
"""

import re
from typing import Any

import dagster as dg
from pydantic import Field

from taxi_platform.errors import BadAnswer, BadSetting
from taxi_platform.getting_started.json_api import get_json
from taxi_platform.settings import Settings
from taxi_platform.source.http_client import safe_url
from taxi_platform.trips.trip_asset import OWNERS, retries
from taxi_platform.webhook import Webhook

GROUP = "getting_started"
RETRIES = retries(1, times=2)


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


class Image(dg.Config):
    """An image on Docker Hub."""

    image: str = Field("dagster/dagster-k8s", description="owner/name; an official image's owner is `library`.")


class Repository(dg.Config):
    """A repository on GitHub."""

    repository: str = Field("dagster-io/dagster", description="owner/name")


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "docker"},
    code_version="1",
    retry_policy=RETRIES,
    metadata={
        "dagster/uri": "https://hub.docker.com/r/dagster/dagster-k8s",
        "dagster/column_schema": dg.TableSchema([dg.TableColumn("pull_count", "integer", "Pulls since it exists.")]),
    },
)
def docker_image_pulls(
    context: dg.AssetExecutionContext, config: Image, docker_hub: DockerHub, webhook: Webhook
) -> dg.MaterializeResult:
    """How often an image was pulled from Docker Hub; the web interface plots the number over time."""
    count = docker_hub.pull_count(config.image)
    return _counted(context, webhook, of=config.image, what="pull_count", count=count)


@dg.asset(
    group_name=GROUP,
    owners=OWNERS,
    kinds={"python", "github"},
    code_version="1",
    retry_policy=RETRIES,
    metadata={
        "dagster/uri": "https://github.com/dagster-io/dagster",
        "dagster/column_schema": dg.TableSchema([dg.TableColumn("stars", "integer", "People who starred it.")]),
    },
)
def github_stars(
    context: dg.AssetExecutionContext, config: Repository, github: GitHub, webhook: Webhook
) -> dg.MaterializeResult:
    """How many stars a repository has on GitHub; the web interface plots the number over time."""
    count = github.stars(config.repository)
    return _counted(context, webhook, of=config.repository, what="stars", count=count)


def _counted(
    context: dg.AssetExecutionContext, webhook: Webhook, *, of: str, what: str, count: int
) -> dg.MaterializeResult:
    """The count as metadata, under its own name; the chat hears of it when it has moved since the last look."""
    before = _last_count(context, of, what)
    metadata: dict[str, Any] = {"of": of, what: count}
    if before is not None:
        metadata["change"] = count - before
    if before not in (None, count):
        webhook.send(f"{of}: {what} {before:,} -> {count:,} ({count - before:+,})")
    return dg.MaterializeResult(metadata=metadata)


def _last_count(context: dg.AssetExecutionContext, of: str, what: str) -> int | None:
    """The count of the newest materialization of the same image or repository, among the last hundred."""
    for record in context.instance.fetch_materializations(context.asset_key, limit=100).records:
        materialization = record.asset_materialization
        if materialization and materialization.metadata.get("of") == dg.MetadataValue.text(of):
            count = materialization.metadata[what].value
            return count if isinstance(count, int) else None
    return None
