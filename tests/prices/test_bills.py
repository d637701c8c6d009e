"""Bills worked out by hand from published price pages, line by line, over every kind of condition.

The tables in `bills/` were worked out with pencil and paper from the tariff that each row states and links
to, not copied from a program; where a day or an hour decides, the row stands on its very edge. A line is
unit, quantity, price and amount, and for some the quantity that is billed at least. Prices are dollars for
as many units as the price page says (`PER`). Prices of past days stand in announcements, or in the data of
genai-prices, which keeps them with the page that it read them from.
"""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from bursar.money import format_decimal, format_picos
from bursar.pricing.explain import explain_rating
from bursar.pricing.rating import CostStatus, PricingSubject, rate_usage
from bursar.units import to_steps

if TYPE_CHECKING:
    from bursar.pricing.book import PriceBook

Bill = dict[str, Any]
NOVEMBER = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
PER = {
    "searches": 1_000,
    "file_searches": 1_000,
    "requests": 1_000,
    "pages": 1_000,
    "annotated_pages": 1_000,
    "seconds": 3_600,
}
MILLION = 1_000_000
"""Tokens and characters."""


def bills() -> list[Bill]:
    """Every bill of every table."""
    tables = sorted((Path(__file__).parent / "bills").glob("*.toml"))
    read = [cast("dict[str, list[Bill]]", tomllib.loads(path.read_text())) for path in tables]
    return [bill for table in read for bill in table["bill"]]


BILLS = bills()


def named(bill: Bill) -> str:
    return bill["what"]


def subject_of(bill: Bill) -> PricingSubject:
    return PricingSubject(
        bill["provider"],
        bill["model"],
        bill.get("time", NOVEMBER),
        service_tier=bill.get("service_tier", "default"),
        batch=bill.get("batch", False),
        speed=bill.get("speed", "standard"),
        region=bill.get("region", "global"),
        context_tokens=bill.get("context_tokens"),
    )


@pytest.mark.parametrize("bill", BILLS, ids=named)
def test_a_bill_is_what_the_price_page_says(book: PriceBook, bill: Bill) -> None:
    units = {unit: to_steps(unit, Decimal(quantity)) for unit, quantity, *_ in bill["lines"]}

    rating = rate_usage(book, subject_of(bill), units)

    assert (rating.status, rating.reason, rating.currency) == (CostStatus.PRICED, None, "USD")
    assert rating.picos is not None
    assert format_picos(rating.picos) == bill["total"]
    explained = explain_rating(rating, units)
    assert {line.unit: line.amount for line in explained.lines} == {
        unit: amount for unit, _, _, amount, *_ in bill["lines"]
    }
    assert explained.total == bill["total"]


@pytest.mark.parametrize("bill", BILLS, ids=named)
def test_a_bill_adds_up_by_itself(bill: Bill) -> None:
    """The table's own arithmetic, without the engine: quantity × price is the amount, amounts the total."""
    total = Decimal(0)
    for unit, quantity, price, amount, *least in bill["lines"]:
        billed = max(Decimal(quantity), Decimal(least[0] if least else 0))
        exact = billed * Decimal(price) / PER.get(unit, MILLION)
        assert format_decimal(exact.quantize(Decimal("1e-12"), ROUND_HALF_EVEN)) == amount
        total += Decimal(amount)
    assert format_decimal(total) == bill["total"]


def test_every_bill_names_its_source() -> None:
    assert all(bill["source"].startswith("https://") and bill["tariff"] for bill in BILLS)
    assert len({bill["what"] for bill in BILLS}) == len(BILLS)


def test_there_are_bills_of_every_kind() -> None:
    units = {unit for bill in BILLS for unit, *_ in bill["lines"]}
    assert units >= {"searches", "file_searches", "requests", "pages", "seconds", "characters"}
    assert units >= {"cache_write_5m", "cache_write_1h", "cache_read_text", "cache_read_audio"}
    assert units >= {"input_audio", "output_audio", "input_image", "output_image", "output_reasoning"}
    ways = {(way, str(bill[way])) for bill in BILLS for way in WAYS if way in bill}
    assert ways >= {("service_tier", tier) for tier in ("flex", "priority", "fast", "batch")}
    assert ways >= {("batch", "True"), ("speed", "fast"), ("region", "us"), ("context_tokens", "200001")}


WAYS = ("service_tier", "batch", "speed", "region", "context_tokens")
