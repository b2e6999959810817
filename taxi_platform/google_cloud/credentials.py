"""Credentials for Google Cloud: GCP_CREDS, else the Application Default Credentials."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import SecretStr

from taxi_platform.errors import BadSetting
from taxi_platform.google_cloud.errors import translated_errors
from taxi_platform.google_cloud.libraries import auth, credentials, service_account

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)


def find_credentials(creds: SecretStr | None) -> credentials.Credentials:
    """Return the credentials in `creds`, a service account's JSON or the path to it; without it the default ones.

    The key is held in memory only and never part of an error.
    """
    if creds is None:
        with translated_errors("finding credentials", endpoint="the metadata server", roles="access to Google Cloud"):
            found, _ = auth.default(scopes=SCOPES)
            return found
    text = creds.get_secret_value().strip()
    text = text if text.startswith("{") else _read(text)
    try:
        return service_account.Credentials.from_service_account_info(json.loads(text), scopes=SCOPES)
    except (ValueError, KeyError, TypeError, AttributeError):
        # The cause may quote the key.
        raise BadSetting(
            "GCP_CREDS is neither a service account's key in JSON nor the path to one.",
            "Set it to the whole JSON text, from { to }, in one line, or to the file's path. "
            "You create a key in the console under IAM & Admin, Service Accounts, Keys.",
        ) from None


def _read(path: str) -> str:
    try:
        return Path(path).expanduser().read_text("utf-8")
    except (OSError, ValueError):
        raise BadSetting(
            "GCP_CREDS is not JSON, and a file of that path cannot be read.",
            "Set it to a service account's key as JSON text or to the path of its file. If it is not set, the "
            "Application Default Credentials are used.",
        ) from None
