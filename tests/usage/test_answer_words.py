"""Tier, batch, speed, region and prompt size come from the answer; what was asked for counts for nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from bursar.usage.costing import subject_of
from bursar.usage.event import UsageEvent
from bursar.usage.formats.provider_answers import read_answer
from bursar.usage.measure import measure_usage

if TYPE_CHECKING:
    from bursar.pricing.rating import PricingSubject

ASKED = {
    "service_tier": "flex",
    "serviceTier": {"type": "flex"},
    "speed": "fast",
    "performanceConfig": {"latency": "optimized"},
    "inference_geo": "us",
    "batch": True,
    "region": "eu",
    "generationConfig": {"serviceTier": "SERVICE_TIER_FLEX"},
}
"""All the words in which providers are asked, at once."""
OPENAI = {"prompt_tokens": 5, "completion_tokens": 1}
ANTHROPIC = {"input_tokens": 5, "output_tokens": 1}
GEMINI = {"promptTokenCount": 5, "candidatesTokenCount": 1, "totalTokenCount": 6}
BEDROCK = {"inputTokens": 5, "outputTokens": 1, "totalTokens": 6}


def subject_for(provider: str, answer: dict[str, Any], **request: Any) -> PricingSubject:  # noqa: ANN401 - any JSON
    recording = {
        "provider": provider,
        "request": {"body": ASKED, "body_summary": ASKED, **request},
        "response": {"status": 200, "json": answer},
    }
    event = read_answer(json.dumps(recording).encode()).event
    assert event is not None
    return subject_of(event, measure_usage(event), datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("provider", "answer", "said"),
    [
        ("openai", {"usage": OPENAI, "service_tier": "default"}, ("default", False, None, None)),
        ("groq", {"usage": OPENAI, "service_tier": "on_demand"}, ("on_demand", False, None, None)),
        (
            "anthropic",
            {
                "usage": {
                    **ANTHROPIC,
                    "service_tier": "standard",
                    "speed": "standard",
                    "inference_geo": "global",
                }
            },
            ("standard", False, "standard", "global"),
        ),
        ("anthropic", {"usage": {**ANTHROPIC, "service_tier": "batch"}}, ("batch", True, None, None)),
        ("gemini", {"usageMetadata": {**GEMINI, "serviceTier": "STANDARD"}}, ("standard", False, None, None)),
        (
            "vertex",
            {"usageMetadata": {**GEMINI, "trafficType": "ON_DEMAND"}},
            ("standard", False, None, None),
        ),
        ("bedrock", {"usage": BEDROCK, "serviceTier": {"type": "default"}}, ("default", False, None, None)),
    ],
)
def test_the_answers_words_count(
    provider: str, answer: dict[str, Any], said: tuple[str | None, bool, str | None, str | None]
) -> None:
    subject = subject_for(provider, answer)

    assert (subject.service_tier, subject.batch, subject.speed, subject.region) == said


@pytest.mark.parametrize(
    ("provider", "answer"),
    [
        ("openai", {"usage": OPENAI}),
        ("anthropic", {"usage": ANTHROPIC}),
        ("gemini", {"usageMetadata": GEMINI}),
        ("bedrock", {"usage": BEDROCK}),
        ("cohere", {"usage": {"billed_units": {"input_tokens": 5}}}),
        ("mistral", {"usage": OPENAI}),
    ],
)
def test_what_the_answer_does_not_say_is_not_taken_from_the_request(
    provider: str, answer: dict[str, Any]
) -> None:
    subject = subject_for(provider, answer)

    assert (subject.service_tier, subject.batch, subject.speed, subject.region) == (None, False, None, None)


def test_the_region_is_where_the_call_was_answered() -> None:
    url = "https://bedrock-runtime.eu-central-1.amazonaws.com/model/m/converse"

    assert subject_for("bedrock", {"usage": BEDROCK}, url=url).region == "eu-central-1"


def test_the_prompts_size_is_counted_in_the_answer() -> None:
    """Gemini's long prompts: what tools return comes on top of the prompt that decides the price."""
    usage = {"promptTokenCount": 100, "toolUsePromptTokenCount": 900, "totalTokenCount": 1000}

    assert subject_for("gemini", {"usageMetadata": usage}).context_tokens == 100


def test_a_usage_objects_own_words_go_before_those_beside_it() -> None:
    usage = {**ANTHROPIC, "service_tier": "standard", "speed": "standard", "inference_geo": "us"}
    event = UsageEvent(
        provider="anthropic", usage=usage, service_tier="priority", speed="fast", region="global", batch=True
    )
    subject = subject_of(event, measure_usage(event), datetime(2026, 1, 1, tzinfo=UTC))

    assert (subject.service_tier, subject.speed, subject.region, subject.batch) == (
        "standard",
        "standard",
        "us",
        False,
    )


BATCH_LINES: list[tuple[str, dict[str, Any]]] = [
    (
        "openai",
        {
            "id": "batch_req_1",
            "custom_id": "a",
            "response": {"status_code": 200, "request_id": "r", "body": {"id": "c1", "usage": OPENAI}},
            "error": None,
        },
    ),
    (
        "anthropic",
        {
            "custom_id": "a",
            "result": {"type": "succeeded", "message": {"id": "c1", "type": "message", "usage": ANTHROPIC}},
        },
    ),
    ("gemini", {"key": "a", "response": {"responseId": "c1", "usageMetadata": GEMINI}}),
    ("bedrock", {"recordId": "a", "modelInput": {}, "modelOutput": {"id": "c1", "usage": BEDROCK}}),
]


@pytest.mark.parametrize(("provider", "line"), BATCH_LINES)
def test_a_line_of_a_batchs_results_has_the_batchs_price(provider: str, line: dict[str, Any]) -> None:
    event = read_answer(json.dumps(line).encode(), provider).event

    assert event is not None
    assert (event.event_id, event.batch) == (f"{event.provider}:c1", True)
    measured = measure_usage(event)
    assert measured.units == {"input_text": 5, "output_text": 1}
    assert subject_of(event, measured, datetime(2026, 1, 1, tzinfo=UTC)).batch


@pytest.mark.parametrize(
    ("provider", "line", "code"),
    [
        (
            "openai",
            {
                "custom_id": "a",
                "response": {"status_code": 400, "body": {"error": {"code": "bad", "message": "m"}}},
            },
            "bad",
        ),
        ("openai", {"custom_id": "a", "response": None, "error": {"code": "batch_expired"}}, "batch_expired"),
        (
            "anthropic",
            {
                "custom_id": "a",
                "result": {"type": "errored", "error": {"type": "error", "error": {"type": "bad"}}},
            },
            "bad",
        ),
        ("anthropic", {"custom_id": "a", "result": {"type": "expired"}}, "expired"),
    ],
)
def test_a_request_of_a_batch_that_failed_is_a_failed_event(
    provider: str, line: dict[str, Any], code: str
) -> None:
    event = read_answer(json.dumps(line).encode(), provider).event

    assert event is not None
    assert (event.status, event.error_code, event.batch) == ("error", code, True)
