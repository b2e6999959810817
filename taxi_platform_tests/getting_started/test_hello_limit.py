"""At most two runs of hello_world at a time, with the daemon and the platform's own instance configuration."""

from pathlib import Path
from threading import Event
from typing import Any

from taxi_platform.getting_started.jobs import HELLO_LIMIT_TAG
from taxi_platform_tests.support.api_server import ApiRequest, ApiResponse, api_server
from taxi_platform_tests.support.waiting import PATIENCE, until
from taxi_platform_tests.support.web_interface import web_interface

LIMITED = {HELLO_LIMIT_TAG: "hello_world"}


def slow(image: str) -> dict[str, Any]:
    """Return the configuration of a statistics run that lasts until the local API responds."""
    return {"ops": {"docker_image_pulls": {"config": {"image": image}}}}


def test_third_hello_run_waits_for_one_of_two(tmp_path: Path, postgres_url: str) -> None:
    release = Event()

    def respond(request: ApiRequest) -> ApiResponse:
        if "slow" in request.path:
            release.wait(PATIENCE)
        return ApiResponse({"pull_count": 1, "stargazers_count": 1})

    with api_server(respond) as api:
        apis = {"TAXI_DOCKER_HUB_URL": api.url, "TAXI_GITHUB_API_URL": api.url}
        settings = {**apis, "TAXI_ALERT_WEBHOOK": "", "TAXI_RUNS_AT_ONCE": "10"}
        with web_interface(tmp_path, postgres_url, settings) as web:
            # Runs of hello_world end at once, so two runs that can be delayed carry its tag instead.
            running = [web.launch_job("statistics", slow(f"slow/{name}"), LIMITED) for name in ("a", "b")]
            until(lambda: all(web.run_status(run) == "STARTED" for run in running))
            third = web.launch_job("hello_world", {"name": "Ann"})
            # A later run without the limit: when it has finished, the daemon has passed over the third.
            later = web.launch_job("statistics", {})
            until(lambda: web.run_status(later) == "SUCCESS")
            assert web.run_status(third) == "QUEUED"
            release.set()
            until(lambda: web.run_status(third) == "SUCCESS")
