"""Stored events are read for rating again at a cost that doesn't grow with what they have in common."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import msgspec

from bursar.pricing.books import TenantPrices
from bursar.pricing.genai_source import load_book
from bursar.pricing.rules.multiply import Multiply
from bursar.pricing.rules.rule import BillingRule, RuleBook
from bursar.pricing.rules.selection import Rates
from bursar.usage.ratable_rows import Common, RatableRows
from bursar.usage.revising.ratable import RatesAgain

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def rows_of_a_service(number: int, card_id: str) -> RatableRows:
    """Events of `ml` with a prediction each, rated by this card."""
    said = {
        "service_type": "ml",
        "status": "ok",
        "currency": "USD",
        "cost_status": "priced",
        "rate_card": card_id,
    }
    common = msgspec.json.encode([said.get(name) for name in Common.__struct_fields__]).decode()
    return RatableRows(
        as_of=number,
        seqs=range(1, number + 1),
        times=[NOON.replace(tzinfo=None)] * number,
        common=[common] * number,
        picos=[10**9] * number,
        context_tokens=[None] * number,
        units={},
        custom_units=['{"predictions":1000000}'] * number,
        parts=[None] * number,
        reported_picos=[None] * number,
        usages=[None] * number,
        fields=[None] * number,
    )


def test_the_card_of_many_events_is_read_once() -> None:
    rule = BillingRule(
        id="rule_1",
        service_type="ml",
        currency="USD",
        charge=Multiply(unit="predictions", rates=Rates({"standard": Decimal("0.001")})),
        recorded_at=NOON,
        recorded_by="key_1",
    )
    rules = RuleBook.of([rule])
    prices = TenantPrices(load_book()).with_rules(rules)
    card = rules.card_of(rule, lambda _name: None)
    read: list[str] = []

    def load(card_id: str) -> str:
        read.append(card_id)
        return card.to_json()

    rated = list(RatesAgain(prices, load).rate(rows_of_a_service(500, card.id)))
    assert [one.is_changed for one in rated] == [False] * 500
    # Once for what it counts, once for how the provider was found.
    assert set(read) == {card.id}
    assert len(read) <= 2
