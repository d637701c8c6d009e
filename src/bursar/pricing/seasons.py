"""Which rows and terms hold when: the moments at which the answer for one call can change.

A plan says what a tariff is made for. Its seasons are cut where a row or a term begins or ends, its
days where hours begin or end, and its week only where something depends on the weekday. Within one
season and slice all calls have the same price, but for the size of the prompt.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bursar.pricing.rows import DAY_SECONDS, EVER, WEEKDAYS, Way, is_in_force
from bursar.pricing.terms import ContractPrice, Discount, Markup, Multiplier, RequestFee
from bursar.pricing.tiers import NO_SURCHARGE, name_of_traits, way_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from bursar.pricing.entries import PriceData
    from bursar.pricing.match import Offer
    from bursar.pricing.rows import PriceRow
    from bursar.pricing.terms import Adjustment
    from bursar.pricing.tiers import Surcharge, Traits

FACTORS_AND_FEE = (Discount, Markup, Multiplier, RequestFee)
"""The order in which they are applied, after contract prices."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a tariff is made for."""

    data: PriceData
    offer: Offer
    traits: Traits
    surcharge: Surcharge = NO_SURCHARGE
    region: str | None = None
    """In lower case, as calls name it."""
    terms: tuple[Adjustment, ...] = ()
    """Those that fit the call, the closest first."""
    missing: str | None = None
    """Why the book has no list price, where it has none."""

    @property
    def way(self) -> Way:
        """The way of calling, as rows tell it."""
        return way_of(self.traits)

    def listed_rows(self) -> tuple[PriceRow, ...]:
        """The entry's rows for this way of calling, of this region and of none."""
        rows = self.data.rows.get((self.offer.owner.id, self.offer.model.id), ())
        way, regions = self.way, {None, self.region}
        return tuple(row for row in rows if row.way == way and row.region in regions)

    def contracted_rows(self) -> tuple[PriceRow, ...]:
        """The contract prices for this way of calling as rows of this entry, the closest first."""
        place, way, regions = (self.offer.provider.id, self.offer.model.id), self.way, {None, self.region}
        prices = (term.row(*place) for term in self.terms if isinstance(term, ContractPrice))
        return tuple(row for row in prices if row.way == way and row.region in regions)

    def adjustments(self) -> tuple[Adjustment, ...]:
        """The terms that aren't contract prices, the closest first."""
        return tuple(term for term in self.terms if not isinstance(term, ContractPrice))


_Said = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Layers:
    """What holds in one season and slice; two are equal where they lead to the same prices."""

    said: tuple[_Said, ...]
    reason: str | None = field(compare=False)
    """Why there is no list price, where there is none."""
    listed: tuple[PriceRow, ...] = field(compare=False)
    contracted: tuple[PriceRow, ...] = field(compare=False)
    """The closest first."""
    adjustments: tuple[Adjustment, ...] = field(compare=False)
    """At most one of each kind, in the order in which they are applied."""

    def band_starts(self) -> list[int]:
        """The sizes of prompts beyond which other rows hold, ascending."""
        rows = (*self.listed, *self.contracted)
        bounds = (bound for row in rows for bound in (row.context_over, row.context_upto))
        return sorted({bound for bound in bounds if bound is not None})


@dataclass(frozen=True, slots=True)
class Schedule:
    """What holds when, for one plan."""

    starts: tuple[datetime, ...]
    """When the second and later seasons begin."""
    cuts: tuple[int, ...]
    """Seconds of the UTC day, or of the week from Monday, at which slices begin; the first is 0."""
    is_weekly: bool
    layers: tuple[tuple[Layers, ...], ...]
    """By season and slice."""


def make_schedule(plan: Plan) -> Schedule:
    """Everything that holds for calls of this plan, at all times."""
    listed, contracted, adjustments = plan.listed_rows(), plan.contracted_rows(), plan.adjustments()
    rows = (*listed, *contracted)
    is_weekly = any(row.weekdays is not None for row in rows)
    hours = (second % DAY_SECONDS for row in rows for second in row.hours or ())
    of_day = sorted({0, *hours})
    days = range(WEEKDAYS) if is_weekly else range(1)
    cuts = tuple(day * DAY_SECONDS + second for day in days for second in of_day)
    bounds = (bound for one in (*rows, *adjustments) for bound in (one.valid_from, one.valid_to))
    starts: list[datetime] = []
    seasons: list[tuple[Layers, ...]] = []
    for moment in (EVER, *sorted({bound for bound in bounds if bound is not None})):
        holding = _Holding(
            plan,
            [row for row in listed if is_in_force(row, moment)],
            [row for row in contracted if is_in_force(row, moment)],
            _one_of_each([term for term in adjustments if is_in_force(term, moment)]),
            moment,
        )
        season = holding.in_slices(cuts, is_weekly=is_weekly)
        if seasons and season == seasons[-1]:
            continue
        if seasons:
            starts.append(moment)
        seasons.append(season)
    return Schedule(tuple(starts), cuts, is_weekly, tuple(seasons))


@dataclass(frozen=True, slots=True)
class _Holding:
    """What holds in one season."""

    plan: Plan
    listed: list[PriceRow]
    contracted: list[PriceRow]
    adjustments: tuple[Adjustment, ...]
    moment: datetime

    def in_slices(self, cuts: Iterable[int], *, is_weekly: bool) -> tuple[Layers, ...]:
        """What holds in each slice; what begins at hours of other seasons is no work here."""
        rows = (*self.listed, *self.contracted)
        of_day = sorted({0, *(second % DAY_SECONDS for row in rows for second in row.hours or ())})
        has_days = any(row.weekdays is not None for row in rows)
        made: dict[int, Layers] = {}

        def layers_in(cut: int) -> Layers:
            weekday, second = divmod(cut, DAY_SECONDS)
            begins = of_day[bisect_right(of_day, second) - 1] + (weekday * DAY_SECONDS if has_days else 0)
            if begins not in made:
                made[begins] = self.in_slice(begins, is_weekly=is_weekly)
            return made[begins]

        return tuple(map(layers_in, cuts))

    def in_slice(self, cut: int, *, is_weekly: bool) -> Layers:
        """What holds in the slice that begins at this second."""
        weekday, second = divmod(cut, DAY_SECONDS)
        weekdays = {weekday} if is_weekly else set(range(WEEKDAYS))

        def holds(row: PriceRow) -> bool:
            return row.holds_in_second(second) and (row.weekdays is None or weekdays <= set(row.weekdays))

        listed = [row for row in self.listed if holds(row)]
        regional = {row.unit for row in listed if row.region is not None}
        chosen = tuple(row for row in listed if row.region is not None or row.unit not in regional)
        contracted = tuple(row for row in self.contracted if holds(row))
        reason = None if chosen else self._why_none()
        said = (
            (reason,),
            tuple(sorted(map(_said, chosen), key=repr)),
            tuple(map(_said, contracted)),
            tuple(term.id for term in self.adjustments),
        )
        return Layers(said, reason, chosen, contracted, self.adjustments)

    def _why_none(self) -> str | None:
        """Why no list price holds; None where the model is free."""
        plan = self.plan
        if plan.missing is not None:
            return plan.missing
        model = plan.offer.model
        if plan.way == Way():
            return None if model.is_free else "no_price_for_model"
        standard = Plan(plan.data, plan.offer, {}, region=plan.region).listed_rows()
        if not model.is_free and not any(is_in_force(row, self.moment) for row in standard):
            return "no_price_for_model"
        kind = "tier_not_priced_at_this_time" if plan.listed_rows() else "tier_not_priced"
        return f"{kind}:{name_of_traits(plan.traits)}"


def _one_of_each(adjustments: list[Adjustment]) -> tuple[Adjustment, ...]:
    """The closest of each kind, in the order in which they are applied."""
    closest = (
        next((term for term in adjustments if isinstance(term, kind)), None) for kind in FACTORS_AND_FEE
    )
    return tuple(term for term in closest if term is not None)


def _said(row: PriceRow) -> _Said:
    """What a row says of prices, leaving out when it holds."""
    return (
        row.unit,
        row.context_over,
        row.context_upto,
        row.price,
        row.per,
        row.currency,
        row.minimum,
        row.region,
        row.source,
        row.link,
    )
