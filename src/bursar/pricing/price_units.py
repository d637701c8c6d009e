"""The words in which prices are told: what a price may be a price of.

What is counted (`bursar.units`) never overlaps; what is priced does: a price of input tokens covers
cached, audio and image tokens too, unless they have prices of their own. Each price unit says by its
dimensions what it is a price of. It covers every counted unit whose dimensions include its own; which
of several prices that cover a unit is its price is decided in `unit_prices.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from bursar.units import INPUT_UNITS, OUTPUT_UNITS

if TYPE_CHECKING:
    from collections.abc import Mapping

MILLION = 1_000_000
HOUR = 3_600
Dimensions = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class PriceUnit:
    """One kind of price."""

    name: str
    per: int
    """So many of it are usually quoted at once: 1,000,000 tokens, 1,000 searches, 3,600 seconds."""
    dimensions: Dimensions
    meaning: str


def _tokens(name: str, meaning: str, direction: str, **more: str) -> PriceUnit:
    dimensions = {"family": "tokens", "direction": direction, **more}
    return PriceUnit(name, MILLION, frozenset(dimensions.items()), meaning)


def _pieces(name: str, per: int, meaning: str, **dimensions: str) -> PriceUnit:
    return PriceUnit(name, per, frozenset(dimensions.items()), meaning)


def _custom(name: str, per: int, meaning: str) -> PriceUnit:
    """A price of just the custom unit of the same name."""
    return PriceUnit(name, per, frozenset({("custom", name)}), meaning)


_READ = {"token_type": "cache_read"}
_WRITE = {"token_type": "cache_write"}

PRICE_UNITS: Mapping[str, PriceUnit] = MappingProxyType(
    {
        unit.name: unit
        for unit in (
            _tokens("input_tokens", "every input token without a price of its own", "input"),
            _tokens("input_text", "input tokens of text", "input", modality="text"),
            _tokens("input_audio", "input tokens of audio", "input", modality="audio"),
            _tokens("input_image", "input tokens of images", "input", modality="image"),
            _tokens("input_video", "input tokens of video", "input", modality="video"),
            _tokens("cache_read_tokens", "every input token read from a cache", "input", **_READ),
            # Cached images are counted with cached text, and billed as such.
            _tokens("cache_read_text", "text read from a cache", "input", modality="text", **_READ),
            _tokens("cache_read_audio", "audio read from a cache", "input", modality="audio", **_READ),
            _tokens("cache_read_image", "images read from a cache", "input", modality="image", **_READ),
            _tokens("cache_write_tokens", "every input token written to a cache", "input", **_WRITE),
            _tokens("cache_write_5m", "written to a short-lived cache", "input", cache_ttl="5m", **_WRITE),
            _tokens("cache_write_1h", "written to a cache for an hour", "input", cache_ttl="1h", **_WRITE),
            _tokens("output_tokens", "every output token without a price of its own", "output"),
            _tokens("output_text", "output tokens of text", "output", modality="text"),
            _tokens("output_reasoning", "output tokens of reasoning", "output", token_type="reasoning"),  # noqa: S106 - no secret
            _tokens("output_audio", "output tokens of audio", "output", modality="audio"),
            _tokens("output_image", "output tokens of images", "output", modality="image"),
            _tokens("output_video", "output tokens of video", "output", modality="video"),
            _pieces("requests", 1_000, "requests", family="requests"),
            _pieces("searches", 1_000, "web searches", family="tool_calls", tool_type="web_search"),
            _pieces("pages", 1_000, "pages read", family="document_pages", direction="input"),
            _pieces("audio_seconds", HOUR, "audio, in or out", family="durations", modality="audio"),
            _pieces("seconds", HOUR, "audio in", family="durations", direction="input", modality="audio"),
            _pieces("characters", MILLION, "characters in", family="characters", direction="input"),
            _pieces("images", 1, "images by the piece", family="images"),
            _custom("file_searches", 1_000, "searches in files that the provider keeps"),
            _custom("social_searches", 1_000, "searches in posts of a social network"),
            _custom("code_executions", 1_000, "runs of code by the provider's own tools"),
            _custom("annotated_pages", 1_000, "pages read with annotations"),
            _pieces("bytes", 10**9, "bytes moved or stored", family="bytes"),
        )
    }
)
"""Every counted unit by its own name, the broader prices that cover several of them, and custom units that
providers have prices for."""

TOKEN_UNITS = frozenset(INPUT_UNITS + OUTPUT_UNITS)
"""The counted units that are tokens."""


def price_unit(name: str) -> PriceUnit:
    """The price unit of this name; one that isn't listed prices just the custom unit of that name."""
    return PRICE_UNITS.get(name) or _custom(name, 1, "a custom unit")


def is_custom(name: str) -> bool:
    """Whether a price of this name is one of a custom unit."""
    return price_unit(name).dimensions == frozenset({("custom", name)})
