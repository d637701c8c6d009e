"""Secrets don't survive in an event's message, and ordinary text does."""

from __future__ import annotations

import pytest

from bursar.usage.redact import REDACTED, redact_text


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abcdefghijklmnop1234",
        "sk-ant-api03-AAAAAAAAAAAAAAAAAAAA",
        "bur_abcdefghijklmnopqrstuvwxyz",
        "AKIAIOSFODNN7EXAMPLE",
        "AIzaSyA1234567890abcdefghijklmnopqrstuv",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "Bearer abcdefghijklmnop",
        "jane.doe@example.com",
    ],
)
def test_what_looks_like_a_secret_is_taken_out(secret: str) -> None:
    text = redact_text(f"Incorrect API key provided: {secret}. Try again.")

    assert secret not in text
    assert REDACTED in text
    assert text.startswith("Incorrect API key provided: ")


@pytest.mark.parametrize(
    "text",
    ["Rate limit reached for gpt-5 in organization org-1", "sk- is a prefix", "at 12:30 @ the office", ""],
)
def test_ordinary_text_stays_as_it_was(text: str) -> None:
    assert redact_text(text) == text
