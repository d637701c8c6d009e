"""What can be counted and priced: disjoint unit classes, and the totals people know.

Priced units never overlap: a cached token is not also an input token here. Providers disagree on
what includes what, so `usage/providers/` turns each provider's numbers into these classes once.
Quantities are whole numbers in the unit's smallest step: tokens as they are, seconds and other
measured amounts in millionths (`scale` 6), so that nothing is a float.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from bursar.money import EXACT, format_decimal

QUANTITY_LIMIT = 10**12
"""No event may claim more than this of any unit (in whole units)."""
CUSTOM_SCALE = 6
"""Custom units are exact decimals of up to six places."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One class of priced quantity; no quantity is ever counted in two classes."""

    name: str
    scale: int
    """Decimal places kept: 0 for whole things, 6 for measured ones."""
    meaning: str


UNITS: dict[str, Unit] = {
    unit.name: unit
    for unit in (
        Unit("input_text", 0, "input tokens that are neither cached, audio nor image"),
        Unit("input_audio", 0, "input tokens of audio, not cached"),
        Unit("input_image", 0, "input tokens of images and video frames, not cached"),
        Unit("cache_read_text", 0, "input tokens read from a prompt cache (text and image)"),
        Unit("cache_read_audio", 0, "input tokens of audio read from a prompt cache"),
        Unit("cache_write_5m", 0, "input tokens written to a short-lived prompt cache"),
        Unit("cache_write_1h", 0, "input tokens written to a cache kept for an hour or longer"),
        Unit("output_text", 0, "output tokens that are neither reasoning, audio nor image"),
        Unit("output_reasoning", 0, "output tokens spent on reasoning that is billed as output"),
        Unit("output_audio", 0, "output tokens of audio"),
        Unit("output_image", 0, "output tokens of images"),
        Unit("requests", 0, "billed requests, where a provider charges per call"),
        Unit("searches", 0, "searches made by a provider's own tools"),
        Unit("pages", 0, "document pages"),
        Unit("seconds", 6, "seconds of audio, video or compute"),
        Unit("characters", 0, "characters of text"),
        Unit("images", 0, "images made or read, where they are billed by the piece"),
        Unit("bytes", 0, "bytes moved or stored"),
    )
}

INPUT_UNITS = (
    "input_text",
    "input_audio",
    "input_image",
    "cache_read_text",
    "cache_read_audio",
    "cache_write_5m",
    "cache_write_1h",
)
CACHE_READ_UNITS = ("cache_read_text", "cache_read_audio")
CACHE_WRITE_UNITS = ("cache_write_5m", "cache_write_1h")
OUTPUT_UNITS = ("output_text", "output_reasoning", "output_audio", "output_image")

TOKEN_TOTALS: dict[str, tuple[str, ...]] = {
    "input_tokens": INPUT_UNITS,
    "cached_tokens": CACHE_READ_UNITS,
    "cache_write_tokens": CACHE_WRITE_UNITS,
    "output_tokens": OUTPUT_UNITS,
    "reasoning_tokens": ("output_reasoning",),
    "total_tokens": INPUT_UNITS + OUTPUT_UNITS,
}
"""The totals that people know, each the sum of disjoint classes."""

Quantities = dict[str, int]
"""Unit name to quantity in the unit's smallest step (see `Unit.scale`); absent means none."""


def scale_of(unit_name: str) -> int:
    """Decimal places kept for a unit; any unit that is not built in is custom."""
    unit = UNITS.get(unit_name)
    return unit.scale if unit else CUSTOM_SCALE


def total_of(total_name: str, quantities: Quantities) -> int:
    """A total of `TOKEN_TOTALS` over disjoint quantities."""
    return sum(quantities.get(name, 0) for name in TOKEN_TOTALS[total_name])


def to_steps(unit_name: str, quantity: int | Decimal) -> int:
    """The quantity in the unit's smallest steps.

    Raises:
        ValueError: negative, beyond `QUANTITY_LIMIT`, or finer than the unit's steps.
    """
    scale = scale_of(unit_name)
    if isinstance(quantity, int):
        steps = quantity * 10**scale
    else:
        if not quantity.is_finite() or quantity.adjusted() > 12:  # noqa: PLR2004 - beyond the limit anyway
            message = f"must be a number up to {QUANTITY_LIMIT}"
            raise ValueError(message)
        scaled = quantity.scaleb(scale, EXACT)
        steps = int(scaled)
        if steps != scaled:
            message = f"must have at most {scale} decimal places"
            raise ValueError(message)
    if not 0 <= steps <= QUANTITY_LIMIT * 10**scale:
        message = f"must lie between 0 and {QUANTITY_LIMIT}"
        raise ValueError(message)
    return steps


def format_steps(unit_name: str, steps: int) -> str:
    """The quantity as a plain decimal string in whole units."""
    return format_decimal(Decimal(steps).scaleb(-scale_of(unit_name)))
