"""Which price each of our units is billed at, and what one step of it then costs.

Our units never overlap; a source's price keys do: the price of input tokens covers cached, audio
and image tokens too, unless they have prices of their own. Each key says by its dimensions what it
is a price of. A unit is billed at the most specific price that covers it: reasoning at output, a
cache read without a price at input, a one-hour cache write at the price of cache writes. That is
right where a provider makes no difference; where it is known to make one that the source doesn't
have, the unit has no rate (`PricedModel.unknown_units`).
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from bursar.money import PICOS_PER_UNIT
from bursar.pricing.card import Rate
from bursar.units import INPUT_UNITS, OUTPUT_UNITS, scale_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bursar.pricing.prices import PricedModel, PriceKey, PriceList

TOKEN_UNITS = frozenset(INPUT_UNITS + OUTPUT_UNITS)


def _tokens(direction: str, **more: str) -> frozenset[tuple[str, str]]:
    return frozenset({"family": "tokens", "direction": direction, **more}.items())


UNIT_DIMENSIONS: dict[str, frozenset[tuple[str, str]]] = {
    "input_text": _tokens("input", modality="text"),
    "input_audio": _tokens("input", modality="audio"),
    "input_image": _tokens("input", modality="image"),
    # Cached images are counted here too, and billed as cached text.
    "cache_read_text": _tokens("input", modality="text", token_type="cache_read"),  # noqa: S106 - no secret
    "cache_read_audio": _tokens("input", modality="audio", token_type="cache_read"),  # noqa: S106 - no secret
    "cache_write_5m": _tokens("input", token_type="cache_write", cache_ttl="5m"),  # noqa: S106 - no secret
    "cache_write_1h": _tokens("input", token_type="cache_write", cache_ttl="1h"),  # noqa: S106 - no secret
    "output_text": _tokens("output", modality="text"),
    "output_reasoning": _tokens("output", token_type="reasoning"),  # noqa: S106 - no secret
    "output_audio": _tokens("output", modality="audio"),
    "output_image": _tokens("output", modality="image"),
    "requests": frozenset({("family", "requests")}),
    "searches": frozenset({("family", "tool_calls"), ("tool_type", "web_search")}),
    "pages": frozenset({("family", "document_pages"), ("direction", "input")}),
    "seconds": frozenset({("family", "durations"), ("direction", "input"), ("modality", "audio")}),
    "characters": frozenset({("family", "characters"), ("direction", "input")}),
}
"""What each of our units is, in the words of the price source. Images by the piece, bytes and
custom units have no price there."""

VIDEO_KEYS = {"input_image": "input_video_mtok", "output_image": "output_video_mtok"}
"""Units that count video frames too, and the price of video: where it differs from that of images,
the unit's price is not known (Gemini Embedding 2 charges 27 times as much for video)."""


def rate_units(
    model: PricedModel,
    prices: PriceList,
    keys: Mapping[str, PriceKey],
    *,
    context_tokens: int,
    token_factor: Fraction,
) -> dict[str, Rate]:
    """A rate for every unit that a price list covers, for a prompt of this size.

    `token_factor` multiplies the prices of tokens, where a region costs more. A free model's
    tokens have the rate 0.
    """
    if model.is_free and not prices:
        return {unit: Rate(0, 1) for unit in UNIT_DIMENSIONS if unit in TOKEN_UNITS}
    priced = [keys[name] for name in prices]
    rates: dict[str, Rate] = {}
    for unit in UNIT_DIMENSIONS:
        key = covering_key(unit, priced)
        if key is None or unit in model.unknown_units or _differs_for_video(unit, key, prices):
            continue
        per_step = Fraction(prices[key.name].at(context_tokens)) * PICOS_PER_UNIT
        per_step /= key.per * 10 ** scale_of(unit)
        if unit in TOKEN_UNITS:
            per_step *= token_factor
        rates[unit] = Rate(per_step.numerator, per_step.denominator, model.minimums.get(unit, 0))
    return rates


def covering_key(unit: str, priced: Iterable[PriceKey]) -> PriceKey | None:
    """The most specific of the priced keys that covers a unit, if there is just one such."""
    dimensions = UNIT_DIMENSIONS[unit]
    covering = [key for key in priced if key.dimensions <= dimensions]
    depth = max((len(key.dimensions) for key in covering), default=0)
    closest = [key for key in covering if len(key.dimensions) == depth]
    return closest[0] if len(closest) == 1 else None


def _differs_for_video(unit: str, key: PriceKey, prices: PriceList) -> bool:
    video = prices.get(VIDEO_KEYS.get(unit, ""))
    return video is not None and video != prices[key.name]
