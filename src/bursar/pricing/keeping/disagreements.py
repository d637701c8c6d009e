"""Where a source and the book disagree, and by how much: price beside price, the largest gap first.

Compared is what holds at one moment under the same conditions. A price of the source whose unit has no
row in the book is compared with the broader one that covers it there, for that is what would be billed.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import msgspec

from bursar.pricing.keeping.told import conditions_of, decimal_text, percent_text
from bursar.pricing.match import find_offer
from bursar.pricing.price_units import price_unit
from bursar.pricing.rows import is_in_force, share_calls

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from bursar.pricing.entries import PriceData
    from bursar.pricing.keeping.source import PriceSource
    from bursar.pricing.rows import PriceRow


class Disagreement(msgspec.Struct, frozen=True, kw_only=True):
    """Two prices for the same calls."""

    provider: str
    model: str
    """The book's entry."""
    named: str
    """How the other source names it."""
    unit: str
    conditions: dict[str, str]
    ours: str
    """Both for `per` of the unit, as decimal strings."""
    theirs: str
    per: int
    currency: str
    percent: str | None
    """By how much theirs differs from ours; None where ours is 0."""
    our_source: str
    our_unit: str
    """The unit whose price is ours: the same, or a broader one."""
    our_link: str
    their_link: str


def disagreements(data: PriceData, source: PriceSource, moment: datetime) -> list[Disagreement]:
    """Every price of the source that isn't the book's, the largest ratio first, and those of 0 last.

    A price of 0 may be one, or stand for nothing: how many times less it is can't be said.
    """
    found: list[tuple[Fraction, Disagreement]] = []
    for entry in source.entries:
        offer = find_offer(data, entry.provider, entry.id)
        if isinstance(offer, str):
            continue
        known = data.rows.get((offer.owner.id, offer.model.id), ())
        ours = [row for row in known if is_in_force(row, moment)]
        place = (offer.provider.id, offer.model.id, entry.id)
        for row in source.rows.get((entry.provider, entry.id), ()):
            if is_in_force(row, moment):
                # Of units whose own price nobody told us the broader prices aren't what is billed.
                exact = row.unit in offer.model.unknown_units
                rivals = [one for one in ours if not exact or one.unit == row.unit]
                found += _compare(place, row, rivals)
    found.sort(key=lambda one: (-one[0], one[1].provider, one[1].model, one[1].unit, one[1].named))
    return [one for _, one in found]


def _compare(
    place: tuple[str, str, str], row: PriceRow, ours: Sequence[PriceRow]
) -> Iterator[tuple[Fraction, Disagreement]]:
    rivals = _closest(row, [one for one in ours if _meets(one, row)])
    theirs = Fraction(row.price) / row.per
    if not rivals or row.source in {one.source for one in rivals}:
        return
    if any(Fraction(one.price) / one.per == theirs for one in rivals):
        return
    rival = rivals[0]
    price = Fraction(rival.price) * row.per / rival.per
    told = Disagreement(
        provider=place[0],
        model=place[1],
        named=place[2],
        unit=row.unit,
        conditions=conditions_of(row),
        ours=decimal_text(price),
        theirs=decimal_text(Fraction(row.price)),
        per=row.per,
        currency=row.currency,
        percent=percent_text(price, Fraction(row.price)),
        our_source=rival.source,
        our_unit=rival.unit,
        our_link=rival.link,
        their_link=row.link,
    )
    yield _ratio(price, Fraction(row.price)), told


def _ratio(one: Fraction, other: Fraction) -> Fraction:
    """How many times the larger is the smaller; 0 where that is 0."""
    low, high = sorted((one, other))
    return high / low if low else Fraction(0)


def _closest(row: PriceRow, candidates: Sequence[PriceRow]) -> list[PriceRow]:
    """Those whose unit is the row's, or the closest of the broader ones."""
    own = price_unit(row.unit).dimensions
    depths = [(len(price_unit(one.unit).dimensions), one) for one in candidates]
    covering = [(depth, one) for depth, one in depths if price_unit(one.unit).dimensions <= own]
    deepest = max((depth for depth, _ in covering), default=0)
    return [one for depth, one in covering if depth == deepest]


def _meets(one: PriceRow, other: PriceRow) -> bool:
    """Whether there are calls to which both apply."""
    return (
        one.way == other.way
        and one.region == other.region
        and one.currency == other.currency
        and share_calls(one, other)
    )
