"""The tree of errors: their text, and whether a run with them is retried."""

import dagster as dg
import pytest

from taxi_platform.errors import (
    BadFile,
    PermanentError,
    SourceUnavailable,
    Stopped,
    TaxiError,
    TransientError,
    ends_when_stopped,
)


def subclasses(kind: type[TaxiError]) -> list[type[TaxiError]]:
    return [kind, *(each for child in kind.__subclasses__() for each in subclasses(child))]


def test_class_decides_about_retries() -> None:
    assert not any(kind.retriable for kind in subclasses(PermanentError))
    assert all(kind.retriable for kind in subclasses(TransientError))
    assert SourceUnavailable("It is down.").allow_retries
    assert not Stopped("The run was cancelled.").allow_retries


def test_text_says_what_happened_then_what_to_do() -> None:
    assert str(PermanentError("It is wrong.", "Correct it.")) == "It is wrong.\nCorrect it."
    assert str(TransientError("It is down.", "Start it.")) == "It is down.\nStart it. A rerun may succeed."
    assert str(PermanentError("It is wrong.")) == "It is wrong."


def test_bad_file_names_line_and_column() -> None:
    error = BadFile("it is no number.", "Correct it.", filename="a.csv.gz", line=3, column="extra")
    assert error.what == "a.csv.gz, line 3, column extra: it is no number."
    assert BadFile("it is empty.", "", filename="a.csv.gz").what == "a.csv.gz: it is empty."


@pytest.mark.parametrize("error", [KeyboardInterrupt, dg.DagsterExecutionInterruptedError])
def test_cancelled_step_ends_for_good(error: type[BaseException]) -> None:
    with pytest.raises(Stopped), ends_when_stopped():
        raise error
