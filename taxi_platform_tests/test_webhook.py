"""Messages to a chat: their form, and that a failed one raises nothing and does not reveal the URL."""

import json
import logging
from typing import Any

import pytest

from taxi_platform.webhook import Webhook
from taxi_platform_tests.support.api_server import ApiResponse, api_server

SECRET = "T0123-B0456-hidden"


def test_slack_message_is_escaped() -> None:
    with api_server(lambda _: ApiResponse(b"ok")) as server:
        assert Webhook(url=f"{server.url}/services/x").send("1 & 2: <!channel>")
    (asked,) = server.requests
    assert (asked.method, asked.path) == ("POST", "/services/x")
    assert asked.headers["Content-Type"] == "application/json"
    assert json.loads(asked.body) == {"text": "1 &amp; 2: &lt;!channel&gt;"}


@pytest.mark.parametrize(
    ("host", "form"),
    [
        ("discord.com", {"content": "é" * 2000, "allowed_mentions": {"parse": []}}),
        ("ptb.discordapp.com", {"content": "é" * 2000, "allowed_mentions": {"parse": []}}),
        ("hooks.slack.com", {"text": "é" * 3000}),
        ("notdiscord.com", {"text": "é" * 3000}),
    ],
)
def test_host_determines_form_of_message(host: str, form: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    with api_server(lambda _: ApiResponse(b"", 204)) as server:
        # The server is the proxy of the host: a proxy receives the whole URL.
        monkeypatch.setenv("http_proxy", server.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert Webhook(url=f"http://{host}/api/webhooks/1/x").send("é" * 3000)
    (asked,) = server.requests
    assert asked.target == f"http://{host}/api/webhooks/1/x"
    assert json.loads(asked.body) == form


def test_default_url_is_the_setting_at_time_of_use(monkeypatch: pytest.MonkeyPatch) -> None:
    webhook = Webhook()
    with api_server(lambda _: ApiResponse(b"ok")) as server:
        monkeypatch.setenv("TAXI_ALERT_WEBHOOK", f"{server.url}/{SECRET}")
        assert webhook.send("hello")
    assert server.requests[0].path == f"/{SECRET}"


def test_no_setting_means_no_message(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.delenv("TAXI_ALERT_WEBHOOK", raising=False)
    assert Webhook().send("hello") is False
    assert caplog.text == ""


@pytest.mark.parametrize("status", [302, 404, 429, 500])
def test_refused_message_is_a_warning_without_the_url(status: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with api_server(lambda _: ApiResponse(b"no", status, {"Location": "/elsewhere"})) as server:
        assert Webhook(url=f"{server.url}/{SECRET}").send("hello") is False
    assert len(server.requests) == 1
    assert f"status is {status}" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "url",
    [
        f"http://127.0.0.1:9/{SECRET}",
        f"ftp://example.org/{SECRET}",
        f"file:///{SECRET}",
        SECRET,
        f"http://[{SECRET}",
        f"http:///{SECRET}",
        f"http://127.0.0.1:port/{SECRET}",
        f"http://127.0.0.1:9/{SECRET} with a space",
    ],
)
def test_failed_message_is_a_warning_without_the_url(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert Webhook(url=url).send("hello") is False
    assert "was not delivered" in caplog.text
    assert SECRET not in caplog.text


def test_incomplete_response_does_not_reveal_the_url(caplog: pytest.LogCaptureFixture) -> None:
    with api_server(lambda _: ApiResponse(b"", 200, {"Transfer-Encoding": "chunked"})) as server:
        Webhook(url=f"{server.url}/{SECRET}", timeout=60).send("hello")
    assert SECRET not in caplog.text
