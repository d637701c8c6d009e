"""Random usage with every kind of cost: exact, rounded, graduated, shared by models, reported, unknown.

The cards are made here and the costs are the sums of their lines, as ingest would leave them.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from bursar.money import format_picos
from bursar.pricing.card import AppliedTerm, Rate, RateCard
from bursar.pricing.rules.card import RuleCard
from bursar.pricing.rules.tiered import Graduated, Tier
from tests.support.random_usage import END, START
from tests.support.usage_rows import an_event

if TYPE_CHECKING:
    from bursar.pricing.cards import Card
    from bursar.units import Quantities


def a_card(model: str, currency: str = "USD", **more: Any) -> RateCard:  # noqa: ANN401 - fields of a card
    rates = more.pop("rates", {"input_text": Rate(2_500_000, 1), "output_text": Rate(10_000_000, 1)})
    return RateCard(
        provider="openai",
        model=model,
        rule="provider_named",
        currency=currency,
        rates=rates,
        conditions={"service_tier": "default"},
        source="https://example.com/prices",
        book_version="1",
        **more,
    ).sealed()


EXACT = a_card("gpt-4o")
ROUNDED = a_card("cheap", "EUR", rates={"input_text": Rate(1, 3), "output_text": Rate(7, 9, 4)})
PER_CALL = a_card("search", rates={"requests": Rate(5 * 10**9, 1), "output_text": Rate(3, 7)})
CONTRACT = a_card(
    "negotiated",
    terms=(AppliedTerm("t1", "discount", "12 %"),),
    rates={"input_text": Rate(2_200_000, 1)},
    list_rates={"input_text": Rate(2_500_000, 1)},
)
UNLISTED = a_card(
    "private",
    terms=(AppliedTerm("t2", "contract_price", "1 USD per 1000000 input_tokens"),),
    rates={"input_text": Rate(1_000_000, 1)},
)
GRADUATED = RuleCard(
    rule_id="gpu",
    service_type="gpu_service",
    provider=None,
    model=None,
    matched="default",
    currency="USD",
    charge=Graduated(
        unit="gpu_hours", tiers=(Tier(up_to=Decimal(1), rate=Decimal(2)), Tier(rate=Decimal("0.7")))
    ),
    minimum_charge=Decimal("0.9"),
    conditions={},
    source="a test",
).sealed()
CARDS: dict[str, Card] = {card.id: card for card in (EXACT, ROUNDED, PER_CALL, CONTRACT, UNLISTED, GRADUATED)}


@dataclass
class Dice:
    """Throws events."""

    seed: int
    dice: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)

    def event(self, index: int) -> dict[str, Any]:
        kind = self.dice.choice(("card", "card", "card", "rule", "parts", "reported", "unpriced", "failed"))
        fields: dict[str, Any] = {
            "event_id": f"evt-{index}",
            "tenant_id": "acme" if self.dice.random() < 0.9 else "other",
            "time": START + timedelta(minutes=self.dice.randrange(int((END - START).total_seconds()) // 60)),
            "provider": self.dice.choice(("openai", "=HYPERLINK(1)", None)),
            "project_id": self.dice.choice(("search", "support", None)),
            "user_id": self.dice.choice(("ada", "+1", None)),
            "region": self.dice.choice(("eu", None)),
            "batch": self.dice.choice((True, False, None)),
            "tags": self.dice.choice(({"team": 'r"e,d'}, None)),
        }
        return an_event(**{**fields, **getattr(self, f"_{kind}")()})

    def _units(self, *names: str) -> Quantities:
        return {name: self.dice.choice((1, 2, 3, 7, 1000, 123_457)) for name in names}

    def _card(self) -> dict[str, Any]:
        card = self.dice.choice((EXACT, ROUNDED, PER_CALL, CONTRACT, UNLISTED))
        names = [name for name in card.rates if name != "requests" and self.dice.random() < 0.8]
        units = self._units(*(names or ["input_text" if "input_text" in card.rates else "output_text"]))
        return {"model": card.model, **units, **costed(card, units)}

    def _rule(self) -> dict[str, Any]:
        steps = self.dice.choice((1, 250_000, 1_000_000, 3_333_333))
        units = {"gpu_hours": steps}
        return {"service_type": "gpu_service", "custom_units": units, **costed(GRADUATED, units)}

    def _parts(self) -> dict[str, Any]:
        shares = [(card, self._units("input_text", "output_text")) for card in (EXACT, PER_CALL)]
        shares = [(card, {k: v for k, v in units.items() if k in card.rates}) for card, units in shares]
        parts = [
            {
                "model": card.model,
                "units": units,
                "rate_card": card.id,
                "cost": format_picos(card.amount_for(units)),
            }
            for card, units in shares
        ]
        total = sum(card.amount_for(units) for card, units in shares)
        units = {name: sum(one.get(name, 0) for _, one in shares) for name in ("input_text", "output_text")}
        cost = {"cost": Decimal(total).scaleb(-12), "rate_card": EXACT.id}
        return {"model": EXACT.model, "parts": json.dumps(parts), **units, **cost}

    def _reported(self) -> dict[str, Any]:
        amount = Decimal(self.dice.randrange(1, 10**15)).scaleb(-12)
        return {
            "model": "x",
            "cost": amount,
            "cost_status": "client_reported",
            "currency": "EUR",
            "input_text": 5,
        }

    def _unpriced(self) -> dict[str, Any]:
        return {"model": "mystery", "cost": None, "input_text": 5}

    def _failed(self) -> dict[str, Any]:
        return {"status": "error", "cost": Decimal(0), "cost_reason": "failed_without_usage"}


def costed(card: Card, units: Quantities) -> dict[str, Any]:
    """The cost of some units by a card, as an event has it."""
    picos = sum(line.amount_picos for line in card.lines(units))
    return {"cost": Decimal(picos).scaleb(-12), "currency": card.currency, "rate_card": card.id}


def rated_events(seed: int, count: int) -> list[dict[str, Any]]:
    """Events of two tenants."""
    dice = Dice(seed)
    return [dice.event(index) for index in range(count)]
