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

    def query(self, query: str, **variables: Any) -> dict[str, Any]:
        """Return the response's data. Raise OSError if the webserver does not respond."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=PATIENCE) as received:
            response = json.load(received)
        assert "errors" not in response, response
        return response["data"]

    def launch(self, month: TripMonth, *assets: str) -> str:
        """Launch a run of the month; return its id."""
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
        response = self.query(_LAUNCH_RUN, params=params)["launchPipelineExecution"]
        assert response["__typename"] == "LaunchRunSuccess", response
        return response["run"]["id"]

    def backfill(self, months: list[TripMonth], *assets: str) -> str:
        """Launch a backfill; return its id."""
        params = {"assetSelection": _keys(assets), "partitionNames": [month.key for month in months]}
        response = self.query(_LAUNCH_BACKFILL, params=params)["launchPartitionBackfill"]
        assert response["__typename"] == "LaunchBackfillSuccess", response
        return response["backfillId"]

    def launch_job(self, job: str, config: dict[str, Any], tags: dict[str, str] | None = None) -> str:
        """Queue a run of the job; return its id."""
        selector = {"repositoryLocationName": "taxi_platform", "repositoryName": "__repository__", "jobName": job}
        listed = [{"key": key, "value": value} for key, value in (tags or {}).items()]
        params = {"selector": selector, "runConfigData": config, "executionMetadata": {"tags": listed}}
        response = self.query(_LAUNCH_JOB, params=params)["launchRun"]
        assert response["__typename"] == "LaunchRunSuccess", response
        return response["run"]["runId"]

    def cancel_backfill(self, backfill_id: str) -> None:
        response = self.query(_CANCEL_BACKFILL, id=backfill_id)["cancelPartitionBackfill"]
        assert response["__typename"] == "CancelBackfillSuccess", response

    def run_status(self, run_id: str) -> str:
        return self.query(_RUN, id=run_id)["runOrError"]["status"]

    def backfill_status(self, backfill_id: str) -> str:
        return self.query(_BACKFILL, id=backfill_id)["partitionBackfillOrError"]["status"]

    def runs(self, backfill_id: str) -> list[dict[str, Any]]:
        """Return the backfill's runs, including retries."""
        filters = {"tags": [{"key": "dagster/backfill", "value": backfill_id}]}
        return self.query(_RUNS, filter=filters)["runsOrError"]["results"]


def _keys(assets: tuple[str, ...]) -> list[dict[str, list[str]]]:
    return [{"path": [asset]} for asset in assets]
