"""Random usage for property tests: events around changes of summer time, and questions about them."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from bursar.usage.periods import Grain
from bursar.usage.query import Filter, FilterOp, UsageQuery
from bursar.usage.query_measures import MEASURES
from bursar.window import Window, parse_zone
from tests.support.usage_rows import an_event

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

START = datetime(2026, 9, 28, tzinfo=UTC)
END = datetime(2026, 11, 12, tzinfo=UTC)
"""Between these, summer time ends in Berlin and New York and begins on Lord Howe (by half an hour)."""
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Pacific/Chatham",
    "+05:30",
    "-09:30",
    "Asia/Tokyo",
)
ROLLED_UP = ("provider", "model", "service_type", "project_id", "currency", "cost_status", "user_id")
OTHERS = ("operation", "batch", "status", "tag:team", "temperature", "retry_count")
_CHANGES = (
    datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2026, 11, 1, 6, tzinfo=UTC),
    datetime(2026, 10, 14, 18, 30, tzinfo=UTC),
)


def random_events(seed: int, count: int) -> list[dict[str, Any]]:
    """Events of two tenants with every kind of gap: no user, no price, no latency, no tags."""
    dice = random.Random(seed)
    return [_random_event(dice, index) for index in range(count)]


def _random_event(dice: random.Random, index: int) -> dict[str, Any]:
    is_priced = dice.random() < 0.8
    return an_event(
        event_id=f"evt-{index}",
        tenant_id="acme" if dice.random() < 0.9 else "other",
        time=_random_time(dice),
        provider=dice.choice(("openai", "anthropic", None)),
        model=dice.choice(("gpt-4", "gpt-4o", "claude", None)),
        service_type=dice.choice(("llm_service", "api_service")),
        project_id=dice.choice(("search", "support", None)),
        user_id=dice.choice(("ada", "bob", "cy", None)),
        operation=dice.choice(("chat", "embeddings", None)),
        batch=dice.choice((True, False, None)),
        status="error" if dice.random() < 0.2 else "ok",
        temperature=dice.choice((0.5, 1.0, None)),
        retry_count=dice.choice((0, 3, None)),
        tags=dice.choice(({"team": "red"}, {"team": "blue", "x": "y"}, {"x": "y"}, None)),
        input_text=dice.choice((None, 0, 7, 10**12)),
        output_text=dice.choice((None, 3, 999_999_999_999)),
        output_reasoning=dice.choice((None, 11)),
        cache_read_text=dice.choice((None, 5)),
        seconds=dice.choice((None, 1, 2_500_000)),
        custom_units=dice.choice((None, {"gpu_hours": 1_500_000})),
        latency_ms=dice.choice((None, Decimal(0), Decimal("0.999"), Decimal(dice.randrange(10**9)) / 1000)),
        cost=Decimal(dice.randrange(10**18)).scaleb(-12) if is_priced else None,
        cost_status=dice.choice(("priced", "client_reported")) if is_priced else "unpriced",
        currency=dice.choice(("USD", "EUR")) if is_priced else "USD",
    )


def _random_time(dice: random.Random) -> datetime:
    """A time on, just before or near an hour, often around a change of a zone's offset."""
    if dice.random() < 0.4:
        near = dice.choice(_CHANGES)
        return near + dice.choice((1, -1)) * timedelta(minutes=15 * dice.randrange(16))
    time = START + timedelta(minutes=dice.randrange(int((END - START).total_seconds()) // 60))
    return time - timedelta(microseconds=dice.choice((0, 1)))


@st.composite
def windows(draw: DrawFn) -> Window:
    """A window anywhere around the events, from minutes to all of them, often on even hours or days."""
    step = draw(st.sampled_from((timedelta(days=1), timedelta(hours=1), timedelta(minutes=7))))
    steps = (END - START) // step
    first = draw(st.integers(0, steps - 1))
    last = draw(st.integers(first + 1, steps))
    return Window(START + step * first, START + step * last)


@st.composite
def filters(draw: DrawFn, names: tuple[str, ...]) -> Filter:
    """A filter on a text."""
    texts = (
        "openai",
        "gpt-4",
        "claude",
        "llm_service",
        "search",
        "ada",
        "USD",
        "priced",
        "chat",
        "red",
        "error",
    )
    name = draw(st.sampled_from(names))
    op = draw(st.sampled_from(FilterOp))
    choices = st.sampled_from(("gpt", "c", "s", "o") if op is FilterOp.PREFIX else (*texts, None))
    return Filter(name, op, tuple(draw(st.lists(choices, min_size=1, max_size=3, unique=True))))


@st.composite
def queries(draw: DrawFn) -> UsageQuery:
    """A question, more often than not one that a rollup can answer in part."""
    choices = (ROLLED_UP[:4], ROLLED_UP[:6], ROLLED_UP[4:], ROLLED_UP, ROLLED_UP + OTHERS)
    dimensions = draw(st.sampled_from(choices))
    texts = tuple(name for name in dimensions if name not in {"batch", "temperature", "retry_count"})
    measures = draw(
        st.lists(st.sampled_from((*MEASURES, "unit:gpu_hours")), min_size=1, max_size=5, unique=True)
    )
    grain = draw(st.none() | st.sampled_from(Grain))
    window = draw(windows())
    return UsageQuery(
        window=window,
        measures=tuple(measures),
        dimensions=tuple(draw(st.lists(st.sampled_from(dimensions), max_size=3, unique=True))),
        filters=tuple(draw(st.lists(filters(texts), max_size=2))),
        grain=grain,
        zone=parse_zone(draw(st.sampled_from(ZONES))),
        limit=10_000,
    )
