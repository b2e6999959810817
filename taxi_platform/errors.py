"""The errors that the platform raises on purpose, as one tree below `dagster.Failure`.

An error says what happened, then what to do. Its class says whether a rerun may succeed: Dagster's retry policies
retry a TransientError and end the step at once for a PermanentError. No message may contain a secret.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import dagster as dg


class TaxiError(dg.Failure):
    """Base of the platform's errors."""

    retriable: ClassVar[bool] = False
    rerun: ClassVar[str] = ""
    """Sentence about a rerun that ends the message."""

    def __init__(self, what: str, remedy: str = "") -> None:
        """`what` says what happened, `remedy` what to do."""
        self.what = what
        self.remedy = " ".join(filter(None, (remedy, self.rerun)))
        super().__init__(description=str(self), allow_retries=self.retriable)

    def __str__(self) -> str:
        return "\n".join(filter(None, (self.what, self.remedy)))


class PermanentError(TaxiError):
    """The same run would fail again, so it is not retried."""


class TransientError(TaxiError):
    """The same run may succeed later, so it is retried with backoff."""

    retriable = True
    rerun = "A rerun may succeed."


class NotPublished(PermanentError):
    """The source does not have that month."""


class BadPartition(PermanentError):
    """A partition key does not name a taxi colour and a month that has begun."""


class BadFile(PermanentError):
    """A file fails validation. `line` counts from 1, the header's line."""

    def __init__(
        self, what: str, remedy: str, *, filename: str, line: int | None = None, column: str | None = None
    ) -> None:
        self.filename = filename
        self.line = line
        self.column = column
        where = filename
        if line is not None:
            where += f", line {line}"
        if column is not None:
            where += f", column {column}"
        super().__init__(f"{where}: {what}", remedy)


class NotLoaded(PermanentError):
    """A file is to be purged whose month is not loaded."""


class NotStaged(PermanentError):
    """An asset is materialized before its upstream assets."""


class ForeignTable(PermanentError):
    """A table has a name that the platform uses, and was not created by it."""


class BadSetting(PermanentError):
    """A setting is missing or invalid."""


class BadAnswer(PermanentError):
    """The response of an API is not what its documentation says."""


class RateLimited(PermanentError):
    """An API's rate limit lasts longer than a run should wait; retrying at once would prolong it."""


class MissingRight(PermanentError):
    """The account lacks a permission."""


class GoogleRefused(PermanentError):
    """Google Cloud rejected a request as invalid."""


class Stopped(PermanentError):
    """The run was cancelled."""


class SourceUnavailable(TransientError):
    """The source does not respond, or the connection was lost."""


class DatabaseUnavailable(TransientError):
    """The database does not respond, or the connection was lost."""


class GoogleUnavailable(TransientError):
    """Google Cloud does not respond, or responds that it cannot serve the request now."""


class TableBusy(TransientError):
    """Another session's open transaction blocks a merge."""


@contextmanager
def ends_when_stopped() -> Iterator[None]:
    """End the step for good if its run is cancelled; with a retry policy alone it would start again."""
    try:
        yield
    except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError) as error:
        raise Stopped("The run was cancelled.", "Nothing was changed. Re-execute it to load the month.") from error
