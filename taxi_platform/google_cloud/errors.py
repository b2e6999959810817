"""Errors of Google's client libraries: which requests are retried, and which platform error the others become.

Conflicts between two merges are handled in `destinations.bigquery.merge`, which reads the load log again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

from taxi_platform.errors import BadSetting, GoogleRefused, GoogleUnavailable, MissingRight, ends_when_stopped
from taxi_platform.google_cloud.libraries import auth_exceptions, exceptions, retry, storage_exceptions

READ_TIMEOUT = 30
"""Seconds until a request that reads something times out."""

WRITE_TIMEOUT = 60
"""Seconds until a request that uploads something or runs a statement times out."""

CONNECTION_ATTEMPTS = 3
"""Few, because a refused connection is rarely accepted later. Google's default is ten minutes of retries."""

_STATUS_CODES = frozenset({408, 429, 500, 502, 503, 504})
_REASONS = frozenset(
    {
        "rateLimitExceeded",
        "userRateLimitExceeded",
        "jobRateLimitExceeded",
        "backendError",
        "jobBackendError",
        "internalError",
        "jobInternalError",
        "tableUnavailable",
    }
)
_CONNECTION_ERRORS = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    ConnectionError,
)

_REQUEST = re.compile(r"^(?:GET|POST|PUT|PATCH|DELETE) \S+: ")


def is_connection_error(error: BaseException) -> bool:
    """Return whether the response is missing or incomplete."""
    return isinstance(error, (*_CONNECTION_ERRORS, auth_exceptions.TransportError))


def reason_of(error: Exception) -> str:
    """Return the reason in Google's error format, such as `rateLimitExceeded`; empty if there is none."""
    errors = getattr(error, "errors", None) or [{}]
    return errors[0].get("reason", "") if isinstance(errors[0], dict) else ""


def is_transient(error: Exception) -> bool:
    """Return whether the same request may succeed later, according to Google's response."""
    if isinstance(error, storage_exceptions.InvalidResponse):
        return error.response.status_code in _STATUS_CODES
    return isinstance(error, exceptions.GoogleAPICallError) and (
        reason_of(error) in _REASONS or error.code in _STATUS_CODES
    )


def retry_for(seconds: float) -> retry.Retry:
    """Return the retry policy of one request.

    Transient errors and late responses are retried for `seconds`, with backoff and jitter; failed connections a few
    times; connections that time out not at all.
    """
    connections = 0

    def retriable(error: Exception) -> bool:
        nonlocal connections
        if isinstance(error, requests.ConnectTimeout):
            return False
        if is_connection_error(error) and not isinstance(error, requests.ReadTimeout):
            connections += 1
            return connections < CONNECTION_ATTEMPTS
        return is_transient(error) or isinstance(error, requests.ReadTimeout)

    return retry.Retry(predicate=retriable, initial=0.5, multiplier=2, maximum=20, timeout=seconds)


def read_options(seconds: float) -> dict[str, Any]:
    """Return the client's arguments for a request that reads, retried for `seconds`."""
    return {"retry": retry_for(seconds), "timeout": READ_TIMEOUT}


def write_options(seconds: float) -> dict[str, Any]:
    """Return the client's arguments for a request that writes or runs a statement, retried for `seconds`."""
    return {"retry": retry_for(seconds), "timeout": WRITE_TIMEOUT}


@contextmanager
def translated_errors(operation: str, *, endpoint: str, roles: str) -> Iterator[None]:
    """Raise the platform's errors in place of those of Google's libraries.

    `operation` completes "while ..."; `endpoint` is the server; `roles` are named if access is denied.
    """
    try:
        with ends_when_stopped():
            yield
    except (exceptions.GoogleAPICallError, exceptions.RetryError, storage_exceptions.InvalidResponse) as error:
        raise _translated(error, operation, roles) from error
    except (auth_exceptions.DefaultCredentialsError, auth_exceptions.RefreshError) as error:
        raise BadSetting(
            f"Google does not accept the credentials: {_first_line(error)}",
            "Set GCP_CREDS to a valid service account's JSON or to its path, or run "
            "`gcloud auth application-default login`.",
        ) from None
    except (
        *_CONNECTION_ERRORS,
        TimeoutError,
        auth_exceptions.TransportError,
        storage_exceptions.DataCorruption,
    ) as error:
        raise GoogleUnavailable(
            f"{endpoint} did not respond, or the connection was lost, while {operation}: {type(error).__name__}.",
            "Check the network and the address. STORAGE_EMULATOR_HOST and BIGQUERY_EMULATOR_HOST, if set, must be "
            "the addresses of running emulators.",
        ) from error


def _translated(error: Exception, operation: str, roles: str) -> Exception:
    cause = error.cause if isinstance(error, exceptions.RetryError) and error.cause else error
    code = cause.code if isinstance(cause, exceptions.GoogleAPICallError) else None
    message = _first_line(cause)
    if is_transient(cause) or is_connection_error(cause):
        return GoogleUnavailable(
            f"Google Cloud was unavailable while {operation}: {message}",
            "The request was retried with backoff.",
        )
    if reason_of(cause) == "quotaExceeded":
        return GoogleRefused(
            f"Google Cloud quota exceeded while {operation}: {message}",
            "Re-execute the run when the quota is renewed, daily ones the next day; see IAM & Admin, Quotas.",
        )
    if code in (401, 403):
        return MissingRight(f"Google Cloud denied access while {operation}: {message}", f"Grant the account {roles}.")
    return GoogleRefused(
        f"Google Cloud rejected a request while {operation}: {message}",
        "Correct what Google's message names, then re-execute the run.",
    )


def _first_line(error: Exception) -> str:
    """Return Google's message without the request's address and the job's coordinates."""
    message = error.message if isinstance(error, exceptions.GoogleAPICallError) else str(error)
    return _REQUEST.sub("", (message or type(error).__name__).strip().split("\n", 1)[0])
