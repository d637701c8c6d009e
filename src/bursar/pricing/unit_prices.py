"""Which price each counted unit is billed at, and what one step of it then costs.

A unit is billed at the most specific price that covers it: reasoning at output, a cache read without
a price at input, a one-hour cache write at the price of cache writes. That is right where a provider
makes no difference; where it is known to make one that nobody told us, the unit has no rate
(`ModelEntry.unknown_units`).
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING

from bursar.money import PICOS_PER_UNIT
from bursar.pricing.price_units import PRICE_UNITS, is_custom
from bursar.units import UNITS, scale_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from bursar.pricing.rows import PriceRow

VIDEO_PRICES = {"input_image": "input_video", "output_image": "output_video"}
"""Units that count video frames too, and the price of video: where it differs from that of images,
the unit's price is not known (Gemini Embedding 2 charges 27 times as much for video)."""


def covers(price: str, unit: str) -> bool:
    """Whether a price of this price unit is a price of this counted unit too."""
    if price == unit:
        return True
    return price in PRICE_UNITS and PRICE_UNITS[price].dimensions <= PRICE_UNITS[unit].dimensions


@cache
def _covering(unit: str) -> tuple[frozenset[str], ...]:
    """The price units that cover a counted one, the most specific first; equally specific ones together.

    To cached text a price of cached tokens is closer than one of text, which says nothing about what is
    read from a cache. Of cached audio neither is known to be the price.
    """
    names = [name for name in PRICE_UNITS if covers(name, unit)]
    ranks = sorted({_specificity(name) for name in names}, reverse=True)
    return tuple(frozenset(name for name in names if _specificity(name) == rank) for rank in ranks)


def _specificity(price: str) -> tuple[int, bool]:
    dimensions = PRICE_UNITS[price].dimensions
    return len(dimensions), ("modality", "text") not in dimensions


def covering_price(unit: str, priced: Collection[str]) -> str | None:
    """The most specific of the price units that covers a counted unit, if there is just one such."""
    for names in _covering(unit):
        found = names.intersection(priced)
        if found:
            return next(iter(found)) if len(found) == 1 else None
    return None


def rows_by_unit(rows: Mapping[str, PriceRow], unknown_units: Collection[str] = ()) -> dict[str, PriceRow]:
    """The row that each counted unit is billed by, for those that have one.

    `rows` is one price list, by price unit; a list in which two currencies meet is the caller's
    business. A unit that is billed at a price of its own which nobody told us has no row, unless the
    list has a price of just that unit. A custom unit is billed at the price of its own name.
    """
    found: dict[str, PriceRow] = {}
    for unit in UNITS:
        name = covering_price(unit, rows.keys())
        if name is None or (unit in unknown_units and name != unit):
            continue
        if not _differs_for_video(unit, rows[name], rows):
            found[unit] = rows[name]
    custom = (name for name in rows if is_custom(name))
    return found | {name: rows[name] for name in sorted(custom)}


def step_price(row: PriceRow, unit: str) -> Fraction:
    """What one step of a counted unit costs by this row, in picos of its currency."""
    return Fraction(row.price) * PICOS_PER_UNIT / (row.per * 10 ** scale_of(unit))


def least_steps(row: PriceRow, unit: str) -> int:
    """The least quantity billed, in steps."""
    return int(row.minimum * 10 ** scale_of(unit)) if row.minimum is not None else 0


def _differs_for_video(unit: str, row: PriceRow, rows: Mapping[str, PriceRow]) -> bool:
    video = rows.get(VIDEO_PRICES.get(unit, ""))
    return video is not None and (video.price, video.per, video.currency) != (
        row.price,
        row.per,
        row.currency,
    )
