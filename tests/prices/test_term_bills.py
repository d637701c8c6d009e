"""Bills under a customer's own terms, worked out by hand over the published prices of real models.

The terms are made up, the list prices are those of the linked pages. A line is unit, quantity, price (the
list's, or the one agreed on) and amount, and for one the quantity billed at least; `factor` is what
discounts, markups and multipliers make together, which a fee is not multiplied by. Where a moment decides,
bills stand on both sides of it. Bills by the list alone are in `test_bills.py`.
"""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest

from bursar.money import format_decimal, format_picos
from bursar.pricing.explain import explain_rating
from bursar.pricing.rating import CostStatus, PricingSubject, rate_usage
from bursar.pricing.terms import Adjustment, ModelAlias, Terms
from bursar.units import to_steps

if TYPE_CHECKING:
    from bursar.pricing.book import PriceBook

Bill = dict[str, Any]
MONDAY = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
PER = {"requests": 1_000, "seconds": 3_600, "images": 1, "code_executions": 1}
MILLION = 1_000_000
TABLE = tomllib.loads((Path(__file__).parent / "bills_of_terms.toml").read_text())
BILLS = cast("list[Bill]", TABLE["bill"])
KINDS = {"contract_price", "discount", "markup", "multiplier", "fee"}


def named(bill: Bill) -> str:
    return bill["what"]


def terms_of(bill: Bill) -> Terms:
    return Terms(
        tuple(msgspec.convert(term, Adjustment, strict=False) for term in bill.get("terms", [])),
        tuple(msgspec.convert(alias, ModelAlias) for alias in bill.get("aliases", [])),
    )


def subject_of(bill: Bill) -> PricingSubject:
    return PricingSubject(
        bill["provider"],
        bill["model"],
        bill.get("time", MONDAY),
        service_tier=bill.get("service_tier"),
        batch=bill.get("batch", False),
        region=bill.get("region"),
    )


@pytest.mark.parametrize("bill", BILLS, ids=named)
def test_a_bill_is_what_was_agreed_on(book: PriceBook, bill: Bill) -> None:
    units = {unit: to_steps(unit, Decimal(quantity)) for unit, quantity, *_ in bill["lines"]}

    rating = rate_usage(book.with_terms(terms_of(bill), bill.get("project")), subject_of(bill), units)

    assert (rating.status, rating.reason) == (CostStatus.PRICED, None)
    assert rating.currency == bill.get("currency", "USD")
    assert rating.picos is not None
    assert format_picos(rating.picos) == bill["total"]
    assert {line.unit: line.amount for line in explain_rating(rating, units).lines} == {
        unit: amount for unit, _, _, amount, *_ in bill["lines"]
    }


@pytest.mark.parametrize("bill", BILLS, ids=named)
def test_a_bill_adds_up_by_itself(bill: Bill) -> None:
    """The table's own arithmetic, without the engine."""
    total = Decimal(0)
    for unit, quantity, price, amount, *least in bill["lines"]:
        billed = max(Decimal(quantity), Decimal(least[0] if least else 0))
        factor = Decimal(1 if unit == "requests" else bill.get("factor", "1"))
        exact = billed * Decimal(price) * factor / PER.get(unit, MILLION)
        assert format_decimal(exact.quantize(Decimal("1e-12"), ROUND_HALF_EVEN)) == amount
        total += Decimal(amount)
    assert format_decimal(total) == bill["total"]


def test_there_are_bills_under_every_kind_of_term() -> None:
    assert {term["kind"] for bill in BILLS for term in bill.get("terms", [])} == KINDS
    assert all(bill["source"].startswith("https://") for bill in BILLS)
