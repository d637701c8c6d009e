"""Bills by billing rules, worked out by hand: every kind of charge, with the arithmetic written out.

The tariffs are those of published price pages where a row names one, and else chosen to show a border. No
amount was copied from a program.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from bursar.money import format_picos, parse_picos
from bursar.pricing.cards import card_from_json
from bursar.pricing.explain import explain_rating
from bursar.pricing.rating import CostStatus
from bursar.pricing.rule_rating import rate_by_rule
from bursar.pricing.rules.charge import Sum
from bursar.pricing.rules.flat import Flat
from bursar.pricing.rules.formula import Formula
from bursar.pricing.rules.multiply import Multiply
from bursar.pricing.rules.package import Package
from bursar.pricing.rules.percentage import Percentage
from bursar.pricing.rules.rule import BillingRule, RuleBook
from bursar.pricing.rules.selection import Rates
from bursar.pricing.rules.tiered import Graduated, Tier, Volume
from bursar.units import to_steps

if TYPE_CHECKING:
    from bursar.pricing.rules.charge import Charge

SEED = "the example of a custom service in the README of the usage tracking system that Bursar replaces"
STRIPE_TIERS = "https://docs.stripe.com/products-prices/pricing-models"
STRIPE_CARDS = "https://stripe.com/pricing (2.9 % + 30 cents a domestic card)"
TEXTRACT = "https://aws.amazon.com/textract/pricing/ (first million pages 0.0015, beyond 0.0006)"
WHISPER = "https://developers.openai.com/api/docs/pricing (0.006 a minute)"
CHOSEN = "chosen to show a border"


def rates(standard: str) -> Rates:
    return Rates({"standard": Decimal(standard)})


def tiers(*pairs: tuple[str | None, str]) -> tuple[Tier, ...]:
    return tuple(Tier(Decimal(rate), None if up_to is None else Decimal(up_to)) for up_to, rate in pairs)


FIVE_SEVEN = tiers(("5", "5"), ("10", "4"), (None, "3"))
PAGES = tiers(("1000000", "0.0015"), (None, "0.0006"))


@dataclass(frozen=True)
class Bill:
    """One event, the rule it falls under, and what it costs by hand."""

    what: str
    source: str
    charge: Charge
    units: dict[str, str]
    lines: list[tuple[str, str, str]]
    """Unit, quantity and amount of each line."""
    total: str
    minimum: str | None = None
    says: dict[str, str] = field(default_factory=dict[str, str])

    def __str__(self) -> str:
        return self.what


BILLS = [
    # 500 x 0.001 = 0.5
    Bill(
        "500 predictions of the seed's service",
        SEED,
        Multiply(unit="predictions", rates=rates("0.001")),
        {"predictions": "500"},
        [("predictions", "500", "0.5")],
        "0.5",
    ),
    # 7.25 x 0.000000000333 = 0.00000000241425, to 1e-12 half-even: 0.000000002414
    Bill(
        "a line is rounded once, half to even",
        CHOSEN,
        Multiply(unit="gpu_seconds", rates=rates("0.000000000333")),
        {"gpu_seconds": "7.25"},
        [("gpu_seconds", "7.25", "0.000000002414")],
        "0.000000002414",
    ),
    # 90 s are 1.5 minutes; 1.5 x 0.006 = 0.009
    Bill(
        "a minute and a half of speech",
        WHISPER,
        Multiply(unit="minutes", rates=rates("0.006")),
        {"seconds": "90"},
        [("seconds", "90", "0.009")],
        "0.009",
    ),
    # 1,200 + 300 = 1,500 tokens; 1,500 / 1,000 x 0.02 = 0.03
    Bill(
        "tokens of both directions, a price for a thousand",
        CHOSEN,
        Multiply(unit="tokens", rates=rates("0.02"), per=1_000),
        {"input_text": "1200", "output_text": "300"},
        [("tokens", "1500", "0.03")],
        "0.03",
    ),
    # premium is 0.004: 250 x 0.004 = 1
    Bill(
        "the rate that the event's tier chooses",
        CHOSEN,
        Multiply(
            unit="predictions",
            rates=Rates({"standard": Decimal("0.001"), "premium": Decimal("0.004")}, "tier"),
        ),
        {"predictions": "250"},
        [("predictions", "250", "1")],
        "1",
        says={"tier": "premium"},
    ),
    # 1,200 - 1,000 free = 200; 200 x 0.01 = 2
    Bill(
        "a thousand pages are free",
        CHOSEN,
        Multiply(unit="pages", rates=rates("0.01"), free=Decimal(1000)),
        {"pages": "1200"},
        [("pages", "1000", "0"), ("pages", "200", "2")],
        "2",
    ),
    # 999 pages, 1,000 free: nothing is left
    Bill(
        "less than what is free costs nothing, and says so",
        CHOSEN,
        Multiply(unit="pages", rates=rates("0.01"), free=Decimal(1000)),
        {"pages": "999"},
        [("pages", "999", "0")],
        "0",
    ),
    # 5 x 5 + 1 x 4 = 29
    Bill(
        "graduated: six units, the sixth at the second tier's rate",
        STRIPE_TIERS,
        Graduated(unit="projects", tiers=FIVE_SEVEN),
        {"projects": "6"},
        [("projects", "5", "25"), ("projects", "1", "4")],
        "29",
    ),
    # 5 x 5 + 5 x 4 + 10 x 3 = 75
    Bill(
        "graduated: twenty units in three tiers",
        STRIPE_TIERS,
        Graduated(unit="projects", tiers=FIVE_SEVEN),
        {"projects": "20"},
        [("projects", "5", "25"), ("projects", "5", "20"), ("projects", "10", "30")],
        "75",
    ),
    # 1,000,000 x 0.0015 + 500,000 x 0.0006 = 1,500 + 300 = 1,800
    Bill(
        "a million and a half pages of text detection in one run",
        TEXTRACT,
        Graduated(unit="pages", tiers=PAGES),
        {"pages": "1500000"},
        [("pages", "1000000", "1500"), ("pages", "500000", "300")],
        "1800",
    ),
    # a bound is included: 5 x 5 = 25
    Bill(
        "volume: five units are in the first tier",
        STRIPE_TIERS,
        Volume(unit="projects", tiers=FIVE_SEVEN),
        {"projects": "5"},
        [("projects", "5", "25")],
        "25",
    ),
    # 6 x 4 = 24: cheaper than five
    Bill(
        "volume: six units are all at the second tier's rate",
        STRIPE_TIERS,
        Volume(unit="projects", tiers=FIVE_SEVEN),
        {"projects": "6"},
        [("projects", "6", "24")],
        "24",
    ),
    # 1,001 / 1,000 begins a second package: 2 x 5 = 10
    Bill(
        "a package that is begun is paid whole",
        STRIPE_TIERS,
        Package(unit="pages", size=Decimal(1000), rates=rates("5")),
        {"pages": "1001"},
        [("pages", "1001", "10")],
        "10",
    ),
    # exactly two packages: 2 x 5 = 10
    Bill(
        "a package that is full isn't another",
        STRIPE_TIERS,
        Package(unit="pages", size=Decimal(1000), rates=rates("5")),
        {"pages": "2000"},
        [("pages", "2000", "10")],
        "10",
    ),
    # 120.50 x 2.9 / 100 = 3.4945; + 0.30 = 3.7945
    Bill(
        "a card payment: a percentage and a fixed amount",
        STRIPE_CARDS,
        Sum(parts=(Percentage(unit="order_value", rates=rates("2.9")), Flat(rates=rates("0.30")))),
        {"order_value": "120.50"},
        [("order_value", "120.5", "3.4945"), ("flat_charge", "1", "0.3")],
        "3.7945",
    ),
    # 3 x 0.01 + 2,000,000 / 1,000,000 x 0.09 = 0.03 + 0.18 = 0.21
    Bill(
        "a sum over pages and bytes",
        CHOSEN,
        Sum(
            parts=(
                Multiply(unit="pages", rates=rates("0.01")),
                Multiply(unit="bytes", rates=rates("0.09"), per=1_000_000),
            )
        ),
        {"pages": "3", "bytes": "2000000"},
        [("pages", "3", "0.03"), ("bytes", "2000000", "0.18")],
        "0.21",
    ),
    # an event that counts no requests is one: 1 x 0.002
    Bill(
        "a call by itself",
        CHOSEN,
        Multiply(unit="requests", rates=rates("0.002")),
        {},
        [("requests", "1", "0.002")],
        "0.002",
    ),
    # 3 x 0.01 = 0.03; 0.25 at least: 0.22 more
    Bill(
        "a minimum shows what is missing to it",
        CHOSEN,
        Multiply(unit="pages", rates=rates("0.01")),
        {"pages": "3"},
        [("pages", "3", "0.03"), ("minimum_charge", "1", "0.22")],
        "0.25",
        minimum="0.25",
    ),
    # ceil(1,234 / 1,000) = 2; 2 x 0.05 + 3 x 0.2 = 0.7; max with 0.5 stays 0.7
    Bill(
        "an expression over characters and images",
        CHOSEN,
        Formula(expression="max(ceil(characters / 1000) * rate + images * 0.2, 0.5)", rates=rates("0.05")),
        {"characters": "1234", "images": "3"},
        [("expression", "1", "0.7")],
        "0.7",
    ),
    # 10 / 3 = 3.333333333333…, to 1e-12
    Bill(
        "an expression is exact until its one rounding",
        CHOSEN,
        Formula(expression="images / 3"),
        {"images": "10"},
        [("expression", "1", "3.333333333333")],
        "3.333333333333",
    ),
]


def rule_of(charge: Charge, minimum: str | None = None) -> BillingRule:
    return BillingRule(
        id="rul_1",
        service_type="any_kind",
        currency="USD",
        charge=charge,
        minimum_charge=None if minimum is None else Decimal(minimum),
        recorded_at=datetime(2026, 11, 1, tzinfo=UTC),
        recorded_by="key_1",
    )


@pytest.mark.parametrize("bill", BILLS, ids=str)
def test_a_bill_by_a_rule_is_what_it_is_by_hand(bill: Bill) -> None:
    rule = rule_of(bill.charge, bill.minimum)
    units = {name: to_steps(name, Decimal(quantity)) for name, quantity in bill.units.items()}
    rating = rate_by_rule(RuleBook.of([rule]), rule, units, units.keys(), bill.says.get)
    assert (rating.status, rating.currency) == (CostStatus.PRICED, "USD")
    assert format_picos(rating.picos or 0) == bill.total
    explained = explain_rating(rating, units)
    assert [(line.unit, line.quantity, line.amount) for line in explained.lines] == bill.lines
    assert sum(parse_picos(line.amount) for line in explained.lines) == rating.picos
    assert explained.card is not None
    assert explained.card.kind == "billing_rule"
    # The card alone gives the same bill, however long ago it was kept.
    assert rating.card is not None
    kept = card_from_json(rating.card.to_json())
    assert kept.lines(units) == rating.card.lines(units)


def test_there_are_bills_of_every_kind_of_charge() -> None:
    kinds = {type(bill.charge) for bill in BILLS}
    assert kinds >= {Multiply, Graduated, Volume, Package, Formula, Sum}
    parts = {type(part) for bill in BILLS if isinstance(bill.charge, Sum) for part in bill.charge.parts}
    assert parts >= {Percentage, Flat, Multiply}


@pytest.mark.parametrize(
    ("charge", "units", "reason"),
    [
        (Multiply(unit="predictions", rates=rates("0.001")), {"pages": 3}, "no_quantity:predictions"),
        (
            Multiply(unit="pages", rates=Rates({"gold": Decimal(1)}, "tier")),
            {"pages": 3},
            "no_rate_for:standard",
        ),
        (Formula(expression="1 / (pages - 3)"), {"pages": 3}, "division_by_zero"),
        (Formula(expression="1 - pages"), {"pages": 3}, "negative_amount"),
        (Formula(expression="2 ** pages"), {"pages": 17}, "exponent_out_of_range"),
        (Formula(expression="((pages ** 16) ** 16) ** 16"), {"pages": 300}, "expression_too_large"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_rule_cannot_know_is_unpriced_for_a_named_reason(
    charge: Charge, units: dict[str, int], reason: str
) -> None:
    rule = rule_of(charge)
    rating = rate_by_rule(RuleBook.of([rule]), rule, units, units.keys(), lambda _: None)
    assert (rating.status, rating.picos, rating.reason) == (CostStatus.UNPRICED, None, reason)


def test_none_of_it_is_known_to_cost_nothing_where_the_event_says_none() -> None:
    rule = rule_of(Multiply(unit="predictions", rates=rates("0.001")))
    rating = rate_by_rule(RuleBook.of([rule]), rule, {}, {"predictions"}, lambda _: None)
    assert (rating.status, rating.picos) == (CostStatus.PRICED, 0)
