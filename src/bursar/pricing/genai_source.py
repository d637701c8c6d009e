"""The price book from the data that the genai-prices package brings along (MIT, by Pydantic).

Only its data is used, through its public objects: providers, models, prices and units. The
arithmetic is ours (`unit_prices.py`, `rating.py`), and a test compares both. Importing the package
takes half a second, so that happens when a book is first asked for, not before; and a model's price
rows are made when they are first asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.metadata import version
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bursar.pricing.book import PriceBook
from bursar.pricing.entries import ModelEntry, ModelIndex, NameRule, PriceData, ProviderEntry, Seller
from bursar.pricing.genai_lists import (
    Condition,
    DatedPrices,
    ModelLists,
    PriceVariant,
    UnitPrice,
    requestable,
    unfold_lists,
)
from bursar.pricing.genai_words import PRICE_WORDS
from bursar.pricing.rows import PriceRow, second_of_day
from bursar.pricing.unit_prices import covers

if TYPE_CHECKING:
    from datetime import time

    from genai_prices import types as genai

    from bursar.pricing.entries import NameRuleKind
    from bursar.pricing.genai_lists import PriceList

SOURCE = "genai-prices"

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

MINIMUM_QUANTITIES = MappingProxyType(
    {
        # https://console.groq.com/docs/speech-to-text: audio is billed as ten seconds at least.
        ("groq", "whisper-large-v3"): {"seconds": Decimal(10)},
        ("groq", "whisper-large-v3-turbo"): {"seconds": Decimal(10)},
    }
)
"""Least quantities billed, in whole units, which the data can't express."""

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
    from genai_prices import data_snapshot  # noqa: PLC0415 - slow and large; see above

    return data_of(data_snapshot.get_snapshot().providers, f"{SOURCE} {version('genai-prices')}")


def data_of(providers: list[genai.Provider], book_version: str) -> PriceData:
    """What these providers of genai-prices' own kind say: those of the package, or of a data file."""
    known = {provider.id for provider in providers}
    return PriceData(
        version=book_version,
        providers={provider.id: _read_provider(provider, known) for provider in providers},
        rows=_Rows(providers),
    )


class _Rows(Mapping[tuple[str, str], tuple[PriceRow, ...]]):
    """(provider, entry) to its rows, made on first use: a start needs few of them."""

    def __init__(self, providers: list[genai.Provider]) -> None:
        self._made: dict[tuple[str, str], tuple[PriceRow, ...]] = {}
        self._models = {
            (provider.id, model.id): (provider, model)
            for provider in reversed(providers)
            for model in reversed(provider.models)
        }

    def __getitem__(self, place: tuple[str, str]) -> tuple[PriceRow, ...]:
        rows = self._made.get(place)
        if rows is None:
            rows = self._made[place] = tuple(_rows_of(*self._models[place]))
        return rows

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)


def _read_provider(provider: genai.Provider, known: set[str]) -> Seller:
    entry = ProviderEntry(
        id=provider.id,
        name=provider.name,
        link=_link_of(provider),
        fallbacks=tuple(name for name in provider.fallback_model_providers or () if name in known),
    )
    models = [
        ModelEntry(
            provider=provider.id,
            id=model.id,
            name=model.name or model.id,
            position=position,
            match=tuple(_name_rule(clause) for clause in _alternatives(model.match)),
            is_free=model.id.endswith(FREE_SUFFIX) or (provider.id, model.id) in FREE_MODELS,
            unknown_units=tuple(sorted(_unknown_units(provider.id, model.id))),
        )
        for position, model in enumerate(provider.models)
    ]
    return Seller(entry, ModelIndex(tuple(models)))


def _link_of(provider: genai.Provider) -> str:
    return provider.pricing_urls[0] if provider.pricing_urls else provider.id


def _unknown_units(provider: str, model: str) -> frozenset[str]:
    return UNKNOWN_UNITS.get((provider, model), UNKNOWN_UNITS_OF_PROVIDERS.get(provider, frozenset()))


def _alternatives(clause: genai.MatchLogic) -> list[genai.MatchLogic]:
    kind, content = _parts_of(clause)
    return content if kind == "or_" else [clause]


def _parts_of(clause: genai.MatchLogic) -> tuple[str, Any]:
    """A clause's one field, which says what it does (`equals`, `starts_with`, `or_`), and its content."""
    ((kind, content),) = vars(clause).items()
    return kind, content


RULE_KINDS: Mapping[str, NameRuleKind] = MappingProxyType(
    {
        "equals": "equals",
        "starts_with": "starts_with",
        "ends_with": "ends_with",
        "contains": "contains",
        "regex": "regex",
        "or_": "any",
        "and_": "all",
    }
)


def _name_rule(clause: genai.MatchLogic) -> NameRule:
    kind, content = _parts_of(clause)
    if kind in {"or_", "and_"}:
        return NameRule(RULE_KINDS[kind], parts=tuple(_name_rule(part) for part in content))
    return NameRule(RULE_KINDS[kind], content if kind == "regex" else str(content).lower())


def _rows_of(provider: genai.Provider, model: genai.ModelInfo) -> Iterator[PriceRow]:
    minimums = MINIMUM_QUANTITIES.get((provider.id, model.id), {})
    for one in unfold_lists(_read_lists(provider.id, model)):
        name, per = PRICE_WORDS.get(one.unit, (one.unit, 1))
        yield PriceRow(
            provider=provider.id,
            model=model.id,
            unit=name,
            price=one.price,
            per=per,
            context_over=one.context[0],
            context_upto=one.context[1],
            service_tier=one.way.service_tier,
            batch=one.way.batch,
            speed=one.way.speed,
            hours=one.hours,
            minimum=next((least for unit, least in minimums.items() if covers(name, unit)), None),
            valid_from=one.valid_from,
            valid_to=one.valid_to,
            source=SOURCE,
            link=_link_of(provider),
        )


def _read_lists(provider: str, model: genai.ModelInfo) -> ModelLists:
    prices = model.prices
    hourly_since = HOURLY_PRICES_SINCE.get((provider, model.id))
    dated = (
        tuple(
            DatedPrices(_read_prices(entry.prices), _read_condition(entry.constraint, hourly_since))
            for entry in prices
        )
        if isinstance(prices, list)
        else (DatedPrices(_read_prices(prices)),)
    )
    variants = (
        (requestable(variant.when), _read_prices(variant.prices), _read_condition(variant.constraint))
        for variant in model.price_variants or ()
    )
    return ModelLists(
        dated,
        tuple(PriceVariant(way, prices, condition) for way, prices, condition in variants if way is not None),
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
    return second_of_day(datetime.combine(date(1970, 1, 1), aware))
