"""What the fields of the LiteLLM price map mean: a price unit, a way of calling, a size of prompt.

A field's name says all three: `input_cost_per_token_above_272k_tokens_priority`. The tables below
are the whole of what is understood; any other field about money is remarked on and left out.
Format: https://github.com/BerriAI/litellm/blob/main/model_prices_and_context_window.json
"""

from __future__ import annotations

import re
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from bursar.money import EXACT
from bursar.pricing.rows import Way

if TYPE_CHECKING:
    from collections.abc import Mapping

PRICE_LIMIT = 1_000_000
"""Dollars per unit beyond which a number is no price but a mistake."""

UNIT_OF_FIELD: Mapping[str, str] = MappingProxyType(
    {
        "input_cost_per_token": "input_tokens",
        "output_cost_per_token": "output_tokens",
        "cache_read_input_token_cost": "cache_read_tokens",
        "cache_creation_input_token_cost": "cache_write_tokens",
        "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
        # OpenAI's 12-hour retention, which is counted as a write kept for an hour or longer.
        "cache_creation_input_token_cost_above_12hr": "cache_write_1h",
        "input_cost_per_audio_token": "input_audio",
        "output_cost_per_audio_token": "output_audio",
        "cache_read_input_audio_token_cost": "cache_read_audio",
        "input_cost_per_image_token": "input_image",
        "output_cost_per_image_token": "output_image",
        "cache_read_input_image_token_cost": "cache_read_image",
        "input_cost_per_video_token": "input_video",
        "output_cost_per_video_token": "output_video",
        "output_cost_per_reasoning_token": "output_reasoning",
        "input_cost_per_second": "seconds",
        "input_cost_per_character": "characters",
        "ocr_cost_per_page": "pages",
        "output_cost_per_image": "images",
        "input_cost_per_request": "requests",
    }
)
ONLY_IN_MODES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        # Elsewhere seconds are those of rented capacity, images an estimate beside tokens.
        "input_cost_per_second": frozenset({"audio_transcription"}),
        "output_cost_per_image": frozenset({"image_generation", "image_edit"}),
    }
)
REPEATED_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "input_cost_per_token_cache_hit": "cache_read_input_token_cost",
        # One price of a second of audio, whichever side it is read from.
        "output_cost_per_second": "input_cost_per_second",
    }
)
"""Fields that say again what another says; they are left out where they do, or are zero."""
SEARCH_FIELD = "search_context_cost_per_query"
OFF_PEAK_FIELD = "off_peak_pricing"

_WAYS = {"batches": Way(batch=True), "flex": Way("flex"), "priority": Way("priority")}
STANDARD = Way()
_CONDITIONS = re.compile(
    r"(?P<base>.+?)(?:_above_(?P<thousands>\d+)k_tokens)?(?:_(?P<way>batches|flex|priority))?"
)
_ABOUT_MONEY = re.compile(r"cost|price|pricing|multiplier|specific_entry|free_requests|billing_unit")


class FieldPrice(NamedTuple):
    """What one field says."""

    field: str
    unit: str
    way: Way
    context_over: int
    """0 for prompts of any size."""
    price: Decimal
    """Dollars for one of the unit."""


class FieldFault(ValueError):
    """A field holds something that is no price; the message says what it must be."""


def is_about_money(field: str) -> bool:
    """Whether a field that isn't understood may change what a call costs."""
    return _ABOUT_MONEY.search(field) is not None


def read_field(field: str, value: object, mode: str) -> FieldPrice | None:
    """What a field says; None if it isn't understood.

    Raises:
        FieldFault: it is understood, and its value is no price.
    """
    found = _CONDITIONS.fullmatch(field)
    unit = UNIT_OF_FIELD.get(found["base"]) if found else None
    if found is None or unit is None:
        return None
    modes = ONLY_IN_MODES.get(found["base"])
    if modes is not None and mode not in modes:
        return None
    price = read_number(value)
    over = int(found["thousands"] or 0) * 1_000
    return FieldPrice(field, unit, _WAYS.get(found["way"], STANDARD), over, price)


def read_number(value: object) -> Decimal:
    """A price in dollars, exactly as it is written.

    Raises:
        FieldFault: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        message = "must be a number of dollars"
        raise FieldFault(message)
    price = Decimal(value)
    if not price.is_finite() or not 0 <= price < PRICE_LIMIT or -int(price.as_tuple().exponent) > 30:  # noqa: PLR2004 - places
        message = f"must be a price from 0 to {PRICE_LIMIT} dollars with up to 30 places"
        raise FieldFault(message)
    return price


def read_search_price(value: object) -> Decimal | None:
    """The price of a search, where it is the same for every size of its context; None where it isn't.

    Raises:
        FieldFault: one of them is no price.
    """
    if not isinstance(value, dict) or not value:
        message = "must be an object of prices by the size of the context"
        raise FieldFault(message)
    prices = {read_number(price) for price in cast("dict[str, Any]", value).values()}
    return prices.pop() if len(prices) == 1 else None


def quoted(price: Decimal, per: int) -> Decimal:
    """The price of so many, from the price of one."""
    return EXACT.multiply(price, Decimal(per))
