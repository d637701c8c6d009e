"""An override as a tenant says it, and what it means to rating: one or several terms of `pricing/terms.py`.

A contract names prices by unit, the other kinds hold one number. Which of several terms applies to a call
is told in `terms.py`; what can't be agreed on at all is told in `faults.py`.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from bursar.pricing.documents import Document
from bursar.pricing.price_units import price_unit
from bursar.pricing.rows import USD
from bursar.pricing.terms import ContractPrice, Discount, Markup, ModelAlias, Multiplier, RequestFee, Terms
from bursar.pricing.tiers import requested_traits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bursar.pricing.agreements.store import TermRecord
    from bursar.pricing.terms import Adjustment


class OverrideKind(StrEnum):
    """What an override does to the list prices."""

    CONTRACT = "contract"
    """Replaces them by prices of its own."""
    DISCOUNT = "discount"
    """So many percent less."""
    MARKUP = "markup"
    """So many percent more."""
    MULTIPLIER = "multiplier"
    """Times a factor."""
    FEE = "fee"
    """An amount for every request, beside what it used."""


OVERRIDE_KINDS = tuple(kind.value for kind in OverrideKind)
ALIAS_KIND = "alias"


class AgreedPrice(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a contract asks for so many of a unit."""

    unit: str
    price: Decimal
    per: int
    minimum: Decimal | None = None
    """The least quantity billed, in whole units."""
    is_custom: bool = False
    """Whether it is a unit of the tenant's own, which no list of ours has."""


class Override(Document, frozen=True, kw_only=True, omit_defaults=True):
    """What was agreed; conditions are for contracts."""

    kind: OverrideKind
    project_id: str | None = None
    provider: str | None = None
    model: str | None = None
    """A pattern: `*` stands for any text."""
    valid_from: datetime
    valid_to: datetime | None = None
    currency: str = USD
    prices: tuple[AgreedPrice, ...] = ()
    percent: Decimal | None = None
    factor: Decimal | None = None
    amount: Decimal | None = None
    service_tier: str | None = None
    batch: bool = False
    speed: str | None = None
    region: str | None = None
    context_over: int | None = None
    context_upto: int | None = None
    hours: tuple[int, int] | None = None
    weekdays: tuple[int, ...] | None = None
    note: str = ""


class AliasSaid(Document, frozen=True, kw_only=True, omit_defaults=True):
    """A name of the tenant's own for a model."""

    alias: str
    to_model: str
    to_provider: str | None = None
    provider: str | None = None
    project_id: str | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    note: str = ""


def terms_of(records: Iterable[TermRecord]) -> Terms:
    """What records that count mean to rating."""
    adjustments: list[Adjustment] = []
    aliases: list[ModelAlias] = []
    for record in records:
        if record.kind == ALIAS_KIND:
            aliases.append(alias_term(record.id, AliasSaid.from_json(record.document)))
        else:
            adjustments += adjustments_of(record.id, Override.from_json(record.document))
    return Terms(tuple(adjustments), tuple(aliases))


def alias_term(alias_id: str, said: AliasSaid) -> ModelAlias:
    """The alias as rating knows it."""
    return ModelAlias(
        id=alias_id,
        alias=said.alias,
        to_model=said.to_model,
        to_provider=said.to_provider,
        provider=said.provider,
        project=said.project_id,
        valid_from=said.valid_from,
        valid_to=said.valid_to,
    )


def adjustments_of(override_id: str, said: Override) -> list[Adjustment]:
    """The terms that an override stands for: a contract is one for each of its prices."""
    if said.kind is OverrideKind.CONTRACT:
        return [_contract_price(f"{override_id}/{price.unit}", said, price) for price in said.prices]
    # The kinds have the same names here and there.
    numbers = {"percent": said.percent, "factor": said.factor, "amount": said.amount}
    plain = {
        "kind": said.kind.value,
        "id": override_id,
        "project": said.project_id,
        "provider": said.provider,
        "model": said.model,
        "valid_from": said.valid_from,
        "valid_to": said.valid_to,
        **{name: number for name, number in numbers.items() if number is not None},
        **({"currency": said.currency} if said.kind is OverrideKind.FEE else {}),
    }
    return [msgspec.convert(plain, type=Discount | Markup | Multiplier | RequestFee)]


def agreed_price(
    unit: str,
    price: Decimal,
    per: int | None = None,
    minimum: Decimal | None = None,
    *,
    is_custom: bool = False,
) -> AgreedPrice:
    """A price for so many of a unit as are usually quoted at once, unless it says for how many."""
    return AgreedPrice(unit, price, price_unit(unit).per if per is None else per, minimum, is_custom)


def _contract_price(term_id: str, said: Override, price: AgreedPrice) -> ContractPrice:
    traits = requested_traits(said.service_tier, batch=said.batch, speed=said.speed)
    return ContractPrice(
        id=term_id,
        project=said.project_id,
        provider=said.provider,
        model=said.model,
        valid_from=said.valid_from,
        valid_to=said.valid_to,
        unit=price.unit,
        price=price.price,
        per=price.per,
        currency=said.currency,
        context_over=said.context_over,
        context_upto=said.context_upto,
        service_tier=traits.get("service_tier"),
        batch="processing" in traits,
        speed=traits.get("speed"),
        region=said.region.strip().lower() if said.region else None,
        hours=said.hours,
        weekdays=said.weekdays,
        minimum=price.minimum,
    )
