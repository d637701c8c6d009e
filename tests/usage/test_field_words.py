"""A wrong field is spoken of in plain words: each message names the field and says what it must be."""

from __future__ import annotations

from typing import Any

import pytest

from bursar.errors import Invalid
from bursar.exact import decode_json
from bursar.usage.translate import translate_body


def reasons_of(body: object) -> list[tuple[str, str]]:
    """Field and message of everything that is wrong with a body."""
    with pytest.raises(Invalid) as refused:
        translate_body(decode_json(str(body).encode()))
    return [(one.field, one.message) for one in refused.value.reasons]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ('"input_tokens": "5"', "input_tokens must be a whole number, not a string."),
        ('"input_tokens": -1', "input_tokens must be at least 0."),
        ('"max_tokens": 1.5', "max_tokens must be a whole number, not a number with a fraction."),
        ('"max_tokens": 99999999999999', "max_tokens must be at most 1000000000000."),
        ('"latency_ms": -1', "latency_ms must be at least 0."),
        ('"latency_ms": [1]', "latency_ms must be a number, not a list."),
        ('"reasoning_tokens": true', "reasoning_tokens must be a whole number, not true or false."),
        ('"event_id": ""', "event_id must have at least 1 character."),
        ('"provider": 5', "provider must be a string, not a number."),
        ('"batch": "yes"', "batch must be true or false, not a string."),
        ('"metadata": [1]', "metadata must be an object, not a list."),
        ('"status": "maybe"', "status must be 'ok' or 'error', not 'maybe'."),
        ('"time": "yesterday"', "time must be an RFC 3339 time such as 2026-10-01T12:00:00Z."),
        ('"time": 5', "time must be an RFC 3339 time such as 2026-10-01T12:00:00Z, not a number."),
        ('"tags": {"a": 1}', "tags.* must be a string, not a number."),
        ('"cost": {"amount": "x"}', 'cost.amount must be a number, or one as a string such as "0.25".'),
        ('"cost": {"currency": "USD"}', "cost must say 'amount'."),
        ('"cost": {"amount": 1, "x": 2}', "cost has no field 'x'."),
        (
            '"cost": {"amount": 1, "currency": "usd"}',
            "cost.currency must be a currency's code of three capital letters, such as USD.",
        ),
        (
            '"units": {"A": 1}',
            (
                "units.* must be a name of up to 64 lower-case letters, digits and underscores"
                " that begins with a letter."
            ),
        ),
        ('"units": {"a": true}', "units.* must be a number, not true or false."),
    ],
)
def test_a_wrong_field_is_named_and_told_what_it_must_be(said: str, message: str) -> None:
    assert reasons_of("{" + said + "}") == [(message.split(maxsplit=1)[0], message)]


@pytest.mark.parametrize("name", ["user_id", "provider", "message", "tags", "units"])
def test_what_is_too_long_is_told_how_long_it_may_be(name: str) -> None:
    value: Any = "x" * 3000
    unit = "characters"
    if name in {"tags", "units"}:
        value, unit = {f"a{i}": 1 if name == "units" else "x" for i in range(100)}, "entries"
    ((field, message),) = reasons_of("{" + f'"{name}": {value!r}'.replace("'", '"') + "}")
    assert field == name
    assert message.startswith(f"{name} must have at most ")
    assert message.endswith(f" {unit}.")


def test_no_message_speaks_of_msgspec() -> None:
    body = (
        '{"event_id": 1, "time": "x", "tags": 5, "units": {"x": -1, "Y": 2}, "cost": 3, "usage": "u",'
        ' "temperature": "hot", "retry_count": 1.5, "model": null, "batch": 0, "latency_ms": 1e12}'
    )
    for _, message in reasons_of(body):
        assert "`" not in message
        assert "Expected" not in message
