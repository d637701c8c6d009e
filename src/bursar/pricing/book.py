"""The price book: answers which tariff applies to a call, and remembers what it answered.

A book is one version of the list prices, and over it possibly one customer's terms. Its answers depend
on nothing but their key, so they are remembered; the memory is bounded, because the keys come from
callers. It is safe to use from many threads: two may make the same tariff, and either will do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bursar.pricing.match import Offer
from bursar.pricing.resolve import TariffKey, is_aliased, offer_at, plans_for, standard_plan
from bursar.pricing.rows import Way
from bursar.pricing.tariff import splice_tariffs, tariff_without_prices
from bursar.pricing.tariff_cards import build_tariff
from bursar.pricing.terms import NO_TERMS, Terms

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from bursar.pricing.card import RateCard
    from bursar.pricing.entries import PriceData
    from bursar.pricing.rows import PriceRow
    from bursar.pricing.seasons import Plan
    from bursar.pricing.tariff import Tariff

__all__ = ["PriceBook", "TariffKey"]

REMEMBERED = 4096
"""Tariffs kept per generation, of which there are two: some 5 kB each, so 40 MB at the very most."""
REMEMBERED_OWN = 512
"""The same for a book with terms, of which there may be one for every project of every tenant."""


class PriceBook:
    """One version of all prices, ready for rating."""

    __slots__ = ("_data", "_list", "_older", "_recent", "_refusals", "_terms")

    def __init__(self, data: PriceData) -> None:
        self._data = data
        self._terms = NO_TERMS
        self._list: PriceBook | None = None
        self._recent: dict[TariffKey, Tariff] = {}
        self._older: dict[TariffKey, Tariff] = {}
        self._refusals: dict[str, Tariff] = {}

    def with_terms(self, terms: Terms, project: str | None = None) -> PriceBook:
        """The same list prices with a customer's terms over them, as they apply to a project.

        Cheap: calls to which no term applies are answered by this book. This book itself where no term
        can apply at all.
        """
        own = terms.for_project(project)
        if own == NO_TERMS:
            return self
        book = PriceBook(self._data)
        book._terms = own
        book._list = self
        return book

    @property
    def version(self) -> str:
        """The source of the list prices and its version."""
        return self._data.version

    @property
    def data(self) -> PriceData:
        """What the list says, for listings."""
        return self._data

    @property
    def terms(self) -> Terms:
        """The terms that lie over the list."""
        return self._terms

    def tariff(self, key: TariffKey) -> Tariff:
        """The tariff for calls described by the key; one that names the reason where there is none."""
        found = self._recent.get(key)
        return found if found is not None else self._recall(key)

    def offers(self, provider: str | None = None) -> Iterator[Offer]:
        """Every entry of the book (of one provider by its id), by provider and model id."""
        for provider_id in sorted(self._data.providers):
            if provider is None or provider == provider_id:
                seller = self._data.providers[provider_id]
                for model in sorted(seller.models.models, key=lambda entry: entry.id):
                    yield Offer(seller, seller, model, "provider_named")

    def offer(self, provider: str | None, model: str | None, moment: datetime) -> Offer | str:
        """The entry that a call's words meant at a moment, with the rules that led to it; or the reason."""
        return offer_at(self._data, self._terms, (provider, model), moment)

    def standard_tariff(self, offer: Offer) -> Tariff:
        """The tariff for standard calls of an entry by the list; not remembered."""
        return build_tariff(standard_plan(self._data, offer))

    def ways(self, offer: Offer) -> list[Way]:
        """The ways of calling an entry, other than the standard one, that have list prices."""
        rows = self._data.rows.get((offer.owner.id, offer.model.id), ())
        return [way for way in dict.fromkeys(row.way for row in rows) if way != Way()]

    def rows_behind(self, card: RateCard, key: TariffKey) -> Mapping[str, PriceRow] | None:
        """The row behind each rate of a card that this book makes for calls described by the key.

        None where the book makes other cards: its rows would explain another price.
        """
        for quote in self.tariff(key).quotes():
            if quote.card is not None and _says_the_same(quote.card, card):
                return quote.rows
        return None

    def _recall(self, key: TariffKey) -> Tariff:
        tariff = self._older.get(key)
        if tariff is None:
            tariff = self._make(key)
        if len(self._recent) >= (REMEMBERED if self._list is None else REMEMBERED_OWN):
            self._older, self._recent = self._recent, {}
        self._recent[key] = tariff
        return tariff

    def _make(self, key: TariffKey) -> Tariff:
        plans = plans_for(self._data, self._terms, key)
        if self._list is not None and not is_aliased(self._terms, key):
            ((_, plan),) = plans
            if isinstance(plan, str) or not plan.terms:
                return self._list.tariff(key)
        pieces = [(begins, self._tariff_of(plan)) for begins, plan in plans]
        return pieces[0][1] if len(pieces) == 1 else splice_tariffs(pieces)

    def _tariff_of(self, plan: Plan | str) -> Tariff:
        if isinstance(plan, str):
            # Few reasons, many unknown names: they share one tariff each.
            return self._refusals.setdefault(plan, tariff_without_prices(plan))
        return build_tariff(plan)


def _says_the_same(card: RateCard, other: RateCard) -> bool:
    """Whether two cards differ in nothing but the rule by which their entry was found."""
    return msgspec.structs.replace(card, rule=other.rule).sealed().id == other.id
