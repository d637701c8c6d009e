"""Dates, hours and prompt sizes: which card holds when, on a book small enough to check by eye.

Condition by condition the tariff must say what `prices_at` says for that very moment; the cards that
it makes for days, hours and sizes name their conditions.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from bursar.pricing import book as book_module
from bursar.pricing.card import Rate, RateCard
from bursar.pricing.genai_lists import (
    Condition,
    DatedPrices,
    ModelLists,
    PriceList,
    PriceVariant,
    UnitPrice,
    unfold_lists,
)
from bursar.pricing.rating import PricingSubject, rate_usage
from bursar.pricing.rows import PriceRow, Way, overlapping_rows
from bursar.pricing.terms import Discount, Terms
from bursar.pricing.unit_prices import covering_price
from tests.support.price_books import acme_book

if TYPE_CHECKING:
    import pytest

    from bursar.pricing.book import PriceBook
    from bursar.pricing.tariff import Quote

FEBRUARY, MARCH = date(2026, 2, 1), date(2026, 3, 1)
BATCH, FLEX = Way(batch=True), Way("flex")


def prices(input_price: str, *tiers: tuple[int, str], **more: str) -> PriceList:
    """A price list in dollars for a million tokens."""
    stepped = UnitPrice(Decimal(input_price), tuple((start, Decimal(amount)) for start, amount in tiers))
    return {"input_tokens": stepped, **{name: UnitPrice(Decimal(amount)) for name, amount in more.items()}}


def book_of(*dated: DatedPrices, variants: tuple[PriceVariant, ...] = ()) -> PriceBook:
    """A book of these lists, by way of rows."""
    rows = [
        PriceRow(
            provider="acme",
            model="m",
            unit=one.unit,
            price=one.price,
            per=1_000_000,
            context_over=one.context[0],
            context_upto=one.context[1],
            service_tier=one.way.service_tier,
            batch=one.way.batch,
            speed=one.way.speed,
            hours=one.hours,
            valid_from=one.valid_from,
            valid_to=one.valid_to,
            source="test",
            link="https://acme.example/prices",
        )
        for one in unfold_lists(ModelLists(dated, variants))
    ]
    assert not overlapping_rows(rows)
    return acme_book(*rows)


def cost(book: PriceBook, time: datetime, tokens: int = 1_000_000, **way: str | bool | int) -> str:
    """Dollars for these input tokens, or the reason."""
    subject = PricingSubject(
        "acme",
        "m",
        time,
        batch=bool(way.get("batch")),
        service_tier=str(way.get("service_tier", "default")),
        context_tokens=int(way["context_tokens"]) if "context_tokens" in way else None,
    )
    rating = rate_usage(book, subject, {"input_text": tokens})
    return rating.reason or f"{Decimal(rating.picos or 0).scaleb(-12).normalize():f}"


def at(month: int, day: int, hour: int = 12, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, second, tzinfo=UTC)


def test_a_price_holds_from_the_first_moment_of_its_utc_day() -> None:
    book = book_of(DatedPrices(prices("1")), DatedPrices(prices("2"), Condition(starts=FEBRUARY)))
    assert cost(book, at(1, 31, 23, 59, 59)) == "1"
    assert cost(book, at(2, 1, 0)) == "2"


def test_the_first_list_counts_where_none_holds_yet() -> None:
    book = book_of(
        DatedPrices(prices("1"), Condition(starts=FEBRUARY)),
        DatedPrices(prices("2"), Condition(starts=MARCH)),
    )
    assert [cost(book, at(month, 15)) for month in (1, 2, 3)] == ["1", "1", "2"]
    assert [quote.card.valid_from for quote in quotes_of(book) if quote.card] == [None, MARCH]


def test_the_last_list_that_holds_wins_whatever_its_date() -> None:
    book = book_of(
        DatedPrices(prices("1")),
        DatedPrices(prices("3"), Condition(starts=MARCH)),
        DatedPrices(prices("2"), Condition(starts=FEBRUARY)),
    )
    assert [cost(book, at(month, 15)) for month in (1, 2, 3)] == ["1", "2", "2"]


def test_hours_of_the_day_are_utc_and_may_run_over_midnight() -> None:
    night = Condition(daily=(22 * 3600, 6 * 3600))
    book = book_of(DatedPrices(prices("2")), DatedPrices(prices("1"), night))
    assert cost(book, at(1, 1, 21, 59, 59)) == "2"
    assert cost(book, at(1, 1, 22)) == "1"
    assert cost(book, at(1, 1, 0)) == "1"
    assert cost(book, at(1, 1, 5, 59, 59)) == "1"
    assert cost(book, at(1, 1, 6)) == "2"
    texts = {quote.card.conditions["hours"] for quote in quotes_of(book) if quote.card}
    assert texts == {"00:00-06:00, 22:00-24:00 UTC", "06:00-22:00 UTC"}


def test_hours_and_dates_combine() -> None:
    peak = Condition(starts=MARCH, daily=(9 * 3600, 17 * 3600))
    book = book_of(
        DatedPrices(prices("1")),
        DatedPrices(prices("2"), Condition(starts=FEBRUARY)),
        DatedPrices(prices("4"), peak),
    )
    assert [cost(book, at(month, 15, 10)) for month in (1, 2, 3)] == ["1", "2", "4"]
    assert [cost(book, at(month, 15, 17)) for month in (1, 2, 3)] == ["1", "2", "2"]


def test_a_longer_prompt_prices_every_token_anew() -> None:
    book = book_of(DatedPrices(prices("1", (200, "2"), (500, "3"))))
    assert cost(book, at(1, 1), tokens=200) == "0.0002"
    assert cost(book, at(1, 1), tokens=201) == "0.000402"
    assert cost(book, at(1, 1), tokens=500) == "0.001"
    assert cost(book, at(1, 1), tokens=501) == "0.001503"
    texts = [quote.card.conditions["context_tokens"] for quote in quotes_of(book) if quote.card]
    assert texts == ["up to 200", "over 200, up to 500", "over 500"]


def test_the_size_of_the_whole_prompt_counts_where_it_is_told() -> None:
    book = book_of(DatedPrices(prices("1", (200, "2"))))
    assert cost(book, at(1, 1), tokens=100, context_tokens=201) == "0.0002"
    assert cost(book, at(1, 1), tokens=1000, context_tokens=200) == "0.001"


def test_a_variant_overrides_only_the_prices_that_it_names() -> None:
    batch = PriceVariant(BATCH, prices("0.5"))
    book = book_of(DatedPrices(prices("1", output_tokens="8")), variants=(batch,))
    subject = PricingSubject("acme", "m", at(1, 1), batch=True)
    card = rate_usage(book, subject, {"input_text": 1}).card
    assert isinstance(card, RateCard)
    assert card.rates["input_text"] == Rate(500_000, 1)
    assert card.rates["output_text"] == Rate(8_000_000, 1)
    assert cost(book, at(1, 1)) == "1"


def test_a_variant_without_prices_says_that_such_calls_cost_the_standard_price() -> None:
    book = book_of(DatedPrices(prices("1")), variants=(PriceVariant(BATCH, {}),))
    assert cost(book, at(1, 1), batch=True) == "1"


def test_the_first_variant_that_holds_wins_and_before_any_holds_the_cost_is_unknown() -> None:
    book = book_of(
        DatedPrices(prices("4")),
        variants=(
            PriceVariant(FLEX, prices("2"), Condition(starts=MARCH)),
            PriceVariant(FLEX, prices("1"), Condition(starts=FEBRUARY)),
        ),
    )
    costs = [cost(book, at(month, 15), service_tier="flex") for month in (1, 2, 3)]
    assert costs == ["tier_not_priced_at_this_time:flex", "1", "2"]


def test_dates_at_which_nothing_changes_for_a_call_make_no_card_of_their_own() -> None:
    batch = PriceVariant(BATCH, prices("0.5"), Condition(starts=MARCH))
    same = DatedPrices(prices("1"), Condition(starts=FEBRUARY))
    book = book_of(DatedPrices(prices("1")), same, variants=(batch,))
    assert len(quotes_of(book)) == 1


def test_a_unit_is_billed_at_the_most_specific_price_that_covers_it() -> None:
    priced = {"input_tokens", "output_tokens", "cache_read_tokens", "input_audio", "input_video"}
    names = {
        unit: covering_price(unit, priced)
        for unit in (
            "input_text",
            "input_audio",
            "cache_read_text",
            "cache_write_1h",
            "output_reasoning",
            "pages",
        )
    }
    assert names == {
        "input_text": "input_tokens",
        "input_audio": "input_audio",
        "cache_read_text": "cache_read_tokens",
        "cache_write_1h": "input_tokens",
        "output_reasoning": "output_tokens",
        "pages": None,
    }
    # Cached audio: the prices of audio and of cache reads cover it equally well.
    assert covering_price("cache_read_audio", priced) is None


def test_a_price_for_video_that_differs_leaves_images_without_a_price() -> None:
    same = book_of(DatedPrices(prices("1", input_video="1")))
    other = book_of(DatedPrices(prices("1", input_video="12")))
    call = PricingSubject("acme", "m", at(1, 1))
    assert rate_usage(same, call, {"input_image": 1_000_000}).picos == 10**12
    assert rate_usage(other, call, {"input_image": 1_000_000}).reason == "no_price_for_unit:input_image"


def test_a_price_finer_than_a_pico_a_token_is_rounded_once_a_line() -> None:
    book = book_of(DatedPrices(prices("0.0000005")))  # half a pico a token
    picos = [
        rate_usage(book, PricingSubject("acme", "m", at(1, 1)), {"input_text": tokens}).picos
        for tokens in (1, 2, 3, 5, 7)
    ]
    assert picos == [0, 1, 2, 2, 4]  # ties to even


def test_the_bundled_book_has_at_most_one_price_for_any_call(book: PriceBook) -> None:
    counted = 0
    for place, rows in book.data.rows.items():
        assert not overlapping_rows(rows), place
        counted += len(rows)
    assert counted > 8000


def test_the_book_remembers_a_bounded_number_of_tariffs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_module, "REMEMBERED", 10)
    book = book_of(DatedPrices(prices("1")))
    for number in range(100):
        book.tariff(("acme", f"unknown-{number}", None, False, None, None))
        assert cost(book, at(1, 1)) == "1"
    assert len(book._recent) + len(book._older) <= 20


def test_a_book_with_terms_remembers_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_module, "REMEMBERED_OWN", 5)
    own = book_of(DatedPrices(prices("1"))).with_terms(Terms((Discount(id="d", percent=Decimal(50)),)))
    for number in range(50):
        own.tariff(("acme", f"unknown-{number}", None, False, None, None))
        assert cost(own, at(1, 1)) == "0.5"
    assert len(own._recent) + len(own._older) <= 10


def test_threads_share_a_book(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_module, "REMEMBERED", 3)
    book = book_of(DatedPrices(prices("1")), DatedPrices(prices("2"), Condition(starts=FEBRUARY)))

    def rate_many(seed: int) -> set[str]:
        return {
            cost(book, at(3, 1), service_tier=("default", "standard", "auto", "on_demand")[(seed + turn) % 4])
            for turn in range(300)
        }

    with ThreadPoolExecutor(8) as threads:
        assert set().union(*threads.map(rate_many, range(8))) == {"2"}


def quotes_of(book: PriceBook) -> list[Quote]:
    """The quotes for standard calls of the book's one model."""
    return list(book.tariff(("acme", "m", None, False, None, None)).quotes())
