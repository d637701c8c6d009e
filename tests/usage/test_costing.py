"""A cost is exact, or it is unknown for a named reason; it is never a silent zero."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from bursar.errors import Invalid
from bursar.money import PICOS_PER_UNIT
from bursar.pricing.books import PriceBooks, TenantPrices
from bursar.pricing.choices import NO_CHOICES, PricingChoices
from bursar.pricing.genai_source import load_book
from bursar.pricing.rating import CostStatus
from bursar.pricing.terms import Adjustment, ContractPrice, RequestFee, Terms
from bursar.usage.costing import FAILED_WITHOUT_USAGE, Costed, cost_event, parts_of
from bursar.usage.event import ReportedCost, UsageEvent
from bursar.usage.measure import measure_usage

NOW = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture(scope="module")
def prices() -> TenantPrices:
    return PriceBooks(load_book()).of("acme")


def cost(prices: TenantPrices, event: UsageEvent) -> Costed:
    return cost_event(prices, event, measure_usage(event), event.time or NOW)


def test_the_answered_model_decides_the_price(prices: TenantPrices) -> None:
    """gpt-5 costs 1.25 USD and gpt-5-mini 0.25 USD per million input tokens (openai.com/api/pricing)."""
    asked = UsageEvent(provider="openai", model="gpt-5", response_model="gpt-5-mini", input_tokens=1_000_000)

    assert cost(prices, asked).picos == 250_000_000_000


def test_an_unknown_model_is_unpriced_and_never_zero(prices: TenantPrices) -> None:
    costed = cost(prices, UsageEvent(provider="openai", model="no-such-model", input_tokens=5))

    assert (costed.status, costed.picos, costed.reason) == (CostStatus.UNPRICED, None, "unknown_model")


def test_the_callers_own_figure_stands_in_where_ours_is_unknown(prices: TenantPrices) -> None:
    known = UsageEvent(
        provider="openai", model="gpt-5", input_tokens=1000, cost=ReportedCost(Decimal(9), "EUR")
    )
    unknown = UsageEvent(model="no-such-model", input_tokens=5, cost=ReportedCost(Decimal("0.125"), "EUR"))

    assert cost(prices, known).status is CostStatus.PRICED
    costed = cost(prices, unknown)
    assert (costed.status, costed.picos, costed.currency) == (
        CostStatus.CLIENT_REPORTED,
        125_000_000_000,
        "EUR",
    )


def test_a_failed_call_without_usage_is_known_to_be_free(prices: TenantPrices) -> None:
    costed = cost(prices, UsageEvent(provider="openai", model="gpt-5", status="error"))

    assert (costed.status, costed.picos, costed.reason) == (CostStatus.PRICED, 0, FAILED_WITHOUT_USAGE)


def test_a_successful_call_without_usage_is_not(prices: TenantPrices) -> None:
    assert cost(prices, UsageEvent(provider="openai", model="gpt-5")).reason == "no_usage"


def test_another_model_in_the_same_answer_is_billed_at_its_own_price(prices: TenantPrices) -> None:
    """Sonnet 4.5 costs 3 USD and Opus 4.5 5 USD per million input tokens (claude.com/pricing)."""
    usage = {
        "input_tokens": 1000,
        "output_tokens": 0,
        "iterations": [
            {"type": "message", "input_tokens": 1000, "output_tokens": 0},
            {"type": "advisor_message", "model": "claude-opus-4-5", "input_tokens": 2000, "output_tokens": 0},
        ],
    }
    costed = cost(prices, UsageEvent(provider="anthropic", model="claude-sonnet-4-5", usage=usage))

    expected = 3_000_000 * 1000 + 5_000_000 * 2000
    assert costed.picos == expected
    assert [part.model for part in parts_of(costed)] == ["claude-sonnet-4-5", "claude-opus-4-5"]


ASKED_AN_ADVISOR = {
    "input_tokens": 1000,
    "output_tokens": 0,
    "iterations": [
        {"type": "message", "input_tokens": 1000, "output_tokens": 0},
        {"type": "advisor_message", "model": "claude-opus-4-5", "input_tokens": 2000, "output_tokens": 0},
    ],
}


def test_a_fee_for_each_request_is_billed_once_however_many_models_answer() -> None:
    """As in the test above, and 0.01 USD for the request."""
    prices = agreed(RequestFee(id="fee", amount=Decimal("0.01")))
    event = UsageEvent(provider="anthropic", model="claude-sonnet-4-5", usage=ASKED_AN_ADVISOR)
    costed = cost(prices, event)

    assert costed.picos == 3_000_000 * 1000 + 5_000_000 * 2000 + PICOS_PER_UNIT // 100
    for part in parts_of(costed):
        # What is stored of a share gives its cost again, when it is explained and when it is re-priced.
        assert part.rating.card is not None
        assert part.rating.card.amount_for(part.units) == part.rating.picos


def test_shares_in_several_currencies_have_no_sum() -> None:
    euros = ContractPrice(
        id="c", model="claude-sonnet-4-5*", unit="input_tokens", price=Decimal(3), per=10**6, currency="EUR"
    )
    event = UsageEvent(provider="anthropic", model="claude-sonnet-4-5", usage=ASKED_AN_ADVISOR)
    costed = cost(agreed(euros), event)

    assert [part.rating.currency for part in parts_of(costed)] == ["EUR", "USD"]
    assert (costed.status, costed.picos) == (CostStatus.UNPRICED, None)
    assert costed.reason == "prices_in_several_currencies"


@pytest.mark.parametrize("amount", ["0", "0.01"])
def test_a_failed_call_that_its_provider_billed_is_not_free(amount: str) -> None:
    usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "cost": float(amount)}
    event = UsageEvent(provider="openrouter", model="openai/gpt-4o", status="error", usage=usage)
    believed = cost(agreed(choices=PricingChoices(trusted_providers=frozenset({"openrouter"}))), event)
    doubted = cost(agreed(), event)

    assert believed.picos == Decimal(amount) * PICOS_PER_UNIT
    assert doubted.picos == (0 if amount == "0" else None)


def agreed(*terms: Adjustment, choices: PricingChoices = NO_CHOICES) -> TenantPrices:
    """Prices of a tenant that agreed on these terms."""
    books = PriceBooks(load_book())
    books.agree("acme", choices, Terms(terms))
    return books.of("acme")


def test_one_unknown_share_makes_the_whole_unknown(prices: TenantPrices) -> None:
    usage = {
        "input_tokens": 1000,
        "output_tokens": 0,
        "iterations": [
            {"type": "message", "input_tokens": 1000, "output_tokens": 0},
            {"type": "advisor_message", "model": "claude-of-tomorrow", "input_tokens": 5, "output_tokens": 0},
        ],
    }
    costed = cost(prices, UsageEvent(provider="anthropic", model="claude-sonnet-4-5", usage=usage))

    assert (costed.status, costed.picos, costed.reason) == (CostStatus.UNPRICED, None, "unknown_model")


@pytest.mark.parametrize("amount", ["-1", "1000000", "0.0000000000001", "NaN", "1e400"])
def test_an_impossible_reported_cost_is_refused(prices: TenantPrices, amount: str) -> None:
    with pytest.raises(Invalid) as refusal:
        cost(
            prices,
            UsageEvent(model="no-such-model", input_tokens=5, cost=ReportedCost(Decimal(amount), "USD")),
        )

    assert refusal.value.reasons[0].field == "cost.amount"


def test_an_answer_of_several_models_that_used_nothing_is_unpriced(prices: TenantPrices) -> None:
    nothing = {"input_tokens": 0, "output_tokens": 0}
    advisor = {"type": "advisor_message", "model": "claude-opus-4-5", **nothing}
    usage = {**nothing, "iterations": [{"type": "message", **nothing}, advisor]}
    costed = cost(prices, UsageEvent(provider="anthropic", model="claude-sonnet-4-5", usage=usage))

    assert (costed.status, costed.reason) == (CostStatus.UNPRICED, "no_usage")


def test_the_sum_of_several_models_shares_is_bounded_like_any_amount(prices: TenantPrices) -> None:
    """Each share stays under a million; 35 billion output tokens at 15 and at 25 USD per million."""
    much = {"input_tokens": 0, "output_tokens": 35_000_000_000}
    advisor = {"type": "advisor_message", "model": "claude-opus-4-5", **much}
    usage = {**much, "iterations": [{"type": "message", **much}, advisor]}

    with pytest.raises(Invalid) as refusal:
        cost(prices, UsageEvent(provider="anthropic", model="claude-sonnet-4-5", usage=usage))

    assert refusal.value.reasons[0].code == "out_of_range"


def test_a_unit_without_a_price_counts_beside_several_models_too(prices: TenantPrices) -> None:
    used = {"input_tokens": 10, "output_tokens": 0}
    advisor = {"type": "advisor_message", "model": "claude-opus-4-5", **used}
    usage = {**used, "iterations": [{"type": "message", **used}, advisor]}
    event = UsageEvent(provider="anthropic", model="claude-sonnet-4-5", usage=usage, units={"widgets": 5})

    assert cost(prices, event).reason == "no_price_for_unit:widgets"


def test_the_callers_figure_for_a_failed_call_is_not_overruled_by_a_zero(prices: TenantPrices) -> None:
    reported = ReportedCost(Decimal("0.50"), "EUR")
    costed = cost(prices, UsageEvent(provider="openai", model="gpt-5", status="error", cost=reported))

    assert (costed.status, costed.picos, costed.currency) == (CostStatus.CLIENT_REPORTED, 5 * 10**11, "EUR")
