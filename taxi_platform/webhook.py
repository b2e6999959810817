"""Messages of one line to a chat's incoming webhook, Slack or Discord.

A message that cannot be delivered never fails its caller.
"""

import json
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

import dagster as dg
from pydantic import Field

from taxi_platform.settings import Settings

DISCORD_LIMIT = 2000
"""Characters; Discord refuses a longer message."""


class Webhook(dg.ConfigurableResource):
    """A webhook in Discord's form if the host is Discord's, otherwise in Slack's.

    The URL is a secret, since everyone who has it can post, and appears in no log, message or metadata. Leave `url` to
    the setting: the web interface shows values that are given to a resource in code.
    """

    url: str | None = Field(
        default=None, description="Default: TAXI_ALERT_WEBHOOK. Without either, no message is sent."
    )
    timeout: float = Field(default=5.0, description="Seconds to wait for a connection, and for more data after that.")

    def send(self, text: str) -> bool:
        """Send the text and return whether the chat accepted it. Never raise; log a warning instead."""
        url = self._configured_url()
        if url is None:
            return False
        problem = self._post(url, text)
        if problem is not None:
            what = f"A message to the webhook was not delivered: {problem}."
            dg.get_dagster_logger().warning(f"{what} Check TAXI_ALERT_WEBHOOK.")
        return problem is None

    def _configured_url(self) -> str | None:
        secret = Settings().alert_webhook
        return self.url or (secret.get_secret_value() if secret else None)

    def _post(self, url: str, text: str) -> str | None:
        """Return what went wrong, without the URL, or None if the message was delivered."""
        # Not with requests: its connection pool logs the path of every request at level DEBUG, and here that is the
        # secret. Errors are reported by their type, since their texts may quote the URL.
        try:
            if urlsplit(url).scheme not in ("http", "https"):
                return "TAXI_ALERT_WEBHOOK is not an http or https URL"
            body = json.dumps(_message(url, text)).encode()
            request = Request(url, body, {"Content-Type": "application/json", "User-Agent": "taxi-platform"})
            with _opener().open(request, timeout=self.timeout):
                return None
        except HTTPError as error:
            error.close()
            return f"the response's status is {error.code}"
        except (OSError, ValueError, HTTPException) as error:
            return f"the request failed ({type(error).__name__})"


def _opener() -> OpenerDirector:
    """Return Python's default opener without redirects: a redirected POST becomes a GET, which delivers nothing."""
    opener = OpenerDirector()
    for handler in (ProxyHandler, HTTPHandler, HTTPSHandler, HTTPDefaultErrorHandler, HTTPErrorProcessor):
        opener.add_handler(handler())
    return opener


def _message(url: str, text: str) -> dict[str, Any]:
    """Return the text in the host's own form, escaped so that it mentions nobody."""
    host = urlsplit(url).hostname or ""
    if f".{host}".endswith((".discord.com", ".discordapp.com")):
        return {"content": text[:DISCORD_LIMIT], "allowed_mentions": {"parse": []}}
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {"text": escaped}
