"""What stands beside the usage object counts too: tools by the call, images by the piece, other streams."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from bursar.pricing.books import PriceBooks
from bursar.pricing.genai_source import load_book
from bursar.pricing.rating import CostStatus
from bursar.usage.costing import cost_event
from bursar.usage.event import UsageEvent
from bursar.usage.formats.provider_answers import AnswerReading, read_answer
from bursar.usage.measure import Measured, measure_usage

USAGE = {"input_tokens": 10, "output_tokens": 2, "total_tokens": 12}
CHAT_USAGE = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}


def read(body: object, provider: str | None = None) -> AnswerReading:
    return read_answer(json.dumps(body).encode(), provider)


def read_stream(*chunks: object, provider: str | None = None) -> AnswerReading:
    return read_answer("".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks).encode(), provider)


def event_in(reading: AnswerReading) -> UsageEvent:
    assert reading.event is not None, reading
    return reading.event


def measured(reading: AnswerReading) -> Measured:
    return measure_usage(event_in(reading))


class TestTools:
    def test_openais_calls_of_files_and_code_are_counted_and_opened_pages_are_not(self) -> None:
        output: list[dict[str, Any]] = [
            {"type": "file_search_call"},
            {"type": "code_interpreter_call"},
            {"type": "file_search_call"},
            {"type": "image_generation_call"},
            {"type": "web_search_call", "action": {"type": "search"}},
            {"type": "web_search_call", "action": {"type": "open_page"}},
        ]

        counted = measured(read({"object": "response", "output": output, "usage": USAGE}, "openai"))

        assert counted.units == {"input_text": 10, "output_text": 2, "searches": 1}
        assert counted.custom == {
            "file_searches": 2_000_000,
            "code_executions": 1_000_000,
            "image_generations": 1_000_000,
        }

    def test_groqs_executed_tools_are_counted_by_kind(self) -> None:
        tools = [{"type": kind} for kind in ("search", "search", "visit", "python", "unheard-of")]
        body = {"object": "chat.completion", "choices": [{"message": {"executed_tools": tools}}]}

        counted = measured(read({**body, "usage": CHAT_USAGE}, "groq"))

        assert counted.units["searches"] == 2
        assert counted.custom == {"website_visits": 1_000_000, "code_executions": 1_000_000}


class TestImages:
    def test_images_without_a_usage_object_are_counted_by_the_piece(self) -> None:
        reading = read({"created": 1700000000, "data": [{"url": "a"}, {"b64_json": "b"}]}, "openai")

        assert reading.reason is None
        assert measured(reading).units == {"images": 2}

    def test_images_with_one_are_counted_by_their_tokens(self) -> None:
        details = {"input_tokens_details": {"text_tokens": 10, "image_tokens": 0}}
        reading = read({"data": [{"b64_json": "b"}], "usage": {**USAGE, **details}}, "openai")

        assert measured(reading).units == {"input_text": 10, "output_image": 2}

    def test_embeddings_are_no_images(self) -> None:
        reading = read({"object": "list", "data": [{"embedding": [0.5]}], "usage": {"prompt_tokens": 4}})

        assert measured(reading).units == {"input_text": 4}


def test_a_moderation_is_one_request_whose_price_is_known_to_be_nothing() -> None:
    body = {
        "id": "modr-1",
        "model": "omni-moderation-latest",
        "results": [{"flagged": False}, {"flagged": True}],
    }
    reading = read(body, "openai")
    event = event_in(reading)
    prices = PriceBooks(load_book()).of("acme")

    assert (reading.reason, event.operation, measured(reading).units) == (
        None,
        "moderations",
        {"requests": 1},
    )
    costed = cost_event(prices, event, measured(reading), datetime(2026, 11, 2, tzinfo=UTC))
    assert (costed.status, costed.picos) == (CostStatus.PRICED, 0)


@pytest.mark.parametrize(
    ("item", "operation"),
    [
        ({"embedding": [0.5]}, "embeddings"),
        ({"url": "a"}, "image_generation"),
        ({"b64_json": ""}, "image_generation"),
    ],
)
def test_a_list_tells_by_its_items_what_was_done(item: dict[str, Any], operation: str) -> None:
    assert event_in(read({"data": [item], "usage": CHAT_USAGE}, "openai")).operation == operation


class TestMedia:
    def test_a_streamed_transcription_has_its_usage_in_the_last_event(self) -> None:
        details = {"input_token_details": {"audio_tokens": 8, "text_tokens": 2}}

        reading = read_stream(
            {"type": "transcript.text.delta", "delta": "Hi"},
            {"type": "transcript.text.done", "text": "Hi", "usage": {"type": "tokens", **USAGE, **details}},
        )

        assert event_in(reading).operation == "speech_to_text"
        assert reading.detail == ""
        assert measured(reading).units == {"input_text": 2, "input_audio": 8, "output_text": 2}

    def test_a_transcription_by_the_second_keeps_its_fraction(self) -> None:
        reading = read({"text": "Hi", "usage": {"type": "duration", "seconds": 8.47}}, "openai")

        assert measured(reading).units == {"seconds": 8_470_000}

    def test_streamed_speech_and_pictures_too(self) -> None:
        speech = read_stream({"type": "speech.audio.done", "usage": USAGE})
        picture = read_stream(
            {
                "type": "image_generation.completed",
                "usage": {**USAGE, "input_tokens_details": {"image_tokens": 0}},
            }
        )

        assert (event_in(speech).operation, measured(speech).units["output_text"]) == ("text_to_speech", 2)
        assert measured(picture).units == {"input_text": 10, "output_image": 2}


class TestRealtime:
    DONE: dict[str, Any] = {  # noqa: RUF012 - a constant
        "type": "response.done",
        "response": {
            "id": "resp_1",
            "object": "realtime.response",
            "usage": {
                **USAGE,
                "input_token_details": {
                    "cached_tokens": 6,
                    "text_tokens": 7,
                    "audio_tokens": 3,
                    "cached_tokens_details": {"text_tokens": 6, "audio_tokens": 0},
                },
                "output_token_details": {"text_tokens": 0, "audio_tokens": 2},
            },
        },
    }

    def test_the_event_that_ends_a_response_is_its_answer(self) -> None:
        reading = read(self.DONE, "openai")

        assert event_in(reading).event_id == "openai:resp_1"
        assert measured(reading).units == {
            "input_text": 1,
            "input_audio": 3,
            "cache_read_text": 6,
            "output_audio": 2,
        }

    def test_a_sessions_responses_are_each_billed(self) -> None:
        reading = read_stream({"type": "session.created"}, self.DONE, self.DONE)

        assert event_in(reading).operation == "realtime"
        assert measured(reading).units == {
            "input_text": 2,
            "input_audio": 6,
            "cache_read_text": 12,
            "output_audio": 4,
        }


@pytest.mark.parametrize(
    ("url", "headers", "provider"),
    [
        ("https://router.huggingface.co/together/v1/chat/completions", {}, "huggingface_together"),
        (
            "https://router.huggingface.co/v1/chat/completions",
            {"X-Inference-Provider": "Nebius"},
            "huggingface_nebius",
        ),
        ("https://router.huggingface.co/v1/chat/completions", {}, "huggingface"),
        ("https://elsewhere.example/together/v1/chat/completions", {}, "huggingface"),
    ],
)
def test_whoever_hugging_face_asked_is_who_bills(url: str, headers: dict[str, str], provider: str) -> None:
    body = {"object": "chat.completion", "usage": CHAT_USAGE}
    response = {"status": 200, "headers": headers, "json": body}

    event = event_in(read({"provider": "huggingface", "request": {"url": url}, "response": response}))

    assert event.provider == provider


def test_groqs_streams_say_usage_under_a_name_of_their_own() -> None:
    reading = read_stream(
        {"choices": [{"delta": {"content": "Hi"}}], "x_groq": {"id": "req_1"}},
        {"choices": [{"finish_reason": "stop"}], "x_groq": {"id": "req_1", "usage": CHAT_USAGE}},
        provider="groq",
    )

    assert reading.reason is None
    assert measured(reading).units == {"input_text": 10, "output_text": 2}


def test_xais_grpc_chunks_repeat_their_counts_and_none_is_summed() -> None:
    def chunk(said: int, reason: str = "") -> dict[str, Any]:
        usage = {**CHAT_USAGE, "prompt_text_tokens": 10, "completion_tokens": said, "total_tokens": 10 + said}
        return {"model": "grok-4.3", "outputs": [{"delta": {}, "finish_reason": reason}], "usage": usage}

    reading = read_stream(chunk(1), chunk(2), chunk(3, "REASON_STOP"), provider="xai")

    assert reading.detail == ""
    assert measured(reading).units == {"input_text": 10, "output_text": 3}
    assert event_in(reading).model == "grok-4.3"


def test_what_the_caller_counted_otherwise_is_a_contradiction() -> None:
    event = UsageEvent(
        provider="xai",
        usage={**CHAT_USAGE, "server_side_tool_usage_details": {"x_search_calls": 2}},
        units={"social_searches": Decimal(2)},
    )

    assert measure_usage(event).custom == {"social_searches": 2_000_000}
