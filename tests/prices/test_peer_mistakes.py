"""Mistakes that other cost trackers have made, each as a bill that we get right.

Every row names the report of the mistake, what the call costs by the published tariff (worked out by hand,
dollars for a million tokens) and what the mistake made of it. Prices are those of the providers' pages in
November 2026, which `bills/` link to.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from bursar.money import format_picos
from bursar.pricing.books import PriceBooks
from bursar.pricing.rating import CostStatus
from bursar.usage.costing import Costed, cost_event
from bursar.usage.event import UsageEvent
from bursar.usage.formats.provider_answers import CUT_STREAM, read_answer
from bursar.usage.measure import measure_usage

if TYPE_CHECKING:
    from bursar.pricing.book import PriceBook
    from bursar.pricing.books import TenantPrices

NOVEMBER = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def prices(book: PriceBook) -> TenantPrices:
    """The bundled prices, of no tenant's own."""
    return PriceBooks(book).of("acme")


def costed(prices: TenantPrices, event: UsageEvent) -> Costed:
    return cost_event(prices, event, measure_usage(event), event.time or NOVEMBER)


def amount(prices: TenantPrices, event: UsageEvent) -> str:
    cost = costed(prices, event)
    assert cost.picos is not None, cost.reason
    return format_picos(cost.picos)


@dataclass(frozen=True)
class Mistake:
    """A mistake of a peer, the call it was made with, what the call costs and what the peer charged."""

    name: str
    reported: str
    provider: str
    model: str
    usage: dict[str, Any]
    right: str
    wrong: str
    time: datetime = NOVEMBER


def chat(prompt: int, completion: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    usage = {"prompt_tokens": prompt, "completion_tokens": completion}
    return {**usage, "total_tokens": prompt + completion, **more}


MISTAKES = (
    Mistake(
        "cached tokens charged twice",  # 1000 × 2.50 + 3000 × 1.25 + 200 × 10; not 4000 × 2.50 + …
        "langfuse/langfuse#10592, #12306, #9386",
        "openai",
        "gpt-4o",
        chat(4000, 200, prompt_tokens_details={"cached_tokens": 3000}),
        right="0.00825",
        wrong="0.01575",
    ),
    Mistake(
        "cached content of Gemini charged twice",  # 8 × 0.30 + 3512 × 0.03 + 44 × 2.50
        "BerriAI/litellm#14849",
        "google",
        "gemini-2.5-flash",
        {
            "promptTokenCount": 3520,
            "cachedContentTokenCount": 3512,
            "candidatesTokenCount": 2,
            "thoughtsTokenCount": 42,
            "totalTokenCount": 3564,
        },
        right="0.00021776",
        wrong="0.00127136",
    ),
    Mistake(
        "cache hits charged at the price of misses",  # 80 × 0.14 + 896 × 0.0028 + 61 × 0.28
        "langfuse/langfuse#4590",
        "deepseek",
        "deepseek-v4-flash",
        chat(976, 61, prompt_cache_hit_tokens=896, prompt_cache_miss_tokens=80),
        right="0.0000307888",
        wrong="0.00015372",
        time=datetime(2026, 6, 10, tzinfo=UTC),
    ),
    Mistake(
        "cache reads charged as output",  # 100 × 3 + 10000 × 0.30 + 50 × 15
        "Arize-ai/phoenix#13379, #10036 (42 times too much)",
        "anthropic",
        "claude-sonnet-4-6",
        {"input_tokens": 100, "cache_read_input_tokens": 10_000, "output_tokens": 50},
        right="0.00405",
        wrong="0.15105",
    ),
    Mistake(
        "reasoning charged twice",  # 100 × 1.25 + 1000 × 10, of which 800 are reasoning
        "BerriAI/litellm#18599",
        "openai",
        "gpt-5",
        chat(100, 1000, completion_tokens_details={"reasoning_tokens": 800}),
        right="0.010125",
        wrong="0.018125",
    ),
    Mistake(
        "reasoning left out where it stands beside the completion",  # 4308 × 2.50 out, not 1499 × 2.50
        "Wei-Shaw/sub2api#5771",
        "xai",
        "grok-4.20",
        {
            "prompt_tokens": 10_120,
            "completion_tokens": 1499,
            "total_tokens": 14_428,
            "prompt_tokens_details": {"cached_tokens": 128},
            "completion_tokens_details": {"reasoning_tokens": 2809},
        },
        right="0.0232856",
        wrong="0.0162631",
    ),
    Mistake(
        "thoughts left out",  # 1000 × 1.25 + (100 + 900) × 10
        "genai-prices 0.2.3 on Gemini's OpenAI-compatible endpoint (our own run)",
        "google",
        "gemini-2.5-pro",
        {"promptTokenCount": 1000, "candidatesTokenCount": 100, "thoughtsTokenCount": 900},
        right="0.01125",
        wrong="0.00225",
    ),
    Mistake(
        "thoughts left out that only the total tells of",  # 66 × 1.25 + 34 × 10
        "genai-prices 0.2.3 on Gemini's OpenAI-compatible endpoint (our own run)",
        "google",
        "gemini-2.5-pro",
        {"prompt_tokens": 66, "completion_tokens": 6, "total_tokens": 100},
        right="0.0004225",
        wrong="0.0001425",
    ),
    Mistake(
        "iterations left out",  # 329 × 3 + 55096 × 3.75 + 136 × 15, where the top level says 229 and 5
        "genai-prices 0.2.3 on a recorded answer (our own run): 275 times too little",
        "anthropic",
        "claude-sonnet-4-6",
        {
            "input_tokens": 229,
            "output_tokens": 5,
            "iterations": [
                {
                    "type": "compaction",
                    "input_tokens": 100,
                    "cache_creation_input_tokens": 55_096,
                    "output_tokens": 131,
                },
                {"type": "message", "input_tokens": 229, "output_tokens": 5},
            ],
        },
        right="0.209637",
        wrong="0.000762",
    ),
    Mistake(
        # 2390 × 2 + 121 × 10 and, at its own price, 2518 × 5 + 22 × 25
        "an advisor left out",
        "genai-prices 0.2.3 on a recorded answer (our own run): 3.2 times too little",
        "anthropic",
        "claude-sonnet-5",
        {
            "input_tokens": 2390,
            "output_tokens": 121,
            "iterations": [
                {"type": "message", "input_tokens": 2390, "output_tokens": 121},
                {
                    "type": "advisor_message",
                    "model": "claude-opus-4-8",
                    "input_tokens": 2518,
                    "output_tokens": 22,
                },
            ],
        },
        right="0.01913",
        wrong="0.00599",
    ),
    Mistake(
        "only the tokens beyond a threshold charged at its price",  # 272001 × 5, not 272000 × 2.50 + 1 × 5
        "providers' own pages say that the whole request is repriced; marginal readings are common",
        "openai",
        "gpt-5.4",
        chat(272_001, 0),
        right="1.360005",
        wrong="0.680005",
    ),
    Mistake(
        "cached tokens not counted towards a threshold",  # 150000 × 2.50 + 60000 × 0.25, not 1.25 and 0.125
        "providers' own pages: the whole prompt decides",
        "google",
        "gemini-2.5-pro",
        {"promptTokenCount": 210_000, "cachedContentTokenCount": 60_000},
        right="0.39",
        wrong="0.195",
    ),
    Mistake(
        "cache writes left out",  # 1000 × 3 + 2000 × 3.75
        "BerriAI/litellm#33772",
        "anthropic",
        "claude-sonnet-4-6",
        {"input_tokens": 1000, "cache_creation_input_tokens": 2000, "output_tokens": 0},
        right="0.0105",
        wrong="0.003",
    ),
    Mistake(
        "OpenAI's cache writes charged as input",  # 8 × 4 + 4012 × 5 + 4 × 20
        "our own run on recorded answers: writes cost a quarter more from gpt-5.6 on",
        "openai",
        "gpt-5.6-sol",
        chat(4020, 4, prompt_tokens_details={"cache_write_tokens": 4012}),
        right="0.020172",
        wrong="0.01616",
    ),
    Mistake(
        "one-hour cache writes at a wrong price",  # 4000 × 6
        "BerriAI/litellm#38056 (12 times off)",
        "anthropic",
        "claude-sonnet-4-6",
        {
            "input_tokens": 0,
            "cache_creation_input_tokens": 4000,
            "cache_creation": {"ephemeral_1h_input_tokens": 4000, "ephemeral_5m_input_tokens": 0},
            "output_tokens": 0,
        },
        right="0.024",
        wrong="0.015",
    ),
    Mistake(
        "audio charged as text",  # 20 × 2.50 + 44 × 32 + 9 × 10
        "price data with text prices only, of which we take none for audio",
        "openai",
        "gpt-audio",
        chat(64, 9, prompt_tokens_details={"audio_tokens": 44}),
        right="0.001548",
        wrong="0.00025",
    ),
    Mistake(
        "a batch at nothing",  # 100000 × 2.50
        "BerriAI/litellm#35363, #19925",
        "anthropic",
        "claude-opus-4-5",
        {"input_tokens": 100_000, "output_tokens": 0, "service_tier": "batch"},
        right="0.25",
        wrong="0",
    ),
    Mistake(
        "today's price for what happened before a price change",  # 1000 × 10 + 1000 × 40 on 9 June 2025
        "langfuse/langfuse#12184, langfuse-docs#2018",
        "openai",
        "o3",
        chat(1000, 1000),
        right="0.05",
        wrong="0.01",
        time=datetime(2025, 6, 9, 12, tzinfo=UTC),
    ),
    Mistake(
        "more tokens than an integer of 32 bits holds",  # 5000000000 × 0.02
        "BerriAI/litellm#10379",
        "openai",
        "text-embedding-3-small",
        {"prompt_tokens": 5_000_000_000, "total_tokens": 5_000_000_000},
        right="100",
        wrong="0",
    ),
    Mistake(
        "off-peak hours without their date",  # 1000 × 0.435 + 1000 × 0.87: in July there were no hours yet
        "pydantic/genai-prices#582",
        "deepseek",
        "deepseek-v4-pro",
        chat(1000, 1000),
        right="0.001305",
        wrong="0.00528",
        time=datetime(2026, 7, 1, 2, tzinfo=UTC),
    ),
)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_call_costs_what_the_tariff_says_and_not_what_a_peer_made_of_it(
    prices: TenantPrices, mistake: Mistake
) -> None:
    event = UsageEvent(provider=mistake.provider, model=mistake.model, time=mistake.time, usage=mistake.usage)

    assert amount(prices, event) == mistake.right
    assert mistake.right != mistake.wrong
    assert mistake.reported


def test_an_unknown_model_costs_nobody_knows_what_and_never_nothing(prices: TenantPrices) -> None:
    """BerriAI/litellm#36561, #35914 ($1.16 for about $185), ccusage#1440."""
    cost = costed(prices, UsageEvent(provider="openai", model="gpt-77", usage=chat(1000, 1000)))

    assert (cost.status, cost.picos, cost.reason) == (CostStatus.UNPRICED, None, "unknown_model")


def test_an_unknown_tier_is_not_the_standard_one(prices: TenantPrices) -> None:
    """Portkey's and others' price data know one price for every tier."""
    event = UsageEvent(provider="openai", model="gpt-5", service_tier="scale", usage=chat(1000, 1000))

    assert costed(prices, event).reason == "tier_not_priced:scale"


def recorded_call(asked: dict[str, Any], answered: dict[str, Any]) -> bytes:
    request = {"url": "https://api.openai.com/v1/chat/completions", "body": {"model": "gpt-5", **asked}}
    body = {"object": "chat.completion", "model": "gpt-5", "created": int(NOVEMBER.timestamp()), **answered}
    recording = {
        "provider": "openai",
        "request": request,
        "response": {"status": 200, "json": {"id": "c1", **body}},
    }
    return json.dumps(recording).encode()


@pytest.mark.parametrize(
    ("asked", "answered", "right"),
    [
        # 1000 × 2.50 + 100 × 20 in priority; 1000 × 1.25 + 100 × 10 in the standard tier.
        ("flex", "priority", "0.0045"),
        ("priority", "default", "0.00225"),
        ("auto", "priority", "0.0045"),
        ("auto", "default", "0.00225"),
    ],
)
def test_the_tier_of_the_answer_decides_and_not_that_of_the_request(
    prices: TenantPrices, asked: str, answered: str, right: str
) -> None:
    """Langfuse chooses its price tier by the request's parameters (pricing-tiers/matcher.ts)."""
    call = recorded_call({"service_tier": asked}, {"service_tier": answered, "usage": chat(1000, 100)})
    event = read_answer(call).event

    assert event is not None
    assert amount(prices, event) == right


def test_a_stream_that_was_cut_is_billed_by_what_it_had_said(prices: TenantPrices) -> None:
    """BerriAI/litellm#13245, #14457, #30630: what a client hung up on was billed by nobody."""
    start = {"id": "m1", "model": "claude-sonnet-4-6", "usage": {"input_tokens": 500, "output_tokens": 1}}
    event = json.dumps({"type": "message_start", "message": start})
    reading = read_answer(f"event: message_start\ndata: {event}\n\n".encode())

    assert reading.event is not None
    assert reading.detail == CUT_STREAM
    assert amount(prices, reading.event) == "0.001515"  # 500 × 3 + 1 × 15


def test_a_reported_cost_stands_beside_ours_and_is_not_taken_for_it(prices: TenantPrices) -> None:
    """BerriAI/litellm#35829: `usage.cost` was trusted verbatim, whoever sent it."""
    usage = chat(10, 2, cost=999)
    event = UsageEvent(provider="openrouter", model="openai/gpt-4.1-mini", usage=usage)

    assert amount(prices, event) == "0.0000072"  # 10 × 0.40 + 2 × 1.60


def test_a_key_of_ones_own_is_not_free(prices: TenantPrices) -> None:
    """OpenRouter says `cost` 0 for it, while the upstream provider bills (12 of 51 recorded answers)."""
    details = {"upstream_inference_cost": 0.0002265}
    usage = chat(480, 33, cost=0, is_byok=True, cost_details=details)
    event = UsageEvent(provider="openrouter", model="google/gemini-2.5-flash", usage=usage)

    assert amount(prices, event) == "0.0002265"  # 480 × 0.30 + 33 × 2.50
    said = measure_usage(event).provider
    assert said is not None
    assert said.reported_cost is not None
    assert str(said.reported_cost.amount) == "0.0002265"


def test_growing_counts_of_a_stream_are_not_added_up(prices: TenantPrices) -> None:
    """ccusage#1728 (6.5 times too much), ai-tally#304: 62,000 spans counted twice."""
    chunks: list[dict[str, Any]] = [
        {
            "candidates": [{"index": 0}],
            "modelVersion": "gemini-2.5-pro",
            "responseId": "r1",
            "usageMetadata": {"promptTokenCount": 1000, "candidatesTokenCount": said},
        }
        for said in (10, 60, 100)
    ]
    event = read_answer(json.dumps(chunks).encode()).event

    assert event is not None
    assert amount(prices, event) == "0.00225"  # 1000 × 1.25 + 100 × 10, once


def test_one_answer_read_twice_is_one_event() -> None:
    """Agents write an answer to their log several times while it grows; its id is the provider's own."""
    growing = [{"object": "chat.completion", "id": "c1", "usage": chat(10, said)} for said in (1, 9)]
    ids = {reading.event_id for body in growing if (reading := read_answer(json.dumps(body).encode()).event)}

    assert ids == {"answer:c1"}


def test_azures_batch_costs_half_though_its_prices_are_openais(prices: TenantPrices) -> None:
    """genai-prices 0.2.3 ignores the batch where a provider charges another one's prices (our own run)."""
    event = UsageEvent(provider="azure", model="gpt-5", batch=True, usage=chat(1_000_000, 0))

    assert amount(prices, event) == "0.625"
