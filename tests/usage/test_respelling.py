"""A number counts for what it is: a retry that spells it in another way is still the same event."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.identity.caller import Caller
from bursar.identity.permissions import Scope, permissions_of
from bursar.pricing.books import PriceBooks
from bursar.pricing.genai_source import load_book
from bursar.usage.bodies import Shape, read_items
from bursar.usage.checks import Receipt, TimeRules
from bursar.usage.intake import Intake, RecordMaker
from bursar.usage.record import UsageRecord, encode_record, fingerprint

MAKER = RecordMaker(PriceBooks(load_book()))
RULES = TimeRules(timedelta(days=35), timedelta(minutes=5))
CALLER = Caller("acme", "key_1", permissions_of({Scope.INGEST}))


def record_of(body: str) -> UsageRecord:
    """The record that the door makes of a body, as the journal gives it back."""
    now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    intake = Intake(MAKER, Receipt.of(CALLER, "native", now, RULES, lambda _: True))
    for part in read_items(body.encode(), Shape.JSON, {}, 10).slices:
        intake.take(part)
    assert intake.rejections == []
    return msgspec.json.decode(encode_record(intake.records[0]), type=UsageRecord)


def a_body(number: str, where: str) -> str:
    """An event with this number, as the client spells it, somewhere."""
    said = '"event_id": "e", "provider": "openai", "model": "gpt-4o", "input_tokens": 5'
    return "{" + said + ", " + where.replace("N", number) + "}"


WHERE = [
    '"units": {"gpu_minutes": N}',
    '"cost": {"amount": N}',
    '"cost": {"amount": "N"}',
    '"cost_usd": N',
    '"latency_ms": N',
    '"latency_ms": N, "metadata": {"n": 0.5}',
    '"metadata": {"n": [{"m": N}]}, "prompt_tokens": 5',
    '"metrics": {"n": N}',
    '"usage": {"prompt_tokens": 5, "completion_tokens": 0, "seconds": N}, "request_model": "gpt-4o"',
]


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("number", ["1.50", "1.500", "15e-1", "0.15E1", "150E-2"])
def test_another_spelling_of_a_number_is_the_same_event(number: str, where: str) -> None:
    assert record_of(a_body(number, where)).fingerprint == record_of(a_body("1.5", where)).fingerprint


@pytest.mark.parametrize("where", WHERE)
def test_another_number_is_another_event(where: str) -> None:
    assert record_of(a_body("1.51", where)).fingerprint != record_of(a_body("1.5", where)).fingerprint


@pytest.mark.parametrize("number", ["2.0", "2.00", "2e0", "0.2e1"])
def test_a_whole_quantity_is_whole_however_it_is_spelled(number: str) -> None:
    for where in WHERE[:3]:
        assert record_of(a_body(number, where)).fingerprint == record_of(a_body("2", where)).fingerprint


def test_a_translated_body_and_a_canonical_one_of_the_same_event_are_the_same() -> None:
    canonical = '{"event_id": "e", "model": "gpt-4o", "input_tokens": 5, "metadata": {"n": 1e-9, "m": 1.5}}'
    translated = canonical.replace("input_tokens", "prompt_tokens").replace("1.5", "1.50")
    assert record_of(canonical).fingerprint == record_of(translated).fingerprint


def test_what_the_caller_wrote_is_kept_as_it_is() -> None:
    record = record_of(a_body("1.50", '"units": {"gpu_minutes": N}'))
    assert b'"gpu_minutes":1.50' in bytes(record.event)


@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "c"]),
        st.recursive(
            st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(-1e9, 1e9), st.lists
        ),
        max_size=3,
    )
)
def test_events_without_a_decimal_keep_the_fingerprint_that_they_always_had(metadata: dict[str, Any]) -> None:
    body = {"event_id": "e", "model": "gpt-4o", "provider": "openai", "input_tokens": 5, "metadata": metadata}
    record = record_of(json.dumps(body))
    assert record.fingerprint == fingerprint(bytes(record.event), None)
    assert record.spelled_fingerprint is None


@pytest.mark.parametrize("number", ["1.5", "2", "0.000001"])
def test_decimals_that_stand_plainly_keep_their_fingerprint(number: str) -> None:
    record = record_of(a_body(number, '"units": {"gpu_minutes": N}'))
    assert record.fingerprint == fingerprint(bytes(record.event), None)
    assert record.spelled_fingerprint is None


def test_a_spelling_of_its_own_is_noted_for_journals_that_know_the_event_by_it() -> None:
    record = record_of(a_body("1.50", '"units": {"gpu_minutes": N}'))
    assert record.spelled_fingerprint == fingerprint(bytes(record.event), None) != record.fingerprint


def test_the_largest_and_smallest_numbers_have_one_spelling() -> None:
    for one, other in (("1e-12", "0.000000000001"), ("0", "0.00")):
        body = '"cost": {"amount": "N"}'
        assert record_of(a_body(one, body)).fingerprint == record_of(a_body(other, body)).fingerprint
