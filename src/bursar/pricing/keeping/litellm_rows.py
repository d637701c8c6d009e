"""From the prices of one entry of the LiteLLM map to rows: each way of calling with its whole list.

The map leaves out what stays as it is, rows don't: a way of calling without a price of its own for a
unit has the standard one, as LiteLLM itself reckons. Where only standard calls have a price for long
prompts, what a long prompt costs in another way isn't known, and its rows end at that size.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from bursar.pricing.keeping.litellm_fields import STANDARD, quoted
from bursar.pricing.keeping.source import LITELLM
from bursar.pricing.keeping.weekly_hours import Part
from bursar.pricing.price_units import price_unit
from bursar.pricing.rows import PriceRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from decimal import Decimal

    from bursar.pricing.keeping.litellm_fields import FieldPrice
    from bursar.pricing.rows import Way

ALWAYS = Part(None, None)
Curve = dict[int, "Decimal"]
"""Prices by the size of the prompt that they begin above; 0 is any size."""


@dataclass(frozen=True, slots=True)
class OffPeak:
    """Other prices of standard calls in some parts of the week."""

    prices: dict[str, Decimal]
    """By price unit."""
    inside: list[Part]
    outside: list[Part]


@dataclass(frozen=True, slots=True)
class ListedModel:
    """One entry of the map, as far as it is understood."""

    key: str
    provider: str
    model: str
    mode: str
    link: str
    prices: list[FieldPrice] = field(default_factory=list["FieldPrice"])
    off_peak: OffPeak | None = None


def rows_of(listed: ListedModel) -> Iterator[PriceRow]:
    """The rows of one entry."""
    curves = _curves(listed.prices)
    standard = curves.get(STANDARD, {})
    for way, own in curves.items():
        if not any(0 in curve for curve in own.values()):
            continue
        for unit in dict.fromkeys((*own, *standard)):
            curve, upto = _curve_for(own.get(unit, {}), standard.get(unit, {}))
            for over, to, price in _bands(curve, upto):
                made = _row(listed, way, unit, price)
                for part, amount in _by_hours(listed, way, unit, price):
                    yield msgspec.structs.replace(
                        made,
                        price=quoted(amount, made.per),
                        context_over=over,
                        context_upto=to,
                        hours=part.hours,
                        weekdays=part.weekdays,
                    )


def _curves(prices: Iterable[FieldPrice]) -> dict[Way, dict[str, Curve]]:
    curves: dict[Way, dict[str, Curve]] = {}
    for one in prices:
        curves.setdefault(one.way, {}).setdefault(one.unit, {})[one.context_over] = one.price
    return curves


def _curve_for(own: Curve, standard: Curve) -> tuple[Curve, int | None]:
    """The prices of a unit in one way of calling, and the size of prompt up to which they are known."""
    if 0 not in own:
        return ({}, None) if own or 0 not in standard else (standard, None)
    unknown_above = min((over for over in standard if over not in own), default=None)
    return own, unknown_above


def _bands(curve: Curve, upto: int | None) -> Iterator[tuple[int | None, int | None, Decimal]]:
    starts = sorted(over for over in curve if upto is None or over < upto)
    for position, over in enumerate(starts):
        end = starts[position + 1] if position + 1 < len(starts) else upto
        yield over or None, end, curve[over]


def _by_hours(listed: ListedModel, way: Way, unit: str, price: Decimal) -> Iterator[tuple[Part, Decimal]]:
    """The price in each part of the week."""
    other = listed.off_peak
    if other is None or way != STANDARD or unit not in other.prices:
        yield ALWAYS, price
        return
    for part in other.inside:
        yield part, other.prices[unit]
    for part in other.outside:
        yield part, price


def _row(listed: ListedModel, way: Way, unit: str, price: Decimal) -> PriceRow:
    per = price_unit(unit).per
    return PriceRow(
        provider=listed.provider,
        model=listed.model,
        unit=unit,
        price=quoted(price, per),
        per=per,
        service_tier=way.service_tier,
        batch=way.batch,
        speed=way.speed,
        source=LITELLM,
        link=listed.link,
    )
