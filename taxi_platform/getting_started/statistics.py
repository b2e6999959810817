"""Two assets in plain Python, and the resources for their APIs: an image's pulls and a repository's stars.

docker_image_pulls        github_stars
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

RETRIES = retries(1, times=2)


class DockerHub(dg.ConfigurableResource):
    """Docker Hub's API."""

    url: str | None = Field(default=None, description="Base URL. Default: TAXI_DOCKER_HUB_URL.")
    timeout: float = Field(default=30.0, description="Seconds to wait for a connection, and for more data after that.")

    def pull_count(self, image: str) -> int:
        """Return how often the image `owner/name` was pulled."""
        base = self.url or Settings().docker_hub_url
        return _count(f"{base}/repositories/{_validated(image)}/", "pull_count", self.timeout, {})


class GitHub(dg.ConfigurableResource):
    """GitHub's API without an account, which allows 60 requests an hour from an address."""

    url: str | None = Field(default=None, description="Base URL. Default: TAXI_GITHUB_API_URL.")
    timeout: float = Field(default=30.0, description="Seconds to wait for a connection, and for more data after that.")

    def stars(self, repository: str) -> int:
        """Return how many stars the repository `owner/name` has."""
        base = self.url or Settings().github_api_url
        headers = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
        return _count(f"{base}/repos/{_validated(repository)}", "stargazers_count", self.timeout, headers)


def _count(url: str, field: str, timeout: float, headers: dict[str, str]) -> int:
    response: Any = get_json(url, timeout=timeout, headers=headers)
    count = response.get(field) if isinstance(response, dict) else None
    if not isinstance(count, int) or isinstance(count, bool):
        raise BadAnswer(
            f"The response of {safe_url(url)} has no whole number `{field}`.", "Run it again once the API works."
        )
    return count


def _validated(name: str) -> str:
    """Return `name` if it has the form owner/name; anything else would request another page of the API."""
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name, re.ASCII):
        raise BadSetting(f"{name!r} does not have the form owner/name.", "Correct it in the run's configuration.")
    return name


class Image(dg.Config):
    """An image on Docker Hub."""

    image: str = Field(
        default="dagster/dagster-k8s", description="owner/name; the owner of an official image is `library`."
    )


class Repository(dg.Config):
    """A repository on GitHub."""

    repository: str = Field(default="dagster-io/dagster", description="owner/name")


@dg.asset(
    owners=OWNERS,
    kinds={"python", "docker"},
    code_version="1",
    retry_policy=RETRIES,
    metadata={
        "dagster/uri": "https://hub.docker.com/r/dagster/dagster-k8s",
        "dagster/column_schema": dg.TableSchema([dg.TableColumn("pull_count", "integer", "Number of pulls.")]),
    },
)
def docker_image_pulls(
    context: dg.AssetExecutionContext, config: Image, docker_hub: DockerHub, webhook: Webhook
) -> dg.MaterializeResult:
    """How often an image was pulled from Docker Hub. *Plots* shows the number over time."""
    count = docker_hub.pull_count(config.image)
    return _report(context, webhook, of=config.image, name="pull_count", count=count)


@dg.asset(
    owners=OWNERS,
    kinds={"python", "github"},
    code_version="1",
    retry_policy=RETRIES,
    metadata={
        "dagster/uri": "https://github.com/dagster-io/dagster",
        "dagster/column_schema": dg.TableSchema([dg.TableColumn("stars", "integer", "Number of stars.")]),
    },
)
def github_stars(
    context: dg.AssetExecutionContext, config: Repository, github: GitHub, webhook: Webhook
) -> dg.MaterializeResult:
    """How many stars a repository has on GitHub. *Plots* shows the number over time."""
    count = github.stars(config.repository)
    return _report(context, webhook, of=config.repository, name="stars", count=count)


def _report(
    context: dg.AssetExecutionContext, webhook: Webhook, *, of: str, name: str, count: int
) -> dg.MaterializeResult:
    """Return the count as metadata, and send a message if it differs from the previous one."""
    previous = _previous_count(context, of, name)
    metadata: dict[str, Any] = {"of": of, name: count}
    if previous is not None:
        metadata["change"] = count - previous
        if count != previous:
            webhook.send(f"{of}: {name} {previous:,} -> {count:,} ({count - previous:+,})")
    return dg.MaterializeResult(metadata=metadata)


def _previous_count(context: dg.AssetExecutionContext, of: str, name: str) -> int | None:
    """Return the latest count of the same image or repository among the last hundred materializations."""
    for record in context.instance.fetch_materializations(context.asset_key, limit=100).records:
        materialization = record.asset_materialization
        if materialization and materialization.metadata.get("of") == dg.MetadataValue.text(of):
            count = materialization.metadata[name].value
            return count if isinstance(count, int) else None
    return None
