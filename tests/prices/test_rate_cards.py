"""Rate cards and explanations: named by content, readable, and enough to price again years later.

A card is stored once and read by whoever explains or verifies an event; so its id must follow from
its content alone, and its lines must give the amount that was charged.
"""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime

import msgspec
import pytest

from bursar.pricing.book import PriceBook
from bursar.pricing.card import Rate, RateCard
from bursar.pricing.explain import Explanation, explain_card, explain_rating
from bursar.pricing.rating import CostStatus, PricingSubject, rate_usage, unpriced

NOVEMBER = datetime(2026, 11, 2, 5, tzinfo=UTC)
O3 = PricingSubject("openai", "o3", NOVEMBER)
UNITS = {"output_text": 200, "input_text": 1_000, "searches": 2}


def card_of(book: PriceBook, subject: PricingSubject) -> RateCard:
    card = rate_usage(book, subject, {"input_text": 1}).card
    assert isinstance(card, RateCard)
    return card


def test_a_card_says_where_its_rates_come_from(book: PriceBook) -> None:
    card = card_of(book, O3)
    assert (card.provider, card.model, card.rule) == ("openai", "o3", "provider_named")
    assert card.valid_from == date(2025, 6, 10)
    assert card.source == "https://developers.openai.com/api/docs/pricing"
    assert card.book_version == book.version == "genai-prices 0.2.3"
    assert card.currency == "USD"
    assert card.rates["input_text"] == Rate(2_000_000, 1)


def test_the_id_of_a_card_follows_from_its_content(book: PriceBook) -> None:
    card = card_of(book, O3)
    assert len(card.id) == 32
    assert card_of(PriceBook(book.data), O3) == card, "another book of the same data makes the same card"
    changed = msgspec.structs.replace(card, valid_from=date(2025, 6, 11)).sealed()
    assert changed.id != card.id


def test_a_document_that_does_not_fit_its_id_is_refused(book: PriceBook) -> None:
    document = card_of(book, O3).to_json()
    assert '"input_text":[2000000,1,0]' in document
    with pytest.raises(ValueError, match="doesn't give that id"):
        RateCard.from_json(document.replace("[2000000,1,0]", "[2000001,1,0]"))


def test_every_card_of_the_book_survives_being_written_down(book: PriceBook) -> None:
    cards = [
        quote.card
        for offer in book.offers()
        for quote in book.standard_tariff(offer).quotes()
        if quote.card is not None
    ]
    assert len(cards) > 2500
    assert all(RateCard.from_json(card.to_json()) == card for card in cards)
    assert len({card.id for card in cards}) == len(cards), "no two entries share a card"


def test_an_explanation_shows_quantity_rate_and_amount_of_each_unit(book: PriceBook) -> None:
    explained = explain_rating(rate_usage(book, O3, UNITS), UNITS)
    assert [(line.unit, line.quantity, line.rate, line.amount) for line in explained.lines] == [
        ("input_text", "1000", "2 USD / 1M tokens", "0.002"),
        ("output_text", "200", "8 USD / 1M tokens", "0.0016"),
        ("searches", "2", "10 USD / 1,000 searches", "0.02"),
    ]
    assert (explained.status, explained.total, explained.currency) == ("priced", "0.0236", "USD")
    assert explained.card is not None
    assert explained.card.valid_from == "2025-06-10"


def test_a_card_explains_without_a_book(book: PriceBook) -> None:
    rating = rate_usage(book, O3, UNITS)
    assert isinstance(rating.card, RateCard)
    stored = RateCard.from_json(rating.card.to_json())
    assert explain_card(stored, UNITS) == explain_rating(rating, UNITS)


def test_what_is_not_known_is_explained_by_its_reason() -> None:
    explained = explain_rating(unpriced("unknown_model"), {"input_text": 5})
    assert explained == Explanation("unpriced", "unknown_model", "USD", None, (), None)


def test_a_card_has_no_lines_for_what_it_does_not_price(book: PriceBook) -> None:
    card = card_of(book, O3)
    with pytest.raises(ValueError, match=r"^pages$"):
        card.lines({"input_text": 1, "pages": 1})
    assert [line.unit for line in card.lines({"input_text": 1, "requests": 1, "pages": 0})] == ["input_text"]


@pytest.mark.parametrize(
    ("provider", "model", "unit", "text"),
    [
        ("openai", "whisper-1", "seconds", "0.36 USD / hour"),
        ("groq", "whisper-large-v3", "seconds", "0.111 USD / hour, 10 at least"),
        ("mistral", "mistral-ocr-2512", "pages", "2 USD / 1,000 pages"),
        ("openai", "tts-1", "characters", "15 USD / 1M characters"),
        ("perplexity", "sonar", "requests", "12 USD / 1,000 requests"),
    ],
)
def test_a_rate_is_shown_as_price_pages_show_it(
    book: PriceBook, provider: str, model: str, unit: str, text: str
) -> None:
    card = rate_usage(book, PricingSubject(provider, model, NOVEMBER), {unit: 10**6}).card
    assert isinstance(card, RateCard)
    assert card.rate_text(unit) == text


def test_a_rate_without_a_decimal_end_is_shown_as_a_fraction() -> None:
    assert Rate(1, 3).price_per(1_000_000, 0) == "1/3000000"


@pytest.mark.parametrize(
    ("model", "region", "input_price"),
    [
        ("claude-opus-4-6", "us", "5.5"),
        ("claude-opus-4-6", "US", "5.5"),
        ("claude-opus-4-6", "global", "5"),
        ("claude-opus-4-6", "us-east-1", "5"),
        ("claude-opus-4-6", None, "5"),
        ("claude-opus-4-5", "us", "5"),  # runs where it runs
    ],
)
def test_a_region_that_costs_more_is_named_on_the_card(
    book: PriceBook, model: str, region: str | None, input_price: str
) -> None:
    card = card_of(book, PricingSubject("anthropic", model, NOVEMBER, region=region))
    assert card.rates["input_text"].price_per(1_000_000, 0) == input_price
    assert card.rates["searches"].price_per(1_000, 0) == "10", "searches cost the same everywhere"
    assert ("region" in card.conditions) == (input_price == "5.5")


def test_a_region_changes_nothing_for_who_sells_the_model_elsewhere(book: PriceBook) -> None:
    card = card_of(book, PricingSubject("vertex_ai", "claude-opus-4-6", NOVEMBER, region="us"))
    assert "region" not in card.conditions


def test_statuses_are_the_words_that_are_stored() -> None:
    assert [status.value for status in CostStatus] == [
        "priced",
        "provider_reported",
        "client_reported",
        "estimated",
        "unpriced",
    ]


def test_the_price_data_is_imported_only_when_a_book_is_asked_for() -> None:
    program = (
        "import sys, bursar.pricing.rating, bursar.pricing.genai_source as source\n"
        "assert not any(name.startswith('genai_prices') for name in sys.modules)\n"
        "source.load_book()\n"
        "assert 'genai_prices' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
