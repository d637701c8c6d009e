"""What a provider says that an answer cost and what we compute stand side by side: equal, or for a reason.

The table was worked out by hand. Its `paid` prices explain each reported figure to the last digit, so that
a difference to ours is a matter of prices and never of units.
"""

from __future__ import annotations

import json
import tomllib
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from bursar.money import format_decimal, format_picos
from bursar.pricing.books import PriceBooks
from bursar.pricing.genai_source import load_book
from bursar.usage.costing import Costed, cost_event
from bursar.usage.event import UsageEvent
from bursar.usage.formats.provider_answers import read_answer
from bursar.usage.measure import Measured, measure_usage
from tests.support.recorded import recorded, recorded_names

if TYPE_CHECKING:
    from bursar.usage.providers.provider_usage import ProviderUsage

TABLE = cast(
    "dict[str, dict[str, Any]]",
    tomllib.loads((Path(__file__).parent / "reported_costs.toml").read_text()),
)
REASONS = {
    "web_search_fee",
    "price_dated_too_late",
    "price_wrong_that_day",
    "promotion_not_passed_on",
    "model_not_in_book",
}
BY_THE_PIECE = {"searches"}


@pytest.fixture(scope="module")
def books() -> PriceBooks:
    """The bundled prices, of no tenant's own."""
    return PriceBooks(load_book())


def event_of(name: str) -> UsageEvent:
    event = read_answer(recorded("responses", name).read_bytes()).event
    assert event is not None
    return event


def said_in(measured: Measured) -> ProviderUsage:
    assert measured.provider is not None
    return measured.provider


def costed_by(books: PriceBooks, event: UsageEvent) -> Costed:
    assert event.time is not None
    return cost_event(books.of("acme"), event, measure_usage(event), event.time)


@pytest.mark.parametrize("name", TABLE)
def test_an_answer_says_what_it_cost(name: str) -> None:
    reported = said_in(measure_usage(event_of(name))).reported_cost

    assert reported is not None
    assert (format_decimal(reported.amount), reported.currency) == (TABLE[name]["reported"], "USD")


@pytest.mark.parametrize("name", TABLE)
def test_what_we_compute_stands_beside_it(books: PriceBooks, name: str) -> None:
    row, costed = TABLE[name], costed_by(books, event_of(name))

    if costed.picos is None:
        assert costed.reason == row["unpriced"]
    else:
        assert format_picos(costed.picos) == row["computed"]


@pytest.mark.parametrize("name", TABLE)
def test_they_are_equal_or_a_reason_is_named(name: str) -> None:
    row = TABLE[name]

    assert ("equal" in row["because"]) == (row.get("computed") == row["reported"])
    assert row["because"] == ["equal"] or REASONS.issuperset(row["because"])


@pytest.mark.parametrize("name", TABLE)
def test_the_prices_that_were_paid_explain_the_reported_cost_to_the_last_digit(name: str) -> None:
    units, paid = measure_usage(event_of(name)).units, TABLE[name]["paid"]
    assert units.keys() == paid.keys()

    bill = sum(
        Decimal(paid[unit]) * count / (1 if unit in BY_THE_PIECE else 10**6) for unit, count in units.items()
    )

    assert bill == Decimal(TABLE[name]["reported"])


def test_every_recorded_answer_that_says_its_cost_stands_in_the_table() -> None:
    names: set[str] = set()
    for name in recorded_names("responses"):
        event = read_answer(recorded("responses", name).read_bytes()).event
        measured = measure_usage(event) if event else None
        if measured and measured.provider and measured.provider.reported_cost:
            names.add(name)

    assert names == set(TABLE)


def test_a_reported_bill_of_xais_rest_api_is_ours_to_the_tick(books: PriceBooks) -> None:
    """9992 × 1.25 + 128 × 0.20 + (1499 + 2809) × 2.50 for a million, as reported to an open-source project.

    Reasoning inside the completion would make it 0.0162631 (https://github.com/Wei-Shaw/sub2api/issues/5771).
    """
    report = json.loads(recorded("admin_api", "xai_rest_usage_from_issue.json").read_text())
    usage = report["response"]["json"]["usage"]
    time = datetime(2026, 8, 1, tzinfo=UTC)
    event = UsageEvent(provider="xai", model="grok-4.20", time=time, usage=usage)

    reported = said_in(measure_usage(event)).reported_cost
    costed = costed_by(books, event)

    assert reported is not None
    assert costed.picos is not None
    assert format_picos(costed.picos) == format_decimal(reported.amount) == "0.0232856"
