"""The price book: answers which tariff applies to a call, and remembers what it answered.

A book is one version of a price source. Its answers depend on nothing but their key, so they are
remembered; the memory is bounded, because the keys come from callers. It is safe to use from many
threads: two may make the same tariff, and either will do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bursar.pricing.match import Offer, find_offer
from bursar.pricing.tariff import Tariff, Terms, build_tariff, tariff_without_prices
from bursar.pricing.tiers import NO_SURCHARGE, region_surcharge, requested_traits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bursar.pricing.prices import PriceData

TariffKey = tuple[str | None, str | None, str | None, bool, str | None, str | None]
"""Provider, model, service tier, batch, speed and region, as an event names them."""

REMEMBERED = 4096
"""Tariffs kept per generation, of which there are two: some 4 kB each, so 32 MB at the very most."""


class PriceBook:
    """One version of all prices, ready for rating."""

    __slots__ = ("_data", "_older", "_recent", "_refusals")

    def __init__(self, data: PriceData) -> None:
        self._data = data
        self._recent: dict[TariffKey, Tariff] = {}
        self._older: dict[TariffKey, Tariff] = {}
        self._refusals: dict[str, Tariff] = {}

    @property
    def version(self) -> str:
        """The source of the prices and its version."""
        return self._data.version

    @property
    def data(self) -> PriceData:
        """What the source says, for listings."""
        return self._data

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

    def standard_tariff(self, offer: Offer) -> Tariff:
        """The tariff for standard calls of an entry; not remembered."""
        return build_tariff(self._data, Terms(offer, {}, NO_SURCHARGE))

    def _recall(self, key: TariffKey) -> Tariff:
        tariff = self._older.get(key)
        if tariff is None:
            tariff = self._make(key)
        if len(self._recent) >= REMEMBERED:
            self._older, self._recent = self._recent, {}
        self._recent[key] = tariff
        return tariff

    def _make(self, key: TariffKey) -> Tariff:
        provider, model, service_tier, batch, speed, region = key
        offer = find_offer(self._data, provider, model)
        if isinstance(offer, str):
            # Few reasons, many unknown names: they share one tariff each.
            return self._refusals.setdefault(offer, tariff_without_prices(offer))
        traits = requested_traits(service_tier, batch=batch, speed=speed)
        surcharge = region_surcharge(offer.provider.id, offer.model.id, region)
        return build_tariff(self._data, Terms(offer, traits, surcharge))
