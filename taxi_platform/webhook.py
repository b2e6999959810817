"""A chat's incoming webhook: one line of text to Slack or Discord.

Not here: what is worth a message. A message is a courtesy: whatever happens to it, the caller goes on.
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

from taxi_platform.settings import Settings

DISCORD_LIMIT = 2000
"""Characters; Discord refuses a longer message."""


class Webhook(dg.ConfigurableResource):
    """A Slack or Discord webhook, told apart by the host; every other host is spoken to as Slack is.

    The URL is a secret: whoever has it can post. It is in no log, message or metadata. Leave `url` to the setting: what
    is given to a resource in code is shown in the web interface.
    """

    url: str | None = None
    """None: TAXI_ALERT_WEBHOOK, and nothing is sent when that is not set either."""
    timeout: float = 5.0
    """Seconds, for the connection and for each silence after it."""

    def send(self, text: str) -> bool:
        """Whether the chat took the text. Never raises: a webhook that is down is a warning in the log."""
        url = self._address()
        if url is None:
            return False
        trouble = self._post(url, text)
        if trouble is not None:
            dg.get_dagster_logger().warning(f"The webhook did not take a message: {trouble}. Nothing else is affected.")
        return trouble is None

    def _address(self) -> str | None:
        secret = Settings().alert_webhook
        return self.url or (secret.get_secret_value() if secret else None)

    def _post(self, url: str, text: str) -> str | None:
        """What went wrong, in words that do not hold the URL; None when all is well."""
        # Not with requests: its connection pool logs the path of every request at level DEBUG, and here that is the
        # secret. Errors are told by their kind, since their texts may quote the URL.
        try:
            if urlsplit(url).scheme not in ("http", "https"):
                return "TAXI_ALERT_WEBHOOK is not an http or https URL"
            body = json.dumps(_message(url, text)).encode()
            request = Request(url, body, {"Content-Type": "application/json", "User-Agent": "taxi-platform"})
            with _opener().open(request, timeout=self.timeout):
                return None
        except HTTPError as error:
            error.close()
            return f"it answered {error.code}"
        except (OSError, ValueError, HTTPException) as error:
            return f"it cannot be reached ({type(error).__name__})"


def _opener() -> OpenerDirector:
    """Python's usual one without its redirects: a redirected POST becomes a GET that delivers nothing and succeeds."""
    opener = OpenerDirector()
    for handler in (ProxyHandler, HTTPHandler, HTTPSHandler, HTTPDefaultErrorHandler, HTTPErrorProcessor):
        opener.add_handler(handler())
    return opener


def _message(url: str, text: str) -> dict[str, Any]:
    """The text in the host's own form, in which it cannot ping anybody."""
    host = urlsplit(url).hostname or ""
    if f".{host}".endswith((".discord.com", ".discordapp.com")):
        return {"content": text[:DISCORD_LIMIT], "allowed_mentions": {"parse": []}}
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {"text": escaped}
