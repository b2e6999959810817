"""Google's client libraries, each imported when an attribute of it is first used.

Importing them takes about as long as importing Dagster, and a run that loads into Postgres needs none of them.
"""

from typing import TYPE_CHECKING

from taxi_platform.lazy_import import LazyModule

if TYPE_CHECKING:
    import google_crc32c
    from google import auth
    from google.api_core import client_options, exceptions, retry
    from google.auth import credentials
    from google.auth import exceptions as auth_exceptions
    from google.cloud import bigquery, storage
    from google.cloud.storage import exceptions as storage_exceptions
    from google.oauth2 import service_account
else:
    auth = LazyModule("google.auth")
    auth_exceptions = LazyModule("google.auth.exceptions")
    bigquery = LazyModule("google.cloud.bigquery")
    client_options = LazyModule("google.api_core.client_options")
    credentials = LazyModule("google.auth.credentials")
    exceptions = LazyModule("google.api_core.exceptions")
    google_crc32c = LazyModule("google_crc32c")
    retry = LazyModule("google.api_core.retry")
    service_account = LazyModule("google.oauth2.service_account")
    storage = LazyModule("google.cloud.storage")
    storage_exceptions = LazyModule("google.cloud.storage.exceptions")

__all__ = [
    "auth",
    "auth_exceptions",
    "bigquery",
    "client_options",
    "credentials",
    "exceptions",
    "google_crc32c",
    "retry",
    "service_account",
    "storage",
    "storage_exceptions",
]
