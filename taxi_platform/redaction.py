"""Text that may be shown to others: without credentials in URLs and without the values of secret settings."""

import re

from pydantic import SecretStr

from taxi_platform.settings import Settings

LONGEST_LINE = 500
"""Characters of an error that a message contains."""

_USER_INFO = re.compile(r"(?<=://)[^\s/@]+@")


def without_secrets(text: str) -> str:
    """Return the text with `***` for user and password in URLs and for the value of each secret setting."""
    settings = Settings()
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr) and value.get_secret_value():
            text = text.replace(value.get_secret_value(), "***")
    return _USER_INFO.sub("***@", text)


def first_line(text: str) -> str:
    """Return an error's first line without secrets, shortened to `LONGEST_LINE` characters."""
    line = text.strip().split("\n", 1)[0]
    return without_secrets(line)[:LONGEST_LINE] or "no reason was given"
