"""At most two runs of hello world at a time, with the real daemon and the platform's own instance configuration."""

from pathlib import Path
from threading import Event
from typing import Any

from taxi_platform.getting_started.jobs import HELLO_LIMIT_TAG
from taxi_platform_tests.support.api_server import Answer, Asked, api_server
from taxi_platform_tests.support.web_interface import until, web_interface

LIKE_HELLO = {HELLO_LIMIT_TAG: "hello_world"}


def slow(image: str) -> dict[str, Any]:
    """Configuration of a statistics run that lasts until the local API lets it go."""
    return {"ops": {"docker_image_pulls": {"config": {"image": image}}}}


def test_a_third_hello_waits_until_one_of_two_has_ended(tmp_path: Path, postgres_url: str) -> None:
    release = Event()

    def answer(asked: Asked) -> Answer:
        if "slow" in asked.path:
            release.wait(120)
        return Answer({"pull_count": 1, "stargazers_count": 1})

    with api_server(answer) as api:
        apis = {"TAXI_DOCKER_HUB_URL": api.url, "TAXI_GITHUB_API_URL": api.url}
        settings = {**apis, "TAXI_ALERT_WEBHOOK": "", "TAXI_RUNS_AT_ONCE": "10"}
        with web_interface(tmp_path, postgres_url, settings) as web:
            # Greetings end at once, so two runs that can be held up take their places.
            running = [web.launch_job("statistics", slow(f"slow/{name}"), LIKE_HELLO) for name in ("a", "b")]
            until(lambda: all(web.run_status(run) == "STARTED" for run in running))
            third = web.launch_job("hello_world", {"name": "Ann"})
            # A run without the limit that is asked for later: when it has run, the daemon has passed over the third.
            later = web.launch_job("statistics", {})
            until(lambda: web.run_status(later) == "SUCCESS")
            assert web.run_status(third) == "QUEUED"
            release.set()
            until(lambda: web.run_status(third) == "SUCCESS")
