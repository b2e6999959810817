"""The webserver's GraphQL API, used as the web interface uses it: launches runs and backfills, reads their status."""

import json
import urllib.request
from typing import Any

from taxi_platform.trips.partitions import TripMonth
from taxi_platform_tests.support.waiting import PATIENCE

_LAUNCH_RUN = """
mutation Launch($params: ExecutionParams!) {
  launchPipelineExecution(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { id } }
    ... on PythonError { message }
  }
}
"""
_LAUNCH_BACKFILL = """
mutation Launch($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""
_LAUNCH_JOB = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on PythonError { message }
  }
}
"""
_CANCEL_BACKFILL = """
mutation Cancel($id: String!) { cancelPartitionBackfill(backfillId: $id) { __typename } }
"""
_RUN = "query Run($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
_BACKFILL = """
query Backfill($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } } }
"""
_RUNS = """
query Runs($filter: RunsFilter!) {
  runsOrError(filter: $filter) { ... on Runs { results { id status parentRunId tags { key value } } } }
}
"""


class Webserver:
    """The webserver at a URL."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The answer's data. Raises OSError when the webserver does not answer."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            answer = json.load(response)
        assert "errors" not in answer, answer
        return answer["data"]

    def launch(self, month: TripMonth, *assets: str) -> str:
        """Launches a run of the month; returns its id."""
        tags = {
            "dagster/partition": month.key,
            "dagster/partition/colour": month.colour.name,
            "dagster/partition/month": month.month,
        }
        params = {
            "selector": {
                "repositoryLocationName": "taxi_platform",
                "repositoryName": "__repository__",
                "pipelineName": "__ASSET_JOB",
                "assetSelection": _keys(assets),
            },
            "mode": "default",
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
        }
        answer = self.ask(_LAUNCH_RUN, params=params)["launchPipelineExecution"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return answer["run"]["id"]

    def backfill(self, months: list[TripMonth], *assets: str) -> str:
        """Launches a backfill; returns its id."""
        params = {"assetSelection": _keys(assets), "partitionNames": [month.key for month in months]}
        answer = self.ask(_LAUNCH_BACKFILL, params=params)["launchPartitionBackfill"]
        assert answer["__typename"] == "LaunchBackfillSuccess", answer
        return answer["backfillId"]

    def launch_job(self, job: str, config: dict[str, Any], tags: dict[str, str] | None = None) -> str:
        """Puts a run of the job into the queue; returns its id."""
        selector = {"repositoryLocationName": "taxi_platform", "repositoryName": "__repository__", "jobName": job}
        listed = [{"key": key, "value": value} for key, value in (tags or {}).items()]
        params = {"selector": selector, "runConfigData": config, "executionMetadata": {"tags": listed}}
        answer = self.ask(_LAUNCH_JOB, params=params)["launchRun"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return answer["run"]["runId"]

    def cancel_backfill(self, backfill_id: str) -> None:
        answer = self.ask(_CANCEL_BACKFILL, id=backfill_id)["cancelPartitionBackfill"]
        assert answer["__typename"] == "CancelBackfillSuccess", answer

    def run_status(self, run_id: str) -> str:
        return self.ask(_RUN, id=run_id)["runOrError"]["status"]

    def backfill_status(self, backfill_id: str) -> str:
        return self.ask(_BACKFILL, id=backfill_id)["partitionBackfillOrError"]["status"]

    def runs(self, backfill_id: str) -> list[dict[str, Any]]:
        """The backfill's runs, retries among them."""
        filters = {"tags": [{"key": "dagster/backfill", "value": backfill_id}]}
        return self.ask(_RUNS, filter=filters)["runsOrError"]["results"]


def _keys(assets: tuple[str, ...]) -> list[dict[str, list[str]]]:
    return [{"path": [asset]} for asset in assets]
