"""The short way to a record and the long one agree: on the record, on the answer, and on every refusal."""

from __future__ import annotations

from copy import copy
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.identity.caller import Caller
from bursar.identity.permissions import Scope, permissions_of
from bursar.pricing.books import PriceBooks
from bursar.pricing.choices import NO_CHOICES
from bursar.pricing.genai_source import load_book
from bursar.pricing.terms import Adjustment, ContractPrice, Discount, Markup, RequestFee, Terms
from bursar.usage.checks import Receipt, TimeRules
from bursar.usage.event import ReportedCost, UsageEvent
from bursar.usage.intake import Intake, RecordMaker
from bursar.usage.record import PlainRecord, UsageRecord, encode_record

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
RULES = TimeRules(timedelta(days=400), timedelta(minutes=5))
CALLER = Caller("acme", "key_1", permissions_of({Scope.INGEST}))
MODELS = (
    ("openai", "gpt-5"),
    ("openai", "o3"),
    ("openai", "text-embedding-3-small"),
    ("anthropic", "claude-sonnet-4-5"),
    ("google", "gemini-2.5-pro"),
    ("deepseek", "deepseek-chat"),
    ("google", "gemini-2.5-flash"),
    ("nobody", "a-model-without-a-price"),
)
COUNTS = st.none() | st.sampled_from([0, 1, 7, 1000, 200_000, 200_001, 10**9, 10**12]) | st.integers(0, 10**6)
TURN = NOW - timedelta(days=30)
TIMES = st.none() | st.integers(-600, 10).map(lambda days: NOW + timedelta(days=days, microseconds=1))
METADATA = st.none() | st.sampled_from(
    [
        {"a": 1},
        {"a": {"b": [1]}},
        {"text": "x" * 70_000},
        {"deep": [[[[[[[[1]]]]]]]]},
        {"n": [Decimal("1.50")]},
    ]
)


TERMS: dict[str, tuple[Adjustment, ...]] = {
    "a discount": (Discount(id="d", percent=Decimal(12), provider="openai"),),
    "a project's markup": (Markup(id="m", percent=Decimal("0.1"), project="search"),),
    "a contract": (
        ContractPrice(
            id="c", provider="google", model="gemini*", unit="input_tokens", price=Decimal(1), per=10**6
        ),
    ),
    "a contract in euros": (
        *(
            ContractPrice(
                id=unit,
                provider="openai",
                unit=unit,
                price=Decimal(3),
                per=10**6,
                currency="EUR",
                valid_from=TURN,
            )
            for unit in ("input_tokens", "output_tokens")
        ),
    ),
    "a fee": (RequestFee(id="f", amount=Decimal("0.01"), model="*sonnet*"),),
}
"""What a tenant may have agreed on, by a word for it."""


@cache
def maker(agreed: str = "nothing") -> RecordMaker:
    books = PriceBooks(load_book())
    books.agree("acme", NO_CHOICES, Terms(TERMS.get(agreed, ())))
    return RecordMaker(books)


@st.composite
def events(draw: st.DrawFn) -> UsageEvent:
    """Mostly plain events, with everything that may make them less so."""
    provider, model = draw(st.sampled_from(MODELS))
    said: dict[str, Any] = {
        "event_id": draw(st.sampled_from(["e-1", "é\n\U0001f600"])),
        "provider": provider,
        "model": model,
        "time": draw(TIMES),
        "metadata": draw(METADATA),
        **{name: draw(COUNTS) for name in ("input_tokens", "output_tokens")},
    }
    rare: dict[str, st.SearchStrategy[Any]] = {
        "event_id": st.none(),
        "provider": st.none(),
        "model": st.none(),
        "response_model": st.sampled_from(["gpt-5-mini", "gpt-5-2025-08-07"]),
        "tenant_id": st.sampled_from(["acme", "other"]),
        "service_tier": st.sampled_from(["default", "flex", "unheard-of"]),
        "batch": st.booleans(),
        "speed": st.just("fast"),
        "region": st.just("us"),
        "project_id": st.sampled_from(["search", "support"]),
        "context_tokens": st.integers(0, 300_000),
        "status": st.sampled_from(["ok", "error"]),
        "message": st.just("key sk-abcdefghijklmnopqrstuvwxyz123456 refused"),
        "cached_tokens": COUNTS,
        "cache_write_tokens": COUNTS,
        "reasoning_tokens": COUNTS,
        "units": st.sampled_from([{"input_text": 5}, {"searches": 2}, {"my_unit": Decimal("0.5")}]),
        "usage": st.just({"prompt_tokens": 5, "completion_tokens": 2}),
        "tracking_token": st.just("nobody-has-this-one"),
        "cost": st.just(ReportedCost(Decimal("0.25"))),
    }
    chosen = draw(st.lists(st.sampled_from(sorted(rare)), max_size=3, unique=True))
    return UsageEvent(**said | {name: draw(rare[name]) for name in chosen})


@pytest.fixture(autouse=True, scope="module")
def _loaded() -> None:
    """Loading the prices takes a second, which is no test's own time."""
    maker()


def intake(agreed: str = "nothing") -> Intake:
    receipt = Receipt.of(CALLER, "native", NOW, RULES, lambda _: False)
    receipt.suspended_in = {CALLER.tenant_id: frozenset({"support"})}.__getitem__
    return Intake(maker(agreed), receipt, "a-key")


def records_of(intake: Intake) -> list[UsageRecord]:
    return [msgspec.json.decode(encode_record(record), type=UsageRecord) for record in intake.records]


@pytest.mark.parametrize("agreed", ["nothing", *TERMS])
@given(event=events())
def test_both_ways_lead_to_the_same_record_and_answer(agreed: str, event: UsageEvent) -> None:
    short, long = intake(agreed), intake(agreed)
    short.take([copy(event)])
    long.take_carefully(copy(event), 0)

    assert records_of(short) == records_of(long)
    assert short.answers == long.answers
    assert short.rejections == long.rejections
    assert (short.cards, short.unpriced, short.tenants) == (long.cards, long.unpriced, long.tenants)


def test_an_event_as_nearly_all_are_takes_the_short_way() -> None:
    event = UsageEvent(
        event_id="e-1",
        time=NOW - timedelta(days=3),
        provider="anthropic",
        model="claude-sonnet-4-5",
        input_tokens=3000,
        output_tokens=500,
        cached_tokens=1000,
        metadata={"ticket": 5},
        tags={"team": "a"},
    )
    taken = intake()
    taken.take([event])

    assert [type(record) for record in taken.records] == [PlainRecord]
    # 2,000 tokens at 3 USD, 1,000 cached at 0.30 and 500 at 15 USD per million.
    assert [record.cost for record in taken.records] == ["0.013800000000"]


def test_refused_items_keep_their_place_between_taken_ones() -> None:
    def event(event_id: str | None, cached: int = 0) -> UsageEvent:
        return UsageEvent(
            event_id=event_id, provider="openai", model="gpt-5", input_tokens=5, cached_tokens=cached
        )

    taken = intake()
    taken.take([event("a"), event("bad", cached=9)])
    taken.take([event("b"), event(None)])

    assert [one.index for one in taken.rejections] == [1]
    assert [one.event_id for one in taken.answers][:2] == ["a", "b"]
    assert len(taken.records) == 3
