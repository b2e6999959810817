"""What can go wrong, as one tree. A message says what happened, whether a rerun helps, and what to do.

    dagster.Failure
      TaxiError
        PermanentError          the same run would fail again: never retried
          NotPublished          the source does not have that month
          BadPartition          a partition key that names no taxi colour, or a month without trips
          BadFile               a file is not what it should be; names the line and the column where there is one
          NotLoaded               a month is to be cleared away that is not loaded
          NotStaged             an asset is asked for before the one it is made from
          ForeignTable          a table of our name that is not ours
          BadSetting            a setting is missing or cannot be used
          BadAnswer             an API's answer is not what it should be
          RateLimited           an API wants to be left alone for longer than a run should wait
          MissingRight          the account may not do what is asked
          Stopped               somebody cancelled the run
          GoogleRefused         Google answers that a request is wrong
        TransientError          a rerun may succeed: retried with backoff
          SourceUnavailable     the source does not answer, or breaks off
          DatabaseUnavailable   the database does not answer, or breaks off
          GoogleUnavailable     Google Cloud does not answer, or answers that it cannot now
          TableBusy             somebody's open transaction holds up an exchange

They are Dagster failures, so that one raised anywhere in an asset, an IO manager or a resource ends the step with its
own words and is retried or not as its class says. No message may carry a secret.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg


class TaxiError(dg.Failure):
    """Base of all errors that the platform raises on purpose."""

    retriable = False

    def __init__(self, what: str, remedy: str) -> None:
        """`what` happened; `remedy`: what to do, starting with whether a rerun helps."""
        self.what = what
        self.remedy = remedy
        super().__init__(description=f"{what}\n{remedy}", allow_retries=self.retriable)

    def __str__(self) -> str:
        return f"{self.what}\n{self.remedy}"


class PermanentError(TaxiError):
    """The same run would fail again."""


class TransientError(TaxiError):
    """A rerun may succeed."""

    retriable = True


class NotPublished(PermanentError):
    """The source does not have that month."""


class BadPartition(PermanentError):
    """A partition key does not name a taxi colour and a month that has begun."""


class BadFile(PermanentError):
    """A file is not what it should be. `line` counts from 1, the header's line."""

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
    """A month is to be cleared away that is not loaded."""


class NotStaged(PermanentError):
    """An asset is asked for before the one it is made from."""


class ForeignTable(PermanentError):
    """A table of our name that is not ours."""


class BadSetting(PermanentError):
    """A setting is missing or cannot be used."""


class BadAnswer(PermanentError):
    """An API's answer is not what it should be."""


class RateLimited(PermanentError):
    """An API wants to be left alone for longer than a run should wait; to retry at once would only prolong it."""


class MissingRight(PermanentError):
    """The account may not do what is asked."""


class GoogleRefused(PermanentError):
    """Google answers that a request is wrong."""


class SourceUnavailable(TransientError):
    """The source does not answer, or breaks off."""


class DatabaseUnavailable(TransientError):
    """The database does not answer, or breaks off."""


class GoogleUnavailable(TransientError):
    """Google Cloud does not answer, or answers that it cannot now."""


class TableBusy(TransientError):
    """Somebody's open transaction holds up an exchange."""


class Stopped(PermanentError):
    """Somebody cancelled the run."""


@contextmanager
def ends_when_stopped() -> Iterator[None]:
    """Ends the step for good when its run is cancelled: a retry policy alone would let it begin again."""
    try:
        yield
    except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError) as error:
        raise Stopped("The run was stopped.", "Nothing was changed; run it again when you like.") from error
