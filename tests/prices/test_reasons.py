"""Every reason for which a cost is not known, and what is nearest to it that has a price.

A reason is part of what Bursar promises: it is stored with the event, counted, and tells the reader
what to do.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from bursar.errors import Invalid
from bursar.money import AMOUNT_LIMIT_PICOS
from bursar.pricing.rating import CostStatus, PricingSubject, Rating, rate_usage

if TYPE_CHECKING:
    from bursar.pricing.book import PriceBook
    from bursar.units import Quantities

NOVEMBER = datetime(2026, 11, 2, 5, tzinfo=UTC)
TOKENS = {"input_text": 1_000_000}


def rated(
    book: PriceBook,
    provider: str | None,
    model: str | None,
    units: Quantities = TOKENS,
    **way: Any,  # noqa: ANN401 - the subject's own fields
) -> Rating:
    return rate_usage(book, PricingSubject(provider, model, way.pop("time", NOVEMBER), **way), units)


@pytest.mark.parametrize(
    ("provider", "model", "reason"),
    [
        ("openai", "gpt-nine-thousand", "unknown_model"),
        ("anthropic", "gpt-4o", "unknown_model"),
        ("acme-cloud", "gpt-4o", "unknown_provider"),
        (None, "llama-3.3-70b-instruct", "unknown_provider"),
        (None, "some-org/some-model", "unknown_provider"),
        ("openai", None, "no_model"),
        ("openai", "  ", "no_model"),
        (None, None, "no_model"),
        ("openrouter", "google/lyria-3-pro-preview", "no_price_for_model"),
        ("google", "gemma-3-27b-it", "no_price_for_model"),
    ],
)
def test_what_is_not_in_the_book_is_unpriced(
    book: PriceBook, provider: str | None, model: str | None, reason: str
) -> None:
    rating = rated(book, provider, model)
    assert rating == Rating(CostStatus.UNPRICED, None, "USD", None, reason)


@pytest.mark.parametrize("units", [{}, {"input_text": 0}, {"input_text": 0, "widgets": 0}])
@pytest.mark.parametrize("model", ["gpt-4o", "gpt-nine-thousand"])
def test_without_usage_there_is_no_cost_not_a_cost_of_zero(
    book: PriceBook, units: Quantities, model: str
) -> None:
    assert rated(book, "openai", model, units).reason == "no_usage"


@pytest.mark.parametrize(
    ("provider", "model", "units", "unit"),
    [
        ("openai", "gpt-4o", {"input_text": 5, "widgets": 1}, "widgets"),
        ("openai", "gpt-4o", {"input_text": 5, "pages": 1, "bytes": 9}, "bytes"),
        ("openai", "text-embedding-3-small", {"input_text": 5, "output_text": 1}, "output_text"),
        ("openai", "gpt-3.5-turbo", {"input_text": 5, "searches": 1}, "searches"),
        # A price covers these, but it is known to be another one's.
        ("openai", "gpt-6.1-terra", {"cache_write_1h": 5}, "cache_write_1h"),
        ("azure", "gpt-6.1-terra", {"cache_write_1h": 5}, "cache_write_1h"),
        ("openai", "gpt-4o-audio-preview", {"input_audio": 5}, "input_audio"),
        ("google", "gemini-embedding-2", {"input_image": 5}, "input_image"),
    ],
)
def test_one_unit_without_a_price_makes_the_whole_cost_unknown(
    book: PriceBook, provider: str, model: str, units: Quantities, unit: str
) -> None:
    rating = rated(book, provider, model, units)
    assert (rating.picos, rating.reason) == (None, f"no_price_for_unit:{unit}")


def test_a_unit_of_which_nothing_was_used_needs_no_price(book: PriceBook) -> None:
    assert rated(book, "openai", "gpt-4o", {"input_text": 1_000_000, "widgets": 0}).picos == 2_500_000_000_000


@pytest.mark.parametrize(
    ("provider", "model", "way", "reason"),
    [
        ("anthropic", "claude-opus-4-5", {"service_tier": "priority"}, "tier_not_priced:priority"),
        ("openai", "gpt-4.1", {"service_tier": "flex"}, "tier_not_priced:flex"),
        ("openai", "gpt-4o", {"service_tier": "scale"}, "tier_not_priced:scale"),
        ("openai", "gpt-4o", {"service_tier": "no-such-tier"}, "tier_not_priced:no_such_tier"),
        ("openai", "gpt-5.1-codex-mini", {"batch": True}, "tier_not_priced:batch"),
        ("anthropic", "claude-opus-4-5", {"speed": "fast"}, "tier_not_priced:speed_fast"),
        (
            "anthropic",
            "claude-opus-4-8",
            {"batch": True, "speed": "fast"},
            "tier_not_priced:batch+speed_fast",
        ),
        ("groq", "llama-3.1-8b-instant", {"service_tier": "performance"}, "tier_not_priced:performance"),
        (
            "openai",
            "gpt-5",
            {"service_tier": "flex", "time": datetime(2026, 10, 11, 23, 59, 59, tzinfo=UTC)},
            "tier_not_priced_at_this_time:flex",
        ),
        (
            "anthropic",
            "claude-opus-4-5",
            {"batch": True, "time": datetime(2026, 10, 13, 23, 59, 59, tzinfo=UTC)},
            "tier_not_priced_at_this_time:batch",
        ),
    ],
)
def test_a_way_of_calling_without_a_price_never_gets_the_standard_one(
    book: PriceBook, provider: str, model: str, way: dict[str, Any], reason: str
) -> None:
    rating = rated(book, provider, model, **way)
    assert (rating.picos, rating.reason) == (None, reason)
    assert rated(book, provider, model).status is CostStatus.PRICED


@pytest.mark.parametrize(
    "tier",
    [None, "", "default", "standard", "auto", "on_demand", "ON_DEMAND", "SERVICE_TIER_STANDARD", "Standard"],
)
def test_the_standard_tier_has_many_names(book: PriceBook, tier: str | None) -> None:
    assert rated(book, "openai", "gpt-4o", service_tier=tier).picos == 2_500_000_000_000


@pytest.mark.parametrize(
    "way", [{"service_tier": "batch"}, {"batch": True}, {"batch": True, "service_tier": "default"}]
)
def test_a_batch_may_be_named_as_a_tier(book: PriceBook, way: dict[str, Any]) -> None:
    assert rated(book, "anthropic", "claude-opus-4-5", **way).picos == 2_500_000_000_000


def test_vertex_names_its_tiers_by_traffic(book: PriceBook) -> None:
    flex = rated(book, "vertex_ai", "gemini-3.8-flash-tts", service_tier="ON_DEMAND_FLEX")
    assert flex.picos == 250_000_000_000


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openrouter", "qwen/qwen3-coder:free"),
        ("openai", "omni-moderation-latest"),
        ("google", "gemma-4-31b-it"),
    ],
)
def test_what_is_said_to_be_free_costs_nothing(book: PriceBook, provider: str, model: str) -> None:
    rating = rated(book, provider, model)
    assert (rating.status, rating.picos) == (CostStatus.PRICED, 0)


def test_requests_cost_something_only_where_the_provider_bills_them(book: PriceBook) -> None:
    assert (
        rated(book, "openai", "gpt-4o", {"input_text": 1_000_000, "requests": 7}).picos == 2_500_000_000_000
    )
    # Sonar: 1 a million tokens in, 12 for 1,000 requests; one request where none are counted.
    assert rated(book, "perplexity", "sonar").picos == 1_012_000_000_000
    assert rated(book, "perplexity", "sonar", TOKENS | {"requests": 2}).picos == 1_024_000_000_000


def test_groq_bills_ten_seconds_of_audio_at_least(book: PriceBook) -> None:
    # 0.111 an hour: ten seconds are 0.00030833…, half a minute is 0.000925.
    assert rated(book, "groq", "whisper-large-v3", {"seconds": 1_500_000}).picos == 308_333_333
    assert rated(book, "groq", "whisper-large-v3", {"seconds": 30_000_000}).picos == 925_000_000


def test_an_amount_of_a_million_is_refused(book: PriceBook) -> None:
    # At 10 a million tokens, 10^11 tokens cost a million.
    just_under = rated(book, "openai", "gpt-4o", {"output_text": 10**11 - 1})
    assert just_under.picos == AMOUNT_LIMIT_PICOS - 10_000_000
    with pytest.raises(Invalid) as refused:
        rated(book, "openai", "gpt-4o", {"output_text": 10**11})
    assert [reason.code for reason in refused.value.reasons] == ["out_of_range"]


@pytest.mark.parametrize("zone_hours", [-11, 0, 14])
def test_a_time_in_another_zone_is_the_same_moment(book: PriceBook, zone_hours: int) -> None:
    zone = timezone(timedelta(hours=zone_hours))
    cut = datetime(2025, 6, 10, tzinfo=UTC)
    assert (
        rated(book, "openai", "o3", time=(cut - timedelta(seconds=1)).astimezone(zone)).picos == 10 * 10**12
    )
    assert rated(book, "openai", "o3", time=cut.astimezone(zone)).picos == 2 * 10**12
