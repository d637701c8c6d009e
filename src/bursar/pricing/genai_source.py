"""The price book from the data that the genai-prices package brings along (MIT, by Pydantic).

Only its data is used, through its public objects: providers, models, prices and units. The
arithmetic is ours (`unit_prices.py`, `rating.py`), and a test compares both. Importing the package
takes half a second, so that happens when a book is first asked for, not before.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.metadata import version
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bursar.pricing.book import PriceBook
from bursar.pricing.prices import (
    Condition,
    DatedPrices,
    ModelIndex,
    PriceData,
    PricedModel,
    PricedProvider,
    PriceKey,
    PriceVariant,
    UnitPrice,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import time

    from genai_prices import types as genai

    from bursar.pricing.prices import PriceList

FREE_SUFFIX = ":free"
"""OpenRouter's and others' mark of a variant that costs nothing."""
FREE_MODELS = frozenset(
    {
        ("openai", "moderation"),  # https://developers.openai.com/api/docs/guides/moderation
        ("google", "gemma-4-26b-a4b-it"),  # https://ai.google.dev/gemini-api/docs/pricing
        ("google", "gemma-4-31b-it"),  # https://ai.google.dev/gemini-api/docs/pricing
        # Included in the subscription, zero in the answers: the data's own comments.
        ("github-copilot", "gpt-3.5-turbo"),
        ("github-copilot", "gpt-4.1"),
        ("github-copilot", "gpt-4o"),
        ("github-copilot", "gpt-4o-mini"),
    }
)
"""Other models without prices in the data whose tokens cost nothing; the rest of those is unknown."""

TEN_SECONDS = 10_000_000
MINIMUM_QUANTITIES = MappingProxyType(
    {
        # https://console.groq.com/docs/speech-to-text: audio is billed as ten seconds at least.
        ("groq", "whisper-large-v3"): {"seconds": TEN_SECONDS},
        ("groq", "whisper-large-v3-turbo"): {"seconds": TEN_SECONDS},
    }
)
"""Least quantities billed, in steps, which the data can't express."""

LONG_CACHE_WRITES = frozenset({"cache_write_1h"})
AUDIO_TOKENS = frozenset({"input_audio", "cache_read_audio", "output_audio"})
UNKNOWN_UNITS = MappingProxyType(
    {
        # Their audio tokens cost several times their text tokens, and the data has the text price only.
        # https://platform.openai.com/docs/models/gpt-4o-audio-preview
        ("openai", "gpt-4o-audio-preview"): AUDIO_TOKENS | LONG_CACHE_WRITES,
        ("openai", "gpt-4o-mini-audio-preview"): AUDIO_TOKENS | LONG_CACHE_WRITES,
    }
)
UNKNOWN_UNITS_OF_PROVIDERS = MappingProxyType(
    {
        # OpenAI's 12-hour retention costs more than the 30 minutes that the data's price is for.
        # https://developers.openai.com/api/docs/guides/prompt-caching
        "openai": LONG_CACHE_WRITES,
    }
)
"""Units that cost something else than the price which would cover them; without a rate they stay unpriced."""

HOURLY_PRICES_SINCE = MappingProxyType(
    {
        # https://api-docs.deepseek.com/quick_start/pricing: peak hours began on that day.
        ("deepseek", "deepseek-v4-pro"): date(2026, 8, 17),
        ("deepseek", "deepseek-v4-flash"): date(2026, 8, 17),
    }
)
"""First day of prices by the hour, where the data has hours and dates that it can't combine."""


def load_book() -> PriceBook:
    """A new price book from the data in the installed genai-prices package."""
    return PriceBook(read_data())


def read_data() -> PriceData:
    """Everything that the installed genai-prices package says, as our values."""
    from genai_prices import data_snapshot, data_units  # noqa: PLC0415 - slow and large; see above

    providers = data_snapshot.get_snapshot().providers
    known = {provider.id for provider in providers}
    units: dict[str, dict[str, Any]] = data_units.unit_data
    keys = [
        PriceKey(unit.get("price_key", name), unit["per"], frozenset(unit["dimensions"].items()))
        for name, unit in units.items()
    ]
    return PriceData(
        version=f"genai-prices {version('genai-prices')}",
        providers={provider.id: _read_provider(provider, known) for provider in providers},
        keys={key.name: key for key in keys},
    )


def _read_provider(provider: genai.Provider, known: set[str]) -> PricedProvider:
    return PricedProvider(
        id=provider.id,
        name=provider.name,
        source=provider.pricing_urls[0] if provider.pricing_urls else provider.id,
        models=_index(provider),
        fallbacks=tuple(name for name in provider.fallback_model_providers or () if name in known),
    )


def _index(provider: genai.Provider) -> ModelIndex:
    """The provider's models in order: names listed one by one in a table, the others as rules."""
    names: dict[str, int] = {}
    patterns: list[tuple[int, Callable[[str], bool]]] = []
    for position, model in enumerate(provider.models):
        rules: list[genai.MatchLogic] = []
        for clause in _alternatives(model.match):
            kind, content = _parts_of(clause)
            if kind == "equals":
                names.setdefault(str(content).lower(), position)
            else:
                rules.append(clause)
        patterns.extend((position, _matcher(rule)) for rule in rules)
    models = tuple(_read_model(provider.id, model) for model in provider.models)
    return ModelIndex(models, names, tuple(patterns))


def _alternatives(clause: genai.MatchLogic) -> list[genai.MatchLogic]:
    kind, content = _parts_of(clause)
    return content if kind == "or_" else [clause]


def _parts_of(clause: genai.MatchLogic) -> tuple[str, Any]:
    """A clause's one field, which says what it does (`equals`, `starts_with`, `or_`), and its content."""
    ((kind, content),) = vars(clause).items()
    return kind, content


def _matcher(clause: genai.MatchLogic) -> Callable[[str], bool]:
    """The clause as a test of lower-case names."""
    kind, content = _parts_of(clause)
    if kind in {"or_", "and_"}:
        parts = [_matcher(part) for part in content]
        combine = any if kind == "or_" else all
        return lambda name: combine(part(name) for part in parts)
    if kind == "regex":
        pattern = re.compile(content)
        return lambda name: pattern.search(name) is not None
    text = str(content).lower()
    tests: dict[str, Callable[[str], bool]] = {
        "equals": lambda name: name == text,
        "starts_with": lambda name: name.startswith(text),
        "ends_with": lambda name: name.endswith(text),
        "contains": lambda name: text in name,
    }
    return tests[kind]


def _read_model(provider: str, model: genai.ModelInfo) -> PricedModel:
    place = (provider, model.id)
    prices = model.prices
    hourly_since = HOURLY_PRICES_SINCE.get(place)
    return PricedModel(
        id=model.id,
        name=model.name or model.id,
        dated=(
            tuple(
                DatedPrices(_read_prices(entry.prices), _read_condition(entry.constraint, hourly_since))
                for entry in prices
            )
            if isinstance(prices, list)
            else (DatedPrices(_read_prices(prices)),)
        ),
        variants=tuple(
            PriceVariant(
                dict(variant.when), _read_prices(variant.prices), _read_condition(variant.constraint)
            )
            for variant in model.price_variants or ()
        ),
        is_free=model.id.endswith(FREE_SUFFIX) or place in FREE_MODELS,
        minimums=MINIMUM_QUANTITIES.get(place, {}),
        unknown_units=UNKNOWN_UNITS.get(place, UNKNOWN_UNITS_OF_PROVIDERS.get(provider, frozenset())),
    )


def _read_prices(prices: genai.ModelPrice) -> PriceList:
    values: Iterable[tuple[str, Decimal | genai.TieredPrices | None]] = vars(prices).items()
    return {key: _read_price(price) for key, price in values if price is not None}


def _read_price(price: Decimal | genai.TieredPrices) -> UnitPrice:
    if isinstance(price, Decimal):
        return UnitPrice(price)
    return UnitPrice(price.base, tuple((tier.start, tier.price) for tier in price.tiers))


def _read_condition(constraint: object, hourly_since: date | None = None) -> Condition:
    """A start date or a daily window, told apart by their fields; None is always met."""
    parts: dict[str, Any] = vars(constraint) if constraint is not None else {}
    if "start_time" in parts:
        window = (_utc_second(parts["start_time"]), _utc_second(parts["end_time"]))
        return Condition(starts=hourly_since, daily=window)
    return Condition(starts=parts["start_date"]) if parts else Condition()


def _utc_second(moment: time) -> int:
    """Seconds of the UTC day of a time of day; one without a zone is UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    utc = datetime.combine(date(1970, 1, 1), aware).astimezone(UTC)
    return utc.hour * 3600 + utc.minute * 60 + utc.second
