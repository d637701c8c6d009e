"""From the words of a call and a customer's terms to the plans of its tariff.

The customer's own names come first (aliases, which may change by date), then the book's entries
(`match.py`), then contract prices that name a model which the book doesn't have. Each rule that was
applied is in the offer, and cards name those that took one thing for another.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bursar.pricing.entries import ModelEntry, ModelIndex, ProviderEntry, Seller
from bursar.pricing.match import GATEWAYS, Offer, Step, find_offer, find_provider, plain_provider
from bursar.pricing.rows import EVER, is_in_force
from bursar.pricing.seasons import Plan
from bursar.pricing.terms import ContractPrice, Terms, closest_first, fits_pattern
from bursar.pricing.tiers import NO_SURCHARGE, region_surcharge, requested_traits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from bursar.pricing.entries import PriceData
    from bursar.pricing.terms import Adjustment, ModelAlias

TariffKey = tuple[str | None, str | None, str | None, bool, str | None, str | None]
"""Provider, model, service tier, batch, speed and region, as an event names them."""

CONTRACTED = "contract"
"""The rule by which a model is found that only a contract prices."""


def plans_for(data: PriceData, terms: Terms, key: TariffKey) -> list[tuple[datetime | None, Plan | str]]:
    """(from when, plan) over all times, the first from ever; a reason where there is no price."""
    provider, model, *_ = key
    return [
        (begins, _plan(data, terms, key, alias))
        for begins, alias in _aliases_over_time(terms, provider, (model or "").strip().lower())
    ]


def is_aliased(terms: Terms, key: TariffKey) -> bool:
    """Whether one of the customer's own names is meant at some time."""
    provider, model, *_ = key
    name = (model or "").strip().lower()
    return any(_is_called(alias, provider, name) for alias in terms.aliases)


def offer_at(
    data: PriceData, terms: Terms, called: tuple[str | None, str | None], moment: datetime
) -> Offer | str:
    """The entry that a call's provider and model meant at a moment, or the reason why there is none."""
    plans = plans_for(data, terms, (*called, None, False, None, None))
    plan = [plan for begins, plan in plans if begins is None or begins <= moment][-1]
    return plan if isinstance(plan, str) else plan.offer


def _plan(data: PriceData, terms: Terms, key: TariffKey, alias: ModelAlias | None) -> Plan | str:
    provider, model, service_tier, batch, speed, region = key
    offer = _offer(data, provider, model, alias)
    missing = None
    target = alias.to_model if alias is not None else model
    names = tuple({(name or "").strip().lower() for name in (model, target)})
    if isinstance(offer, str):
        missing = offer
        found = _contracted_offer(data, terms, alias.to_provider or provider if alias else provider, target)
        if found is None:
            return missing
        offer = found
    place = (offer.provider.id, *names, offer.model.id.lower())
    return Plan(
        data=data,
        offer=offer,
        traits=requested_traits(service_tier, batch=batch, speed=speed),
        surcharge=region_surcharge(offer.provider.id, offer.model.id, region),
        region=region.strip().lower() if region else None,
        terms=closest_first(term for term in terms.adjustments if _fits(term, *place)),
        missing=missing,
    )


def _fits(term: Adjustment, provider: str, *names: str) -> bool:
    by = term.provider
    return (by is None or plain_provider(by) == provider) and fits_pattern(term.model, *names)


def _offer(data: PriceData, provider: str | None, model: str | None, alias: ModelAlias | None) -> Offer | str:
    if alias is None:
        return find_offer(data, provider, model)
    found = find_offer(data, alias.to_provider or provider, alias.to_model)
    if isinstance(found, str):
        return found
    rule = f"alias:{alias.id}"
    target = f"{alias.to_provider or found.provider.id}/{alias.to_model}"
    return replace(found, rule=f"{rule}+{found.rule}", steps=(Step(rule, target), *found.steps))


def _contracted_offer(data: PriceData, terms: Terms, provider: str | None, model: str | None) -> Offer | None:
    """A model that isn't in the book and that a contract names with its provider."""
    name = (model or "").strip().lower()
    if not name:
        return None
    named = (provider or "").strip().lower()
    known = find_provider(data, provider, name)
    if known:
        name = known[2]
    seller = known[0] if known else plain_provider(named)
    if not seller or seller in GATEWAYS:
        return None
    prices = (term for term in terms.adjustments if isinstance(term, ContractPrice))
    if not any(one.provider and one.model and _fits(one, seller, name) for one in prices):
        return None
    bills = data.providers.get(seller) or Seller(
        ProviderEntry(id=seller, name=seller, link=""), ModelIndex(())
    )
    entry = ModelEntry(provider=seller, id=name, name=name, match=())
    rule = known[1] if known else "provider_named"
    steps = (Step(rule, seller), Step(CONTRACTED, f"{seller}/{name}"))
    return Offer(bills, bills, entry, f"{rule}+{CONTRACTED}", steps)


def _aliases_over_time(
    terms: Terms, provider: str | None, name: str
) -> Iterator[tuple[datetime | None, ModelAlias | None]]:
    """(from when, the alias that counts then), from ever to the last change."""
    fitting = [alias for alias in terms.aliases if _is_called(alias, provider, name)]
    if not fitting:
        yield None, None
        return
    fitting.sort(key=lambda alias: alias.id)
    fitting.sort(key=_alias_closeness, reverse=True)
    bounds = {bound for alias in fitting for bound in (alias.valid_from, alias.valid_to) if bound}
    latest: ModelAlias | None = None
    for moment in (EVER, *sorted(bounds)):
        alias = next((alias for alias in fitting if is_in_force(alias, moment)), None)
        if moment == EVER or alias is not latest:
            yield (None if moment == EVER else moment), alias
        latest = alias


def _is_called(alias: ModelAlias, provider: str | None, name: str) -> bool:
    if alias.alias.strip().lower() != name:
        return False
    return alias.provider is None or plain_provider(alias.provider) == plain_provider(provider or "")


def _alias_closeness(alias: ModelAlias) -> tuple[object, ...]:
    return alias.project is not None, alias.provider is not None, alias.valid_from or EVER


def standard_plan(data: PriceData, offer: Offer) -> Plan:
    """The plan of standard calls of an entry by the list."""
    return Plan(data, offer, requested_traits(None, batch=False, speed=None), NO_SURCHARGE)
