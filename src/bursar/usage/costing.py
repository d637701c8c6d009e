"""What an accepted event costs: rating its units, or saying by name why that can't be done.

Order of resolution: the price of a contract, the provider's own figure where the tenant trusts that
provider, the tenant's billing rule for the service, the price book, the caller's own figure, then unknown.
Unknown is stored as `unpriced`, never as 0. An answer in which several models took part is the sum of their
shares, each at its own model's price, and unknown as soon as one share is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from bursar.errors import Invalid, Reason
from bursar.money import AMOUNT_LIMIT_PICOS, parse_picos
from bursar.pricing.card import RateCard
from bursar.pricing.cards import has_contract_price
from bursar.pricing.layers import SEVERAL_CURRENCIES
from bursar.pricing.match import plain_provider
from bursar.pricing.rating import CostStatus, PricingSubject, Rating, rate_usage, unpriced
from bursar.pricing.rule_rating import rate_by_rule
from bursar.pricing.rules.rule import DEFAULT_SERVICE_TYPE
from bursar.pricing.rules.selection import FieldReader
from bursar.units import INPUT_UNITS, OUTPUT_UNITS, Quantities
from bursar.usage.event import FLAT_TOTALS, ReportedCost
from bursar.usage.measure import ESTIMATED, ESTIMATED_OUTPUT
from bursar.usage.providers.provider_usage import ProviderCost

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from bursar.pricing.book import PriceBook
    from bursar.pricing.books import TenantPrices
    from bursar.usage.event import UsageEvent
    from bursar.usage.measure import Measured
    from bursar.usage.providers.provider_usage import UsagePart

DEFAULT_CURRENCY = "USD"
FAILED_WITHOUT_USAGE = "failed_without_usage"
INPUT_UNKNOWN = "input_unknown"
"""Only the output could be estimated: what the call cost isn't known."""
NO_BILLING_RULE = "no_billing_rule"
"""Why an event of a service is unpriced that the price book doesn't know either."""
_NOT_IN_BOOK = frozenset({"no_model", "unknown_provider"})


@dataclass(frozen=True, slots=True)
class CostedPart:
    """One model's share of an answer."""

    model: str
    units: Quantities
    rating: Rating


class Shared(Rating, frozen=True, gc=False):
    """The rating of an answer in which several models took part."""

    parts: tuple[CostedPart, ...] = ()
    """The first is the event's own model."""


Costed = Rating
"""The cost of one event and how it was found; a `Shared` where several models took part."""


def parts_of(costed: Costed) -> tuple[CostedPart, ...]:
    """The shares of an answer in which several models took part; empty for all others."""
    return costed.parts if isinstance(costed, Shared) else ()


def subject_of(event: UsageEvent, measured: Measured, time: datetime) -> PricingSubject:
    """What decides the price of this event; the answer's own words come before the request's."""
    model = event.response_model or event.model
    said = measured.provider
    context = event.context_tokens
    if said is None:
        if context is None and event.units is None:
            context = event.input_tokens
        return PricingSubject(
            event.provider,
            model,
            time,
            event.service_tier,
            event.batch is True,
            event.speed,
            event.region,
            context,
        )
    return PricingSubject(
        event.provider,
        model,
        time,
        said.service_tier or event.service_tier,
        bool(event.batch if said.batch is None else said.batch),
        said.speed or event.speed,
        said.region or event.region,
        context if said.context_tokens is None else said.context_tokens,
    )


class Billable(msgspec.Struct, frozen=True, gc=False):
    """All that decides what an event costs, made from the event as it came or as it is stored.

    Nothing else may: a rating run gives what ingest would have given by the prices of its day.
    """

    subject: PricingSubject
    units: Quantities
    """All units, custom ones too."""
    named_units: Callable[[], Collection[str]]
    """The units that the event speaks of, those of which it used none included."""
    read: FieldReader
    """What the event says in a field by its name."""
    shares: tuple[tuple[str, Quantities], ...] = ()
    """Model and units of each share, of an answer in which several models took part."""
    project_id: str | None = None
    service_type: str | None = None
    has_failed: bool = False
    reported: ReportedCost | None = None
    """The caller's own figure."""
    provider_reported: ProviderCost | ReportedCost | None = None
    """The provider's figure."""
    source: str | None = None
    """Where the units came from, as the event keeps it: estimated ones say so (`measure.py`)."""


def billable_of(event: UsageEvent, measured: Measured, time: datetime) -> Billable:
    """What decides the cost of an event that comes in."""
    subject, said = subject_of(event, measured, time), measured.provider
    units = {**measured.units, **measured.custom} if measured.custom else measured.units
    return Billable(
        subject,
        units,
        lambda: _named_units(event, units),
        _reader(event, subject),
        _shares_of(subject, measured, said.parts) if said is not None and said.parts else (),
        event.project_id,
        event.service_type,
        event.status == "error",
        event.cost,
        said.reported_cost if said is not None else None,
        measured.source,
    )


def cost_event(prices: TenantPrices, event: UsageEvent, measured: Measured, time: datetime) -> Costed:
    """The event's cost at the given time, by its tenant's prices.

    Raises:
        Invalid: the amount is beyond what an event may cost.
    """
    return cost_billable(prices, billable_of(event, measured, time))


def cost_billable(prices: TenantPrices, billable: Billable) -> Costed:
    """The cost by a tenant's prices, whether it is rated for the first time or again.

    Raises:
        Invalid: the amount is beyond what an event may cost.
    """
    units, subject, reported = billable.units, billable.subject, billable.reported
    said = billable.provider_reported
    if not units and billable.has_failed and reported is None and (said is None or not said.amount):
        # A call that failed and reports neither usage nor a cost was not billed: this zero is known.
        return Rating(CostStatus.PRICED, 0, DEFAULT_CURRENCY, None, FAILED_WITHOUT_USAGE)
    costed = _contracted(prices, billable)
    if costed is None:
        trusted = _trusted_cost(prices, billable)
        if trusted is not None:
            return trusted
        rule = prices.rule_for(billable.service_type, subject.provider, subject.model, subject.time)
        if rule is not None:
            costed = rate_by_rule(prices.rules, rule, units, billable.named_units(), billable.read)
        else:
            costed = _cost_by_book(prices, billable)
    if billable.source is not None and billable.source.startswith((ESTIMATED, ESTIMATED_OUTPUT)):
        costed = _as_estimate(costed, billable.source)
    if costed.picos is None and reported is not None:
        picos = reported_picos(reported)
        return Rating(CostStatus.CLIENT_REPORTED, picos, reported.currency, None, costed.reason)
    return costed


def _contracted(prices: TenantPrices, billable: Billable) -> Costed | None:
    """The cost by the book, where a price of a contract is on its card."""
    if not prices.has_contracts:
        return None
    costed = _cost_by_book(prices, billable)
    return costed if costed.picos is not None and has_contract_price(costed.card) else None


def _cost_by_book(prices: TenantPrices, billable: Billable) -> Costed:
    """The cost by the list prices, with what the tenant agreed on over them."""
    book = prices.book_for(billable.project_id)
    if billable.shares:
        return _cost_shares(book, billable.subject, billable.shares)
    return _named_for_service(rate_usage(book, billable.subject, billable.units), billable.service_type)


def _named_for_service(costed: Costed, service_type: str | None) -> Costed:
    """The same, but that what is no model's call lacks a billing rule, not a model or its provider."""
    is_call = service_type in {None, DEFAULT_SERVICE_TYPE}
    return costed if is_call or costed.reason not in _NOT_IN_BOOK else unpriced(NO_BILLING_RULE)


def _trusted_cost(prices: TenantPrices, billable: Billable) -> Costed | None:
    """The provider's own figure, where there is one and the tenant trusts that provider."""
    said, provider = billable.provider_reported, billable.subject.provider
    if said is None or provider is None or not prices.trusts(provider):
        return None
    reason = f"trusted:{plain_provider(provider)}"
    return Rating(CostStatus.PROVIDER_REPORTED, reported_picos(said), said.currency, None, reason)


def _as_estimate(costed: Costed, source: str) -> Costed:
    """The cost of estimated units: an estimate itself, and unknown where the input is."""
    if costed.picos is None:
        return costed
    if source.startswith(ESTIMATED_OUTPUT):
        return unpriced(INPUT_UNKNOWN)
    return msgspec.structs.replace(costed, status=CostStatus.ESTIMATED)


def _named_units(event: UsageEvent, units: Quantities) -> set[str]:
    """The units that the event speaks of, those of which it used none included."""
    named = {*units, *(event.units or ())}
    if any(getattr(event, name) is not None for name in FLAT_TOTALS):
        named.update(INPUT_UNITS, OUTPUT_UNITS)
    return named


def _reader(event: UsageEvent, subject: PricingSubject) -> Callable[[str], str | None]:
    """What the event says in a field by its name."""

    def read(name: str) -> str | None:
        own = getattr(subject, name, None) or getattr(event, name, None)
        return field_text(name, own, event.metadata or {}, event.tags or {})

    return read


def field_text(
    name: str, own: object, metadata: Mapping[str, object], tags: Mapping[str, object]
) -> str | None:
    """What an event says by a name: what its own field says, else its metadata, else its tags."""
    value = metadata.get(name, tags.get(name)) if own is None else own
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (str, int)) else None


def reported_picos(cost: ReportedCost | ProviderCost) -> int:
    """The caller's own cost, or the provider's.

    Raises:
        Invalid: it is negative, a million or more, or finer than 1e-12.
    """
    try:
        picos = parse_picos(cost.amount)
    except ValueError as error:
        reason = Reason("cost.amount", "invalid_value", f"{error}.")
        raise Invalid("The reported cost was refused.", reasons=(reason,)) from error
    if not 0 <= picos < AMOUNT_LIMIT_PICOS:
        reason = Reason(
            "cost.amount", "out_of_range", "An event's cost must be at least 0 and under 1000000."
        )
        raise Invalid("The reported cost was refused.", reasons=(reason,))
    return picos


def _shares_of(
    subject: PricingSubject, measured: Measured, parts: Sequence[UsagePart]
) -> tuple[tuple[str, Quantities], ...]:
    """The event's own model's share, and that of every other model that took part; empty ones left out."""
    own = {**measured.units, **(measured.custom or {})}
    for part in parts:
        for name, quantity in part.units.items():
            own[name] = own.get(name, 0) - quantity
    shares = [(subject.model or "", {name: quantity for name, quantity in own.items() if quantity})]
    shares += [(part.model, dict(part.units)) for part in parts]
    return tuple((model, units) for model, units in shares if units)


def _cost_shares(
    book: PriceBook, subject: PricingSubject, shares: tuple[tuple[str, Quantities], ...]
) -> Costed:
    """The sum over the event's own model and every other model that took part."""
    parts = tuple(
        _cost_share(book, _for_model(subject, model), units, is_own=not position)
        for position, (model, units) in enumerate(shares)
    )
    unknown = next((part.rating for part in parts if part.rating.picos is None), None)
    if unknown is None and len({part.rating.currency for part in parts}) > 1:
        unknown = unpriced(SEVERAL_CURRENCIES)
    if unknown is not None:
        return Shared(unknown.status, None, unknown.currency, None, unknown.reason, parts)
    total = sum(part.rating.picos or 0 for part in parts)
    if total >= AMOUNT_LIMIT_PICOS:
        reason = Reason("usage", "out_of_range", "The models' shares together cost 1000000 or more.")
        raise Invalid("The usage was refused.", reasons=(reason,))
    own_rating = parts[0].rating
    return Shared(own_rating.status, total, own_rating.currency, own_rating.card, None, parts)


def _cost_share(book: PriceBook, subject: PricingSubject, units: Quantities, *, is_own: bool) -> CostedPart:
    """What one model's share costs; it is one request however many models answer, billed with the first."""
    model = subject.model or ""
    rating = rate_usage(book, subject, units)
    if not is_own and isinstance(rating.card, RateCard) and "requests" in rating.card.rates:
        units = {**units, "requests": 0}
        rating = rate_usage(book, subject, units)
    return CostedPart(model, units, rating)


def _for_model(subject: PricingSubject, model: str) -> PricingSubject:
    """The same call seen as one model's share: another model has its own prompt size."""
    context = subject.context_tokens if model == subject.model else None
    return PricingSubject(
        subject.provider,
        model,
        subject.time,
        subject.service_tier,
        subject.batch,
        subject.speed,
        subject.region,
        context,
    )
