"""Text that may be shown to others."""

import pytest

from taxi_platform.redaction import LONGEST_LINE, first_line, without_secrets


def test_user_and_password_of_urls_are_replaced() -> None:
    text = "postgresql://taxi:secret@host:5432/trips and https://token@example.com/a"
    assert without_secrets(text) == "postgresql://***@host:5432/trips and https://***@example.com/a"


def test_address_without_a_url_is_kept() -> None:
    assert without_secrets("ann@example.com owns it") == "ann@example.com owns it"


def test_values_of_secret_settings_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAXI_ALERT_WEBHOOK", "https://hooks.example.com/T0/secret")
    assert without_secrets("sent to https://hooks.example.com/T0/secret") == "sent to ***"


def test_first_line_is_shortened() -> None:
    assert first_line("\nthe reason\nTraceback") == "the reason"
    assert first_line("x" * 1000) == "x" * LONGEST_LINE
    assert first_line("  ") == "no reason was given"
