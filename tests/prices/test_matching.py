"""Which entry of the price book a call is priced by, and how a card names the way it was found.

The price proves the match: each provider in these tables charges something of its own.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from bursar.pricing.card import RateCard
from bursar.pricing.match import PROVIDER_ALIASES, find_offer
from bursar.pricing.rating import PricingSubject, rate_usage
from bursar.pricing.tiers import REGION_SURCHARGES

if TYPE_CHECKING:
    from bursar.pricing.book import PriceBook

NOVEMBER = datetime(2026, 11, 2, 5, tzinfo=UTC)


def card_for(book: PriceBook, provider: str | None, model: str, *, batch: bool = False) -> RateCard:
    rating = rate_usage(
        book, PricingSubject(provider, model, NOVEMBER, batch=batch, context_tokens=1), {"input_text": 1}
    )
    assert isinstance(rating.card, RateCard), rating.reason
    return rating.card


@pytest.mark.parametrize(
    ("spellings", "model", "provider"),
    [
        ("google gemini vertex vertex_ai gcp.gemini gcp.vertex_ai GOOGLE", "gemini-2.5-pro", "google"),
        ("azure azure_openai azure.ai.openai az.ai.openai", "gpt-5", "azure"),
        ("aws bedrock aws.bedrock bedrock_converse", "us.anthropic.claude-sonnet-4-6", "aws"),
        ("x-ai xai x_ai", "grok-4", "x-ai"),
        ("mistral mistral_ai", "mistral-large-latest", "mistral"),
        ("anthropic claude", "claude-opus-4-5", "anthropic"),
        ("moonshotai moonshot_ai", "kimi-k2-0905-preview", "moonshotai"),
        (" OpenAI ", "GPT-4o", "openai"),
    ],
)
def test_a_provider_has_many_spellings(book: PriceBook, spellings: str, model: str, provider: str) -> None:
    names = [spellings] if spellings.startswith(" ") else spellings.split()
    cards = [card_for(book, name, model) for name in names]
    assert {card.provider for card in cards} == {provider}
    assert len({card.id for card in cards}) == 1, "a spelling makes no card of its own"


def test_every_alias_leads_to_a_provider_of_the_book(book: PriceBook) -> None:
    assert set(PROVIDER_ALIASES.values()) <= set(book.data.providers)
    assert not set(PROVIDER_ALIASES) & set(book.data.providers), "an id is no alias"
    assert {provider for provider, _ in REGION_SURCHARGES} <= set(book.data.providers)


@pytest.mark.parametrize(
    ("model", "provider", "rule"),
    [
        ("claude-opus-4-5", "anthropic", "provider_inferred:claude"),
        ("gpt-4o-mini", "openai", "provider_inferred:gpt"),
        ("o3-mini", "openai", "provider_inferred:gpt"),
        ("ft:gpt-4o-mini-2024-07-18:acme::x", "openai", "provider_inferred:gpt"),
        ("text-embedding-3-large", "openai", "provider_inferred:gpt"),
        ("gemini-2.5-flash", "google", "provider_inferred:gemini"),
        ("models/gemini-2.5-flash", "google", "provider_inferred:gemini"),
        ("grok-4", "x-ai", "provider_inferred:grok"),
        ("mistral-small-latest", "mistral", "provider_inferred:mistral"),
        ("deepseek-chat", "deepseek", "provider_inferred:deepseek"),
        ("sonar-pro", "perplexity", "provider_inferred:sonar"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "aws", "provider_inferred:bedrock_id"),
        ("amazon.nova-lite-v1:0", "aws", "provider_inferred:bedrock_id"),
        ("openai/gpt-4o-mini", "openai", "provider_from_model_prefix"),
        ("vertex_ai/gemini-2.5-pro", "google", "provider_from_model_prefix"),
        ("openrouter/openai/gpt-4o-mini", "openrouter", "provider_from_model_prefix"),
    ],
)
def test_a_provider_that_is_not_named_is_inferred_from_the_model(
    book: PriceBook, model: str, provider: str, rule: str
) -> None:
    card = card_for(book, None, model)
    assert (card.provider, card.rule) == (provider, rule)
    assert card_for(book, "litellm", model) == card


@pytest.mark.parametrize(
    "model", ["gpt-oss-120b", "deepseek-r1", "llama-3.3-70b", "qwen3-coder", "gemma-3-27b-it"]
)
def test_a_model_that_many_sell_is_not_given_to_one_of_them(book: PriceBook, model: str) -> None:
    assert find_offer(book.data, None, model) == "unknown_provider"


@pytest.mark.parametrize(
    ("provider", "name", "model"),
    [
        ("google", "models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("vertex_ai", "publishers/google/models/gemini-2.5-pro", "gemini-2.5-pro"),
        (
            "vertex_ai",
            "projects/p/locations/us-east5/publishers/anthropic/models/claude-opus-4-5@20251101",
            "claude-opus-4-5",
        ),
        (
            "bedrock",
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-lite-v1:0",
            "amazon.nova-lite-v1:0",
        ),
        ("openai", "openai/gpt-4o", "gpt-4o"),
        ("openai", "gpt-5.2-20251211", "gpt-5.2"),
        ("openai", "GPT-5.2-2025-12-11", "gpt-5.2"),
        ("openrouter", "openai/gpt-4o-mini", "openai/gpt-4o-mini"),
    ],
)
def test_a_model_is_found_by_the_names_that_apis_use(
    book: PriceBook, provider: str, name: str, model: str
) -> None:
    assert card_for(book, provider, name).model == model


@pytest.mark.parametrize(
    ("provider", "name", "rule"),
    [
        # A geography that no rule of the source names, and a snapshot that nobody listed.
        ("bedrock", "sa.anthropic.claude-fable-5-2", "provider_named+geography:sa"),
        ("openai", "gpt-5.2-2026-10-09", "provider_named+snapshot_of:gpt-5.2"),
        ("openai", "gpt-4.1-20261009", "provider_named+snapshot_of:gpt-4.1"),
    ],
)
def test_a_card_names_the_rule_that_took_one_name_for_another(
    book: PriceBook, provider: str, name: str, rule: str
) -> None:
    assert card_for(book, provider, name).rule == rule


@pytest.mark.parametrize(
    ("provider", "name", "entry"),
    [
        ("openai", "ft:gpt-4o-mini-2024-07-18:acme::x", "ft:gpt-4o-mini"),
        ("azure", "ft:gpt-4o-2024-08-06:acme::x", "ft:gpt-4o"),
        ("openai", "ft:gpt-4.1-2025-04-14:acme::x", None),
        ("openai", "ft:gpt-4.1-2025-04-14", None),
        # A rule of the source for names that contain "o4-mini" was not made for this one.
        ("azure", "ft:o4-mini-2025-04-16:acme::x", None),
    ],
)
def test_a_fine_tuned_model_has_a_price_of_its_own_or_none(
    book: PriceBook, provider: str, name: str, entry: str | None
) -> None:
    found = find_offer(book.data, provider, name)
    assert (found if isinstance(found, str) else found.model.id) == (entry or "no_price_for_fine_tune")


@pytest.mark.parametrize(
    ("name", "price"),
    [
        ("global.anthropic.claude-haiku-4-5-20251001-v1:0", "1"),
        ("anthropic.claude-haiku-4-5-20251001-v1:0", "1.1"),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", "1.1"),
        ("eu.anthropic.claude-haiku-4-5-20251001-v1:0", "1.1"),
        ("sa.anthropic.claude-haiku-4-5-20251001-v1:0", "1.1"),
        ("us.amazon.nova-lite-v1:0", "0.06"),
        ("amazon.nova-lite-v1:0", "0.06"),
    ],
)
def test_a_geography_of_bedrock_costs_more_only_where_the_source_says_so(
    book: PriceBook, name: str, price: str
) -> None:
    assert card_for(book, "aws", name).rates["input_text"].price_per(1_000_000, 0) == price


def test_the_steps_from_a_calls_words_to_an_entry_are_told(book: PriceBook) -> None:
    offer = book.offer("Claude", "models/claude-opus-4-5@20251101", NOVEMBER)
    assert not isinstance(offer, str)
    assert [(step.rule, step.result) for step in offer.steps] == [
        ("provider_spelling:claude", "anthropic"),
        ("path_removed", "claude-opus-4-5@20251101"),
        ("name:starts_with:claude-opus-4-5", "anthropic/claude-opus-4-5"),
    ]
    inferred = book.offer("litellm", "azure/gpt-4o", NOVEMBER)
    assert not isinstance(inferred, str)
    assert [(step.rule, step.result) for step in inferred.steps] == [
        ("gateway:litellm", "the model says who bills"),
        ("provider_from_model_prefix", "azure"),
        ("provider_prefix_removed", "gpt-4o"),
        ("prices_of:openai", "gpt-4o"),
        ("name:equals:gpt-4o", "openai/gpt-4o"),
    ]


def test_a_date_that_is_none_is_left_alone(book: PriceBook) -> None:
    assert find_offer(book.data, "openai", "gpt-5.2-20251399") == "unknown_model"


def test_a_provider_may_charge_the_prices_of_another(book: PriceBook) -> None:
    card = card_for(book, "azure", "gpt-4o")
    assert (card.provider, card.rule) == ("azure", "provider_named+prices_of:openai")
    assert card.source == card_for(book, "openai", "gpt-4o").source


def test_an_entry_of_its_own_comes_before_the_prices_of_another(book: PriceBook) -> None:
    # Azure's entry for o3 has the later price for all times; OpenAI's knows the earlier one.
    early = PricingSubject("azure", "o3", datetime(2025, 5, 1, tzinfo=UTC))
    assert rate_usage(book, early, {"input_text": 1_000_000}).picos == 2 * 10**12


def test_variants_apply_where_the_prices_of_another_are_charged(book: PriceBook) -> None:
    batch = card_for(book, "azure", "gpt-5", batch=True)
    assert batch.conditions == {"processing": "batch"}
    assert batch.rates["input_text"].price_per(1_000_000, 0) == "0.625"


def test_the_first_entry_that_answers_to_a_name_wins(book: PriceBook) -> None:
    # Both "gemini-2.5-flash-lite" and a rule for "gemini-2.5-flash…" exist; the names are told apart.
    assert card_for(book, "google", "gemini-2.5-flash-lite").model == "gemini-2.5-flash-lite"
    assert card_for(book, "google", "gemini-2.5-flash").model == "gemini-2.5-flash"
