"""Errors, in the words of each provider, are failed events without usage and without cost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bursar.usage.formats.provider_answers import AnswerReading, read_answer
from bursar.usage.measure import measure_usage

ERRORS: list[tuple[str, dict[str, Any], str | None, str]] = [
    # OpenAI, and those that imitate it
    (
        "openai",
        {"error": {"message": "m", "type": "t", "param": None, "code": "rate_limit"}},
        "rate_limit",
        "m",
    ),
    ("azure", {"error": {"code": "401", "message": "m"}}, "401", "m"),
    ("azure", {"statusCode": 401, "message": "m"}, "401", "m"),
    ("groq", {"error": {"message": "m", "type": "invalid_request_error"}}, "invalid_request_error", "m"),
    ("deepseek", {"error": {"message": "m", "code": "invalid_request_error"}}, "invalid_request_error", "m"),
    ("openrouter", {"error": {"code": 402, "message": "m"}, "user_id": "u"}, "402", "m"),
    ("together", {"id": "x", "error": {"message": "m", "type": "t", "code": None}}, "t", "m"),
    ("cerebras", {"message": "m", "type": "t", "param": "p", "code": "wrong_api_key"}, "wrong_api_key", "m"),
    ("zai", {"error": {"code": "1113", "message": "m"}}, "1113", "m"),
    ("xai", {"code": "The caller is unknown", "error": "m"}, "The caller is unknown", "m"),
    ("huggingface", {"error": "m"}, None, "m"),
    ("mistral", {"object": "error", "message": "m", "type": "t", "code": 1500}, "t", "m"),
    ("mistral", {"detail": [{"loc": ["body"], "msg": "m", "type": "missing"}]}, "missing", "m"),
    ("voyage", {"detail": "m"}, None, "m"),
    ("snowflake", {"message": "m", "code": "390101", "request_id": "r"}, "390101", "m"),
    ("writer", {"errors": [{"description": "m", "key": "fail.invalid"}], "tpe": "x"}, "fail.invalid", "m"),
    # with words of their own
    (
        "anthropic",
        {"type": "error", "error": {"type": "overloaded_error", "message": "m"}},
        "overloaded_error",
        "m",
    ),
    (
        "gemini",
        {"error": {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED"}},
        "RESOURCE_EXHAUSTED",
        "m",
    ),
    ("vertex", {"error": {"code": 403, "message": "m", "status": "DENIED"}}, "DENIED", "m"),
    ("bedrock", {"message": "m"}, None, "m"),
    ("bedrock", {"__type": "ValidationException", "message": "m"}, "ValidationException", "m"),
    ("cohere", {"id": "x", "message": "m"}, None, "m"),
    ("watsonx", {"errors": [{"code": "no_model", "message": "m"}], "status_code": 404}, "no_model", "m"),
    ("ollama", {"error": "m"}, None, "m"),
]


def told(reading: AnswerReading) -> tuple[str | None, str | None, str | None]:
    event = reading.event
    assert event is not None, reading
    assert reading.reason == "error_answer"
    measured = measure_usage(event)
    assert (measured.units, measured.source) == ({}, None)
    return event.status, event.error_code, event.message


@pytest.mark.parametrize(("provider", "body", "code", "message"), ERRORS)
def test_a_bare_error_is_a_failed_event(
    provider: str, body: dict[str, Any], code: str | None, message: str
) -> None:
    assert told(read_answer(json.dumps(body).encode(), provider)) == ("error", code, message)


@pytest.mark.parametrize(("provider", "body", "code", "message"), ERRORS)
@pytest.mark.parametrize("status", [400, 429, 500, 529])
def test_a_recorded_error_has_its_status_where_it_says_no_code(
    provider: str, body: dict[str, Any], code: str | None, message: str, status: int
) -> None:
    recording = {"provider": provider, "request": {}, "response": {"status": status, "json": body}}

    assert told(read_answer(json.dumps(recording).encode())) == ("error", code or str(status), message)


def test_a_list_with_one_error_is_an_error_as_gemini_streams_it() -> None:
    body = [{"error": {"code": 400, "message": "m", "status": "INVALID_ARGUMENT"}}]

    assert told(read_answer(json.dumps(body).encode(), "gemini")) == ("error", "INVALID_ARGUMENT", "m")


def test_an_answer_that_was_refused_after_it_was_counted_stays_billed() -> None:
    usage = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
    choice = {"finish_reason": "content_filter", "message": {"refusal": "I can't help."}}
    body = {"id": "c", "object": "chat.completion", "choices": [choice], "usage": usage}
    reading = read_answer(json.dumps(body).encode(), "openai")

    assert reading.event is not None
    assert reading.event.status == "ok"
    assert measure_usage(reading.event).units == {"input_text": 12, "output_text": 3}


def test_a_failed_response_that_was_counted_stays_billed() -> None:
    usage = {"input_tokens": 12, "output_tokens": 3, "total_tokens": 15}
    error = {"code": "server_error", "message": "m"}
    body = {"id": "r", "object": "response", "status": "failed", "error": error, "usage": usage}
    reading = read_answer(json.dumps(body).encode(), "openai")

    assert reading.event is not None
    assert (reading.event.status, reading.event.error_code) == ("error", "server_error")
    assert measure_usage(reading.event).units == {"input_text": 12, "output_text": 3}


@pytest.mark.parametrize("body", [{"message": "hello"}, {"detail": "x"}, {"code": 5}, {}])
def test_a_message_of_nobody_knows_whom_is_no_error(body: dict[str, Any]) -> None:
    assert read_answer(json.dumps(body).encode()).event is None
