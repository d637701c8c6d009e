"""A file of a batch's results gives an event for each line, at the price of batches; no other file does."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from bursar.money import format_picos
from bursar.pricing.books import PriceBooks
from bursar.pricing.genai_source import load_book
from bursar.usage.costing import cost_event
from bursar.usage.formats.provider_answers import AnswerReading, read_answers
from bursar.usage.measure import measure_usage

if TYPE_CHECKING:
    from pathlib import Path

NOVEMBER = datetime(2026, 11, 2, tzinfo=UTC)


def openais(custom_id: str, prompt: int) -> dict[str, Any]:
    usage = {"prompt_tokens": prompt, "completion_tokens": 100, "total_tokens": prompt + 100}
    answer = {"id": f"chatcmpl-{custom_id}", "object": "chat.completion", "model": "gpt-5", "usage": usage}
    body = {**answer, "created": int(NOVEMBER.timestamp()), "service_tier": "default"}
    response = {"status_code": 200, "request_id": "r", "body": body}
    return {"id": "batch_req_1", "custom_id": custom_id, "response": response, "error": None}


def anthropics(custom_id: str, kind: str = "succeeded", **result: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    return {"custom_id": custom_id, "result": {"type": kind, **result}}


MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "model": "claude-sonnet-4-6",
    "usage": {"input_tokens": 1000, "output_tokens": 100},
}


def readings(folder: Path, *lines: object, provider: str | None = None) -> dict[str, AnswerReading]:
    (folder / "out.jsonl").write_text("\n".join(json.dumps(line) for line in lines) + "\n")
    return {path.name: reading for path, reading in read_answers(folder, provider)}


def cost(reading: AnswerReading) -> str:
    event = reading.event
    assert event is not None
    prices = PriceBooks(load_book()).of("acme")
    costed = cost_event(prices, event, measure_usage(event), event.time or NOVEMBER)
    assert costed.picos is not None, costed.reason
    return format_picos(costed.picos)


def test_each_line_is_an_event_at_half_the_price(tmp_path: Path) -> None:
    read = readings(tmp_path, openais("a", 1000), openais("b", 2000), provider="openai")

    assert list(read) == ["out.jsonl:1", "out.jsonl:2"]
    # 1000 × 0.625 + 100 × 5, and 2000 × 0.625 + 100 × 5, for a million.
    assert [cost(reading) for reading in read.values()] == ["0.001125", "0.00175"]
    assert {reading.event.event_id for reading in read.values() if reading.event} == {
        "openai:chatcmpl-a",
        "openai:chatcmpl-b",
    }


def test_anthropics_lines_are_read_too(tmp_path: Path) -> None:
    read = readings(tmp_path, anthropics("a", message=MESSAGE))

    # 1000 × 1.50 + 100 × 7.50 for a million.
    assert cost(read["out.jsonl:1"]) == "0.00225"
    event = read["out.jsonl:1"].event
    assert event is not None
    assert event.provider == "anthropic"


@pytest.mark.parametrize(
    "line",
    [
        {"custom_id": "a", "response": None, "error": {"code": "batch_expired", "message": "Too late."}},
        anthropics("a", "expired"),
        anthropics(
            "a", "errored", error={"type": "error", "error": {"type": "invalid_request", "message": "No."}}
        ),
    ],
)
def test_a_request_without_an_answer_costs_nothing(tmp_path: Path, line: dict[str, Any]) -> None:
    reading = readings(tmp_path, line)["out.jsonl:1"]

    assert reading.reason == "error_answer"
    assert cost(reading) == "0"


def test_a_torn_line_spoils_no_other(tmp_path: Path) -> None:
    text = f"{json.dumps(openais('a', 1000))}\n{{torn\n\n{json.dumps(openais('b', 2000))}"
    (tmp_path / "out.jsonl").write_text(text)

    read = {path.name: reading for path, reading in read_answers(tmp_path, "openai")}

    assert {name: reading.reason for name, reading in read.items()} == {
        "out.jsonl:1": None,
        "out.jsonl:2": "unreadable_file",
        "out.jsonl:4": None,
    }


def test_an_answer_that_speaks_of_a_custom_id_is_one_answer(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(json.dumps({**MESSAGE, "custom_id": "x"}, indent=1))

    assert [path.name for path, _ in read_answers(tmp_path)] == ["one.json"]
