"""The prices of every tenant: its own terms, rules and choices, over whatever book all share."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from bursar.pricing.book import PriceBook
from bursar.pricing.books import PriceBooks
from bursar.pricing.choices import NO_CHOICES, PricingChoices
from bursar.pricing.rating import PricingSubject, rate_usage
from bursar.pricing.terms import ContractPrice, Discount, Terms

if TYPE_CHECKING:
    from bursar.pricing.books import TenantPrices

MOMENT = datetime(2026, 11, 20, tzinfo=UTC)
TWELVE = Terms((Discount(id="d", percent=Decimal(12)),))
HALF_FOR_SEARCH = Terms((Discount(id="d", percent=Decimal(50), project="search"),))


def cost(prices: TenantPrices, project: str | None = None) -> Decimal:
    """A million input tokens of gpt-4o, 2.50 USD by the list."""
    subject = PricingSubject("openai", "gpt-4o", MOMENT)
    rating = rate_usage(prices.book_for(project), subject, {"input_text": 1_000_000})
    return Decimal(rating.picos or 0) / 10**12


def test_a_tenant_without_terms_shares_the_book(book: PriceBook) -> None:
    books = PriceBooks(book)
    assert books.of("acme").only_book is book
    books.agree("acme", PricingChoices("EUR"), Terms())
    assert books.of("acme").only_book is book
    assert books.of("acme").choices.reporting_currency == "EUR"
    assert books.of("other") is books.of("nobody")


def test_terms_count_for_their_tenant_and_project_alone(book: PriceBook) -> None:
    books = PriceBooks(book)
    books.agree("acme", NO_CHOICES, TWELVE)
    books.agree("zoo", NO_CHOICES, HALF_FOR_SEARCH)
    assert [cost(books.of(name)) for name in ("acme", "zoo", "other")] == [
        Decimal("2.2"),
        Decimal("2.5"),
        Decimal("2.5"),
    ]
    assert books.of("zoo").only_book is None
    assert cost(books.of("zoo"), "search") == Decimal("1.25")
    assert cost(books.of("zoo"), "support") == Decimal("2.5")


def test_what_is_being_rated_keeps_the_prices_that_it_began_with(book: PriceBook) -> None:
    books = PriceBooks(book)
    before = books.of("acme")
    books.agree("acme", NO_CHOICES, TWELVE)
    assert (cost(before), cost(books.of("acme"))) == (Decimal("2.5"), Decimal("2.2"))
    books.forget("acme")
    assert cost(books.of("acme")) == Decimal("2.5")


def test_another_book_keeps_what_tenants_agreed_on(book: PriceBook) -> None:
    books = PriceBooks(book)
    books.agree("acme", PricingChoices(trusted_providers=frozenset({"openrouter"})), TWELVE)
    news = PriceBook(book.data)
    books.replace_book(news)
    assert books.book is news
    assert books.of("other").only_book is news
    acme = books.of("acme")
    assert (cost(acme), acme.trusts("Open-Router"), acme.trusts("openai"), acme.trusts(None)) == (
        Decimal("2.2"),
        True,
        False,
        False,
    )


def test_whether_a_contract_could_count_is_known_beforehand(book: PriceBook) -> None:
    books = PriceBooks(book)
    books.agree("acme", NO_CHOICES, TWELVE)
    assert not books.of("acme").has_contracts
    price = ContractPrice(id="c", provider="openai", unit="input_tokens", price=Decimal(1), per=10**6)
    books.agree("acme", NO_CHOICES, Terms((price,)))
    assert books.of("acme").has_contracts
