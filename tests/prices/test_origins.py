"""What an explanation tells beyond its card: rules, rows by their hashes, terms, and the list beside them.

The card alone must give every amount; the rest comes from a book that still makes the same card.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from bursar.pricing.book import PriceBook
from bursar.pricing.card import RateCard
from bursar.pricing.explain import ExplainedTerm, explain_origin, explain_rating
from bursar.pricing.origin import Origin, trace_card
from bursar.pricing.rating import PricingSubject, rate_usage
from bursar.pricing.rows import PriceRow
from bursar.pricing.terms import ContractPrice, Discount, ModelAlias, RequestFee, Terms

if TYPE_CHECKING:
    from bursar.units import Quantities

NOVEMBER = datetime(2026, 11, 2, 5, tzinfo=UTC)
UNITS: Quantities = {"input_text": 1_000, "output_text": 200}
ALL: Quantities = {"input_text": 1, "output_text": 1, "output_reasoning": 1, "cache_read_text": 1}


def traced(book: PriceBook, subject: PricingSubject, units: Quantities = UNITS) -> Origin:
    rating = rate_usage(book, subject, units)
    origin = explain_origin(explain_rating(rating, units), book, subject, rating.card).origin
    assert origin is not None
    return origin


def test_every_rate_names_the_row_that_it_comes_from(book: PriceBook) -> None:
    origin = traced(book, PricingSubject("OpenAI", "o3-2025-04-16", NOVEMBER), ALL)
    assert [(one.rule, one.result) for one in origin.rules] == [
        ("provider_named", "openai"),
        ("name:equals:o3-2025-04-16", "openai/o3"),
    ]
    by_unit = {price.unit: price for price in origin.prices}
    assert set(by_unit) == set(ALL), "what was billed, no more"
    reasoning = by_unit["output_reasoning"]
    assert reasoning == replace(by_unit["output_text"], unit="output_reasoning")
    assert reasoning.price == "8 USD per 1000000 output_tokens"
    assert (reasoning.valid_from, reasoning.valid_to) == ("2025-06-10T00:00:00+00:00", None)
    assert reasoning.source == "genai-prices"
    assert reasoning.link == "https://developers.openai.com/api/docs/pricing"
    row = PriceRow.from_json(reasoning.recorded)
    assert row.hash == reasoning.row
    assert row in book.data.rows["openai", "o3"]


def test_rows_are_found_for_every_way_region_size_and_hour(book: PriceBook) -> None:
    subjects = [
        PricingSubject("openai", "gpt-5", NOVEMBER, service_tier="flex"),
        PricingSubject("azure", "gpt-5", NOVEMBER, batch=True),
        PricingSubject("anthropic", "claude-opus-4-6", NOVEMBER, region="us"),
        PricingSubject("google", "gemini-2.5-pro", NOVEMBER, context_tokens=200_001),
        PricingSubject("deepseek", "deepseek-v4-pro", NOVEMBER.replace(hour=2)),
    ]
    for subject in subjects:
        prices = {price.unit: price for price in traced(book, subject, ALL).prices}
        assert set(prices) == set(ALL), subject


def test_a_card_that_the_book_no_longer_makes_has_no_origin(book: PriceBook) -> None:
    subject = PricingSubject("openai", "o3", NOVEMBER)
    card = rate_usage(book, subject, UNITS).card
    assert isinstance(card, RateCard)
    newer = PriceBook(replace(book.data, version="genai-prices 9"))
    assert trace_card(newer, card, ("openai", "o3"), NOVEMBER) is None
    assert trace_card(book, None, ("openai", "o3"), NOVEMBER) is None


def test_an_explanation_shows_terms_and_what_the_list_charges(book: PriceBook) -> None:
    terms = Terms(
        (
            ContractPrice(id="c1", model="o3", unit="input_tokens", price=Decimal("1.5"), per=10**6),
            Discount(id="d1", percent=Decimal(12)),
            RequestFee(id="f1", amount=Decimal("0.001")),
        ),
        (ModelAlias(id="a1", alias="thinker", to_provider="openai", to_model="o3"),),
    )
    own, subject = book.with_terms(terms), PricingSubject(None, "thinker", NOVEMBER)
    rating = rate_usage(own, subject, UNITS)
    explained = explain_origin(explain_rating(rating, UNITS), own, subject, rating.card)
    assert [
        (line.unit, line.rate, line.amount, line.list_rate, line.list_amount) for line in explained.lines
    ] == [
        ("input_text", "1.32 USD / 1M tokens", "0.00132", "2 USD / 1M tokens", "0.002"),
        ("output_text", "7.04 USD / 1M tokens", "0.001408", "8 USD / 1M tokens", "0.0016"),
        ("requests", "1 USD / 1,000 requests", "0.001", None, "0"),
    ]
    assert (explained.total, explained.list_total) == ("0.003728", "0.0036")
    assert explained.card is not None
    assert explained.card.rule == "alias:a1+provider_named"
    assert explained.card.terms == (
        ExplainedTerm("c1", "contract_price", "1.5 USD per 1000000 input_tokens"),
        ExplainedTerm("d1", "discount", "12 %"),
        ExplainedTerm("f1", "fee", "0.001 USD a request"),
    )
    assert explained.origin is not None
    assert explained.origin.rules[0].rule == "alias:a1"
    by_unit = {price.unit: price for price in explained.origin.prices}
    assert by_unit["input_text"].source == "contract:c1"
    assert by_unit["output_text"].source == "genai-prices"


def test_a_model_that_only_a_contract_prices_has_an_origin_too(book: PriceBook) -> None:
    price = ContractPrice(id="c", provider="openai", model="ft:gpt-5*", unit="input_tokens", price=Decimal(1))
    origin = traced(
        book.with_terms(Terms((price,))),
        PricingSubject("openai", "ft:gpt-5:o::1", NOVEMBER),
        {"input_text": 1},
    )
    assert [rule.rule for rule in origin.rules] == ["provider_named", "contract"]
    assert [price.source for price in origin.prices] == ["contract:c"]


def test_a_tool_of_a_provider_is_billed_by_the_call_where_the_book_has_a_price(book: PriceBook) -> None:
    # https://developers.openai.com/api/docs/pricing: file search, 2.50 for 1,000 calls.
    subject = PricingSubject("openai", "gpt-5", NOVEMBER)
    assert rate_usage(book, subject, {"file_searches": 4 * 10**6}).picos == 10**10
    rating = rate_usage(book, subject, {"input_text": 1, "code_executions": 10**6})
    assert rating.reason == "no_price_for_unit:code_executions"
