"""A customer's own terms, as values: contract prices, discounts, markups, multipliers, fees, aliases.

Terms lie above the list prices of the book and never change them. Where several of one kind would
apply to a call, one does: a project's before its tenant's, then the one that names the model and the
provider more closely, then the one that began later, then the one whose id sorts first. So the order
in which terms were entered says nothing.

Of a price, the contract price replaces the list price; then come discount, markup and multiplier as
exact factors; the fee is added to the request. Each line is rounded once, at the end. What they do to
rates is in `layers.py`; where they are kept is the business of whoever serves them.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from bursar.pricing.rows import CONTRACT, EVER, USD, PriceRow

if TYPE_CHECKING:
    from collections.abc import Iterable


class TermScope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """To which calls a term applies; a part that is None applies to all."""

    id: str
    """Unique among the tenant's terms; cards name it."""
    project: str | None = None
    """The one project that it is for; None is the whole tenant."""
    provider: str | None = None
    """Any spelling of a provider that is understood."""
    model: str | None = None
    """A pattern in which `*` stands for any text; it must fit the called name or the entry's id."""
    valid_from: datetime | None = None
    """The first moment, aware."""
    valid_to: datetime | None = None
    """The first moment at which it applies no longer, aware."""


class ContractPrice(
    TermScope, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="contract_price"
):
    """A negotiated price, under the conditions that a price row may have.

    It replaces the list price of the same price unit, way of calling and region; a model that isn't in
    the book can be priced by it too, where `provider` and `model` name it.
    """

    unit: str
    price: Decimal
    per: int = 1
    currency: str = USD
    context_over: int | None = None
    context_upto: int | None = None
    service_tier: str | None = None
    batch: bool = False
    speed: str | None = None
    region: str | None = None
    hours: tuple[int, int] | None = None
    weekdays: tuple[int, ...] | None = None
    minimum: Decimal | None = None

    @property
    def source(self) -> str:
        """What its rows name as their source."""
        return f"{CONTRACT}{self.id}"

    def row(self, provider: str, model: str) -> PriceRow:
        """The price as a row of this entry; its source names the term."""
        return PriceRow(
            provider=provider,
            model=model,
            unit=self.unit,
            price=self.price,
            per=self.per,
            currency=self.currency,
            context_over=self.context_over,
            context_upto=self.context_upto,
            service_tier=self.service_tier,
            batch=self.batch,
            speed=self.speed,
            region=self.region,
            hours=self.hours,
            weekdays=self.weekdays,
            minimum=self.minimum,
            valid_from=self.valid_from,
            valid_to=self.valid_to,
            source=self.source,
            link="",
        )


class Discount(TermScope, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="discount"):
    """So many percent less of every rate."""

    percent: Decimal
    """From 0 to 100."""


class Markup(TermScope, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="markup"):
    """So many percent more of every rate."""

    percent: Decimal
    """Zero or more."""


class Multiplier(
    TermScope, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="multiplier"
):
    """Every rate times this factor."""

    factor: Decimal
    """Zero or more."""


class RequestFee(TermScope, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="fee"):
    """An amount for every request, billed beside what the request used."""

    amount: Decimal
    """Zero or more."""
    currency: str = USD


Adjustment = ContractPrice | Discount | Markup | Multiplier | RequestFee
"""One term; its JSON says by `kind` which one it is."""


class ModelAlias(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A name of the customer's own for a model: a deployment, a fine-tune, an inference profile.

    Of several that fit a call a project's comes first, then one that names the call's provider, then
    the one that began later, then the one whose id sorts first.
    """

    id: str
    alias: str
    """The name as calls give it, in any case; a name, no pattern."""
    to_model: str
    """The name of a model as a call might have given it; aliases are not followed twice."""
    to_provider: str | None = None
    """None leaves the provider as the call names it."""
    provider: str | None = None
    """Only calls that name this provider, in any spelling; None is any call."""
    project: str | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None


class Terms(msgspec.Struct, frozen=True):
    """All terms of one tenant, its projects' included."""

    adjustments: tuple[Adjustment, ...] = ()
    aliases: tuple[ModelAlias, ...] = ()

    def for_project(self, project: str | None) -> Terms:
        """Those that may apply to a call of this project, in an order that follows from them alone."""
        return Terms(
            tuple(sorted((one for one in self.adjustments if one.project in {None, project}), key=_id_of)),
            tuple(sorted((one for one in self.aliases if one.project in {None, project}), key=_id_of)),
        )


NO_TERMS = Terms()


def fits_pattern(pattern: str | None, *names: str) -> bool:
    """Whether a pattern (`*` stands for any text; None for everything) fits one of these lower-case names."""
    if pattern is None:
        return True
    parts = _parts_of(pattern)
    return any(_fits_parts(parts, name) for name in names)


def closest_first(adjustments: Iterable[Adjustment]) -> tuple[Adjustment, ...]:
    """Terms that all fit a call, the one that counts before all others first."""
    return tuple(sorted(sorted(adjustments, key=_id_of), key=_closeness, reverse=True))


def _closeness(term: Adjustment) -> tuple[object, ...]:
    """How closely a term describes the calls it is for; comparable among terms."""
    pattern = term.model
    literal = -1 if pattern is None else len(pattern.replace("*", ""))
    return (
        term.project is not None,
        pattern is not None and "*" not in pattern,
        literal,
        term.provider is not None,
        isinstance(term, ContractPrice) and term.region is not None,
        term.valid_from or EVER,
    )


@lru_cache(maxsize=4096)
def _parts_of(pattern: str) -> tuple[str, ...]:
    """The texts between the stars."""
    return tuple(pattern.strip().lower().split("*"))


def _fits_parts(parts: tuple[str, ...], name: str) -> bool:
    """Whether a name is these texts with anything between them.

    Each text is taken where it comes first, so the time is bounded whatever a tenant calls a pattern; a
    regular expression of many stars tries every way to share out a name among them.
    """
    first, *between = parts
    if not between:
        return name == first
    *between, last = between
    end = len(name) - len(last)
    if not name.startswith(first) or not name.endswith(last) or end < len(first):
        return False
    place = len(first)
    for part in between:
        found = name.find(part, place, end)
        if found < 0:
            return False
        place = found + len(part)
    return True


def _id_of(term: Adjustment | ModelAlias) -> str:
    return term.id
