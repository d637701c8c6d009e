"""Our calculator beside the one of the genai-prices package, over all models and times of its data.

Both price the same seeded random usages. They agree to the last pico where every rate is whole, and
within half a pico a line elsewhere (we round each line, they don't round). Where we answer otherwise
on purpose, the difference stands in a list here with its reason; one that is not listed fails.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import genai_prices
import pytest
from genai_prices.data_snapshot import get_snapshot

from bursar.money import PICOS_PER_UNIT
from bursar.pricing.card import RateCard
from bursar.pricing.rating import PricingSubject, Rating, rate_usage
from bursar.units import INPUT_UNITS, OUTPUT_UNITS, Quantities
from tests.support.sampled import long

if TYPE_CHECKING:
    from collections.abc import Iterator

    from genai_prices import types as genai

    from bursar.pricing.book import PriceBook

SEED = 20261120
CASES_PER_MODEL = 3
WAYS = (
    {"processing": "batch"},
    {"service_tier": "flex"},
    {"service_tier": "priority"},
    {"service_tier": "fast"},
    {"speed": "fast"},
)

DIFFERENCES = {
    "no_price_for_model": "a model without prices is free to them; to us only if it is said to be free",
    "no_price_for_unit": "a unit that no price covers adds nothing to their total; to us the cost is unknown",
    "price_of_another_kind": "they take a price that covers the unit but isn't its own: OpenAI's 12-hour "
    "cache writes, audio tokens of the first audio models, video at the price of images",
    "tier_not_priced": "they take the standard price for a tier without one; to us the cost is unknown",
    "tier_not_priced_at_this_time": "likewise before the day from which the data knows the tier's price",
    "variant_of_another_provider": "they ignore tiers where a provider charges another's prices; we don't",
    "hours_before_they_began": "their data has DeepSeek's peak hours for all times; we know when they began",
}
OTHER_KINDS = {
    ("openai", "cache_write_1h"),
    ("gpt-4o-audio-preview", "input_audio"),
    ("gpt-4o-audio-preview", "cache_read_audio"),
    ("gpt-4o-audio-preview", "output_audio"),
    ("gpt-4o-mini-audio-preview", "input_audio"),
    ("gpt-4o-mini-audio-preview", "cache_read_audio"),
    ("gpt-4o-mini-audio-preview", "output_audio"),
    ("gemini-embedding-2", "input_image"),
    ("gemini-omni-1.1-flash", "output_image"),
    ("gemini-omni-flash-preview", "output_image"),
}
"""(provider or model, unit) whose covering price we don't use."""
PEAK_HOURS_BEGAN = date(2026, 8, 17)


@dataclass(frozen=True)
class Case:
    """One usage of one model at one time."""

    provider: genai.Provider
    name: str
    time: datetime
    way: dict[str, str]
    units: Quantities


@pytest.mark.parametrize("kind", long({one: one for one in ("book", "kept_book")}, always=["book"]))
def test_both_calculators_agree_but_for_the_listed_differences(
    kind: str, request: pytest.FixtureRequest
) -> None:
    book: PriceBook = request.getfixturevalue(kind)
    seen: Counter[str] = Counter()
    unlisted: list[object] = []
    for case in cases():
        ours, theirs = rate_by_us(book, case), rate_by_them(case, case.units)
        outcome = "agrees" if agrees(ours, theirs, case) else difference(case, ours, theirs)
        seen[outcome or "unlisted"] += 1
        if outcome is None:
            unlisted.append((case, ours, theirs.model_price, theirs.total_price))
    assert not unlisted, unlisted[0]
    assert seen["agrees"] > 4000, seen
    assert set(seen) - {"agrees"} == set(DIFFERENCES), "every listed difference occurs"


def cases() -> Iterator[Case]:
    """The same few thousand usages in every run."""
    chance = random.Random(SEED)
    for provider in get_snapshot().providers:
        for model in provider.models:
            # A prefix or suffix from a rule is not always a name by itself.
            name = next((name for name in sorted(names_of(model.match)) if model.is_match(name)), None)
            for _ in range(CASES_PER_MODEL if name else 0):
                time = chance.choice([*moments_of(model), a_moment(chance)])
                yield Case(provider, name or "", time, a_way(chance, model), some_units(chance, model))
    for provider, model in borrowed_models():
        way = a_way(chance, model)
        yield Case(provider, model.id.lower(), a_moment(chance), way, some_units(chance, model))


def a_way(chance: random.Random, model: genai.ModelInfo) -> dict[str, str]:
    """Mostly a standard call; else one that the data has a price for, or any other."""
    if chance.random() < 0.1:
        return chance.choice(WAYS)
    known = [variant.when for variant in model.price_variants or () if variant.when in WAYS]
    return chance.choice([{}, *known])


def borrowed_models() -> Iterator[tuple[genai.Provider, genai.ModelInfo]]:
    """Models that a provider sells at another's prices."""
    providers = {provider.id: provider for provider in get_snapshot().providers}
    for provider in providers.values():
        for owner in provider.fallback_model_providers or ():
            for model in providers[owner].models:
                if provider.find_model(model.id, all_providers=list(providers.values())) is model:
                    yield provider, model


def names_of(clause: object) -> Iterator[str]:
    """Names that a match rule may answer to."""
    parts: dict[str, Any] = vars(clause)
    ((kind, content),) = parts.items()
    if kind in {"or_", "and_"}:
        for part in content:
            yield from names_of(part)
    elif kind != "regex":
        yield str(content).lower()


def moments_of(model: genai.ModelInfo) -> list[datetime]:
    """The moments at which the data changes a model's price, and those just before."""
    entries = model.prices if isinstance(model.prices, list) else []
    moments: list[datetime] = []
    for constraint in [entry.constraint for entry in (*entries, *(model.price_variants or ()))]:
        parts: dict[str, Any] = vars(constraint) if constraint else {}
        day: date = parts.get("start_date", date(2026, 11, 3))
        for hour in (parts.get("start_time"), parts.get("end_time")):
            start = (
                datetime.combine(day, hour) if hour else datetime(day.year, day.month, day.day, tzinfo=UTC)
            )
            moments += [start, start - timedelta(microseconds=1)]
    return moments


def a_moment(chance: random.Random) -> datetime:
    return datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=chance.randrange(3 * 366 * 86_400))


def some_units(chance: random.Random, model: genai.ModelInfo) -> Quantities:
    """Mostly tokens in and out; other units more often where the model has a price for them."""
    sizes = (1, 7, 199_999, 200_000, 200_001, 272_000, 272_001, 1_000_000)
    units: Quantities = {}
    for unit in chance.sample(INPUT_UNITS, chance.randrange(4)):
        units[unit] = chance.choice((*sizes, chance.randrange(300_000)))
    for unit in chance.sample(OUTPUT_UNITS, chance.randrange(3)):
        units[unit] = chance.randrange(1, 100_000)
    described = str(model.prices)
    for unit, word in (
        ("searches", "searches"),
        ("pages", "pages"),
        ("characters", "chars"),
        ("seconds", "hour"),
    ):
        if chance.random() < (0.6 if word in described.lower() else 0.02):
            units[unit] = chance.randrange(1, 10**8 if unit == "seconds" else 1000)
    return units or {"input_text": chance.choice(sizes)}


def rate_by_us(book: PriceBook, case: Case) -> Rating:
    return rate_usage(
        book,
        PricingSubject(
            case.provider.id,
            case.name,
            case.time,
            service_tier=case.way.get("service_tier"),
            batch="processing" in case.way,
            speed=case.way.get("speed"),
        ),
        case.units,
    )


def rate_by_them(case: Case, units: Quantities) -> genai.PriceCalculation:
    return genai_prices.calc_price(
        their_usage(units),
        case.name,
        provider_id=case.provider.id,
        genai_request_timestamp=case.time,
        price_context=case.way,
    )


def their_usage(units: Quantities) -> genai_prices.Usage:
    """The same usage in their terms, where totals include their parts."""

    def total(*names: str) -> int:
        return sum(units.get(name, 0) for name in names)

    seconds = Decimal(total("seconds")).scaleb(-6)
    return genai_prices.Usage(
        input_tokens=total(*INPUT_UNITS),
        input_audio_tokens=total("input_audio", "cache_read_audio"),
        input_image_tokens=total("input_image"),
        cache_read_tokens=total("cache_read_text", "cache_read_audio"),
        cache_audio_read_tokens=total("cache_read_audio"),
        cache_image_read_tokens=0,
        cache_write_tokens=total("cache_write_5m", "cache_write_1h"),
        cache_write_5m_tokens=total("cache_write_5m"),
        cache_write_1h_tokens=total("cache_write_1h"),
        output_tokens=total(*OUTPUT_UNITS),
        output_reasoning_tokens=total("output_reasoning"),
        output_audio_tokens=total("output_audio"),
        output_image_tokens=total("output_image"),
        web_searches=total("searches"),
        input_document_pages=total("pages"),
        input_characters=total("characters"),
        audio_seconds=seconds,
        input_audio_seconds=seconds,
    )


def agrees(ours: Rating, theirs: genai.PriceCalculation, case: Case) -> bool:
    if not isinstance(ours.card, RateCard):
        return False
    same_entry = ours.card.model == theirs.model.id and ours.card.provider == theirs.provider.id
    return same_entry and amounts_agree(ours, theirs, case)


def amounts_agree(ours: Rating, theirs: genai.PriceCalculation, case: Case) -> bool:
    """Equal but for one rounding of each line whose rate is no whole number of picos."""
    assert isinstance(ours.card, RateCard)
    assert ours.picos is not None
    fractional = [line for line in ours.card.lines(case.units) if ours.card.rates[line.unit].denominator != 1]
    gap = abs(theirs.total_price * PICOS_PER_UNIT - ours.picos)
    return gap <= Decimal("0.5000001") * len(fractional)


def difference(case: Case, ours: Rating, theirs: genai.PriceCalculation) -> str | None:
    """Which of the listed differences this is, if it is one."""
    if ours.reason is None:
        return priced_difference(case, ours, theirs)
    kind, _, detail = ours.reason.partition(":")
    if kind != "no_price_for_unit":
        return kind if kind in DIFFERENCES else None
    if {(theirs.provider.id, detail), (theirs.model.id, detail)} & OTHER_KINDS:
        return "price_of_another_kind"
    owners = {
        owner for owner in case.provider.fallback_model_providers or () if (owner, detail) in OTHER_KINDS
    }
    if owners and not any(model is theirs.model for model in case.provider.models):
        return "price_of_another_kind"
    alone = rate_by_them(case, {detail: case.units[detail]}).total_price
    return kind if alone == rate_by_them(case, {}).total_price else None


def priced_difference(case: Case, ours: Rating, theirs: genai.PriceCalculation) -> str | None:
    owner = next(other for other in get_snapshot().providers if any(m is theirs.model for m in other.models))
    if owner is not case.provider and case.way:
        by_owner = rate_by_them(replace(case, provider=owner), case.units)
        return "variant_of_another_provider" if amounts_agree(ours, by_owner, case) else None
    if theirs.model.id.startswith("deepseek-v4") and case.time.date() < PEAK_HOURS_BEGAN:
        off_peak = rate_by_them(replace(case, time=case.time.replace(hour=5)), case.units)
        return "hours_before_they_began" if amounts_agree(ours, off_peak, case) else None
    return None
