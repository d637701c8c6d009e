"""Recorded answers, broken at random, give units or a named reason and never anything else.

Each example takes one recording and changes something in it: a value anywhere in its JSON, or bytes of its
stream. What is read then must be what a door could take, and counts must be counts.
"""

from __future__ import annotations

import json
import random
from copy import deepcopy
from typing import Any, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bursar.errors import Invalid
from bursar.units import QUANTITY_LIMIT, UNITS, to_steps
from bursar.usage.bodies import decode_event
from bursar.usage.formats.provider_answers import AnswerReading, read_answer
from bursar.usage.measure import measure_usage
from bursar.usage.providers.normalise import normalise_usage
from bursar.usage.providers.registry import PROVIDERS
from bursar.usage.record import encode_event
from tests.support.recorded import FIXTURES
from tests.support.rounds import rounds

RECORDED = sorted((FIXTURES / "responses").glob("*.json")) if FIXTURES.is_dir() else []
STREAMS = sorted((FIXTURES / "sdk_sse").glob("*.sse")) if FIXTURES.is_dir() else []
JUNK: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 7, 10**13, 2**70, 10**30, 1.5, "", "7", "text", "x" * 300, "9" * 400, "\ud800"),
    *([], [[]], [None], [7], [{}], {}, {"a": 1}, {"usage": 5}, {"input_tokens": -1}),
    {"type": "message_start"},
)
NAMES = [None, *(label for provider in PROVIDERS for label in (provider.name, *provider.labels))]

pytestmark = pytest.mark.skipif(not RECORDED, reason="the recorded answers are not on this machine")


def places(value: Any) -> list[tuple[Any, Any]]:  # noqa: ANN401 - any JSON value
    """Every place in a JSON value, as its owner and the key or index in it."""
    found: list[tuple[Any, Any]] = []
    pending = [value]
    while pending:
        owner = pending.pop()
        keys: list[Any] = []
        if isinstance(owner, dict):
            keys = list(cast("dict[str, Any]", owner))
        elif isinstance(owner, list):
            keys = list(range(len(cast("list[Any]", owner))))
        found += [(owner, key) for key in keys]
        pending += [owner[key] for key in keys]
    return found


def check(reading: AnswerReading) -> None:
    if reading.event is None:
        assert reading.reason is not None
        return
    decode_event(encode_event(reading.event))
    measured = measure_usage(reading.event)
    assert measured.units.keys() <= UNITS.keys()
    for name, steps in {**measured.units, **(measured.custom or {})}.items():
        assert 0 < steps <= to_steps(name, QUANTITY_LIMIT)
    parts = measured.provider.parts if measured.provider else ()
    for part in parts:
        assert all(0 < quantity <= measured.units[name] for name, quantity in part.units.items())


@settings(max_examples=rounds(200))
@given(st.integers(0, 2**32), st.sampled_from(NAMES))
def test_a_changed_recording_gives_units_or_a_reason(seed: int, provider: str | None) -> None:
    chance = random.Random(seed)
    file = json.loads(chance.choice(RECORDED).read_text())
    if chance.random() < 0.3:
        # The bare answer, as a door would get it.
        file = file["response"].get("json", file)
    for _ in range(chance.randint(1, 4)):
        owner, key = chance.choice(places(file) or [({"": 0}, "")])
        if chance.random() < 0.2:
            del owner[key]
        else:
            owner[key] = deepcopy(chance.choice(JUNK))

    check(read_answer(json.dumps(file).encode("utf-8", "surrogatepass"), provider))


@settings(max_examples=rounds(125))
@given(st.integers(0, 2**32), st.sampled_from(NAMES))
def test_a_changed_stream_gives_units_or_a_reason(seed: int, provider: str | None) -> None:
    chance = random.Random(seed)
    texts = [path.read_bytes() for path in STREAMS]
    content = bytearray(chance.choice(texts))
    for _ in range(chance.randint(1, 20)):
        position = chance.randrange(len(content))
        content[position] = chance.choice([content[position] ^ (1 << chance.randrange(8)), 0x30, 0x22])
    cut = chance.randrange(len(content)) if chance.random() < 0.5 else len(content)

    check(read_answer(bytes(content[:cut]), provider))


@settings(max_examples=rounds(200))
@given(st.integers(0, 2**32), st.sampled_from(NAMES))
def test_a_changed_usage_object_is_read_or_refused_with_its_reasons(seed: int, provider: str | None) -> None:
    chance = random.Random(seed)
    event = read_answer(chance.choice(RECORDED).read_bytes()).event
    if event is None or not event.usage:
        return
    usage = json.loads(encode_event(event.usage))
    before = normalise_usage(usage, event.provider)
    usage["some_field_of_the_future"] = {"tokens": 5}
    assert normalise_usage(usage, event.provider) == before
    for _ in range(chance.randint(1, 3)):
        owner, key = chance.choice(places(usage) or [({"": 0}, "")])
        owner[key] = deepcopy(chance.choice(JUNK))

    check_usage(usage, provider)
    check_usage(usage, event.provider)


def check_usage(usage: dict[str, Any], provider: str | None) -> None:
    try:
        said = normalise_usage(usage, provider)
    except Invalid as error:
        refusal = error
    else:
        assert all(0 < steps <= to_steps(name, QUANTITY_LIMIT) for name, steps in said.units.items())
        assert all(steps > 0 for steps in said.custom.values())
        for part in said.parts:
            assert all(steps <= said.units[name] for name, steps in part.units.items())
        return
    assert refusal.reasons
    assert all(reason.field.startswith("usage") and reason.message for reason in refusal.reasons)


@example(b"")
@example(b"\xff\xfe")
@example(b"data: {")
@example(b"[" * 5000)
@example(b'{"response": {}, "request": 5}')
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_have_a_reason(content: bytes) -> None:
    check(read_answer(content))
