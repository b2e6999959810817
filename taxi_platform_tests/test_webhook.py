"""A message to a chat: its form, and that nothing which happens to it does harm or tells the address."""

import json
import logging
from typing import Any

import pytest

from taxi_platform.webhook import Webhook
from taxi_platform_tests.support.api_server import Answer, api_server

SECRET = "T0123-B0456-hidden"


def test_slack_hears_a_text_that_cannot_ping() -> None:
    with api_server(lambda _: Answer(b"ok")) as server:
        assert Webhook(url=f"{server.url}/services/x").send("1 & 2: <!channel>")
    (asked,) = server.asked
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
def test_the_host_tells_discord_and_each_gets_its_own_form(
    host: str, form: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with api_server(lambda _: Answer(b"", 204)) as server:
        # The server stands in as the way to the host: a proxy is asked with the whole URL.
        monkeypatch.setenv("http_proxy", server.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert Webhook(url=f"http://{host}/api/webhooks/1/x").send("é" * 3000)
    (asked,) = server.asked
    assert asked.target == f"http://{host}/api/webhooks/1/x"
    assert json.loads(asked.body) == form


def test_the_setting_is_used_when_a_message_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    webhook = Webhook()
    with api_server(lambda _: Answer(b"ok")) as server:
        monkeypatch.setenv("TAXI_ALERT_WEBHOOK", f"{server.url}/{SECRET}")
        assert webhook.send("hello")
    assert server.asked[0].path == f"/{SECRET}"


def test_without_a_setting_nothing_is_sent(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.delenv("TAXI_ALERT_WEBHOOK", raising=False)
    assert Webhook().send("hello") is False
    assert caplog.text == ""


@pytest.mark.parametrize("status", [302, 404, 429, 500])
def test_a_refused_message_is_a_warning_without_the_address(status: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with api_server(lambda _: Answer(b"no", status, {"Location": "/elsewhere"})) as server:
        assert Webhook(url=f"{server.url}/{SECRET}").send("hello") is False
    assert len(server.asked) == 1
    assert f"it answered {status}" in caplog.text
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
def test_an_address_that_takes_nothing_harms_nothing(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert Webhook(url=url).send("hello") is False
    assert "did not take a message" in caplog.text
    assert SECRET not in caplog.text


def test_an_answer_that_breaks_off_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with api_server(lambda _: Answer(b"", 200, {"Transfer-Encoding": "chunked"})) as server:
        Webhook(url=f"{server.url}/{SECRET}", timeout=5).send("hello")
    assert SECRET not in caplog.text
