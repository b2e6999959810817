"""Google's answers: which are worth another try, and what the others mean for whoever reads the error.

Not here: conflicts between two merges (`google.merge`), which are retried from a fresh look and not by the call.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import requests

from taxi_platform.errors import BadSetting, GoogleRefused, GoogleUnavailable, MissingRight, ends_when_stopped
from taxi_platform.google_cloud.libraries import auth_exceptions, exceptions, retry, storage_exceptions

LOOK_SECONDS = 30
"""For the answer to a request that looks at something."""

ANSWER_SECONDS = 60
"""For the answer to a request that sends something or runs a statement."""

CONNECTION_ATTEMPTS = 3
"""A connection that is refused will hardly be accepted later: Google's own default is ten minutes of trying."""

_CODES = frozenset({408, 429, 500, 502, 503, 504})
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
_BROKEN = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    ConnectionError,
)


def is_broken_connection(error: BaseException) -> bool:
    """Whether there was no answer at all, or not the whole of one."""
    return isinstance(error, (*_BROKEN, auth_exceptions.TransportError))


def reason_of(error: Exception) -> str:
    """The reason in Google's error format, such as `rateLimitExceeded`; empty when there is none."""
    errors = getattr(error, "errors", None) or [{}]
    return errors[0].get("reason", "") if isinstance(errors[0], dict) else ""


def is_transient(error: Exception) -> bool:
    """Whether Google's answer says that the same request may succeed later."""
    if isinstance(error, storage_exceptions.InvalidResponse):
        return error.response.status_code in _CODES
    return isinstance(error, exceptions.GoogleAPICallError) and (reason_of(error) in _REASONS or error.code in _CODES)


def patience(seconds: float) -> retry.Retry:
    """How one call is retried: transient and late answers with backoff and jitter for so long, connections that fail
    a few times, and those that nobody answers not at all."""
    connections = 0

    def again(error: Exception) -> bool:
        nonlocal connections
        if isinstance(error, requests.ConnectTimeout):
            return False
        if is_broken_connection(error) and not isinstance(error, requests.ReadTimeout):
            connections += 1
            return connections < CONNECTION_ATTEMPTS
        return is_transient(error) or isinstance(error, requests.ReadTimeout)

    return retry.Retry(predicate=again, initial=0.5, multiplier=2, maximum=20, timeout=seconds)


@contextmanager
def told_plainly(doing: str, *, endpoint: str, rights: str) -> Iterator[None]:
    """Turns what Google's libraries raise into the platform's errors.

    `doing`: what was being done. `endpoint`: who was asked. `rights`: what to grant when it is refused.
    """
    try:
        with ends_when_stopped():
            yield
    except (exceptions.GoogleAPICallError, exceptions.RetryError, storage_exceptions.InvalidResponse) as error:
        raise _translated(error, doing, rights) from error
    except (auth_exceptions.DefaultCredentialsError, auth_exceptions.RefreshError) as error:
        raise BadSetting(
            f"Google does not accept the credentials: {_first_line(error)}",
            "A rerun does not help. Set GCP_CREDS to a valid service account's JSON or to its path, or run "
            "`gcloud auth application-default login`.",
        ) from None
    except (*_BROKEN, TimeoutError, auth_exceptions.TransportError, storage_exceptions.DataCorruption) as error:
        raise GoogleUnavailable(
            f"{endpoint} does not answer or broke off while it {doing}: {type(error).__name__}.",
            "A rerun may help. Is there a network, and is the address right? STORAGE_EMULATOR_HOST and "
            "BIGQUERY_EMULATOR_HOST, where they are set, must point to emulators that run.",
        ) from error


def _translated(error: Exception, doing: str, rights: str) -> Exception:
    cause = error.cause if isinstance(error, exceptions.RetryError) and error.cause else error
    code = cause.code if isinstance(cause, exceptions.GoogleAPICallError) else None
    said = _first_line(cause)
    if is_transient(cause) or is_broken_connection(cause):
        return GoogleUnavailable(
            f"Google could not answer while it {doing}: {said}", "It was retried with backoff. A rerun may help."
        )
    if reason_of(cause) == "quotaExceeded":
        return GoogleRefused(
            f"A quota of the Google Cloud project is used up, so it was refused to go on ({doing}): {said}",
            "A rerun helps when the quota is renewed, for daily ones tomorrow; see IAM & Admin, Quotas.",
        )
    if code in (401, 403):
        return MissingRight(
            f"Google refused while it {doing}: {said}", f"A rerun does not help. Grant the account {rights}."
        )
    return GoogleRefused(
        f"Google answered with an error while it {doing}: {said}",
        "The same run would fail again. What Google says names what is wrong.",
    )


def _first_line(error: Exception) -> str:
    """What Google says, without the request's address and the job's coordinates."""
    said = error.message if isinstance(error, exceptions.GoogleAPICallError) else str(error)
    return (said or type(error).__name__).strip().split("\n", 1)[0]
