"""Cohere, watsonx and Ollama: what is billed, counts per result, counts in a last line."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bursar.errors import Invalid
from bursar.usage.formats.provider_answers import AnswerReading, read_answer
from bursar.usage.measure import measure_usage
from bursar.usage.providers.normalise import normalise_usage
from bursar.usage.providers.streams import fold_sse


def lines(*chunks: object) -> str:
    return "".join(json.dumps(chunk) + "\n" for chunk in chunks)


def read(body: object, provider: str | None = None) -> AnswerReading:
    return read_answer(body.encode() if isinstance(body, str) else json.dumps(body).encode(), provider)


def units_of(reading: AnswerReading) -> dict[str, int]:
    assert reading.event is not None, reading
    return measure_usage(reading.event).units


class TestCohere:
    def test_what_is_billed_counts_and_not_what_was_seen(self) -> None:
        usage = {"billed_units": {"input_tokens": 7}, "tokens": {"input_tokens": 69, "output_tokens": 2}}

        assert normalise_usage(usage).units == {"input_text": 7}

    def test_a_rerank_is_billed_by_its_searches(self) -> None:
        body = {"id": "r1", "results": [{"index": 0}], "meta": {"billed_units": {"search_units": 2}}}
        reading = read(body)

        assert units_of(reading) == {"searches": 2}
        assert reading.event is not None
        assert (reading.event.provider, reading.event.operation) == ("cohere", "rerank")

    def test_images_are_billed_by_tokens_or_by_the_piece(self) -> None:
        billed = {"input_tokens": 1, "image_tokens": 5, "images": 2}

        assert normalise_usage({"billed_units": billed}).units == {
            "input_text": 1,
            "input_image": 5,
            "images": 2,
        }

    def test_tokens_stand_in_where_nothing_is_said_to_be_billed(self) -> None:
        read = normalise_usage({"tokens": {"input_tokens": 69}}, "cohere")

        assert read.units == {"input_text": 69}
        assert read.notes == ("all_tokens_taken_as_billed",)

    def test_a_stream_that_broke_off_has_its_text_and_no_usage(self) -> None:
        start = {"type": "message-start", "id": "c1"}
        delta = {"type": "content-delta", "delta": {"message": {"content": {"text": "Ahoy"}}}}
        fold = fold_sse(lines(start, delta))

        assert fold is not None
        assert (fold.api, fold.answer, fold.is_complete, fold.text) == (
            "chat_v2",
            {"id": "c1"},
            False,
            "Ahoy",
        )

    def test_an_error_is_a_bare_message(self) -> None:
        reading = read({"message": "invalid api token"}, "cohere")

        assert reading.event is not None
        assert (reading.event.status, reading.event.message) == ("error", "invalid api token")


class TestWatsonx:
    def test_several_results_are_summed(self) -> None:
        results = [{"input_token_count": 7, "generated_token_count": 2, "generated_text": "x"}] * 3
        reading = read({"model_id": "ibm/granite", "results": results})

        assert units_of(reading) == {"input_text": 21, "output_text": 6}
        assert reading.event is not None
        assert (reading.event.provider, reading.event.model) == ("watsonx", "ibm/granite")
        assert "generated_text" not in str(reading.event.usage)

    def test_embeddings_are_counted_beside_their_results(self) -> None:
        body = {"model_id": "ibm/slate", "results": [{"embedding": [0.1]}], "input_token_count": 10}

        assert units_of(read(body, "watsonx")) == {"input_text": 10}

    def test_a_stream_repeats_its_counts_and_none_is_summed(self) -> None:
        def part(given: int, made: int, why: str) -> dict[str, Any]:
            result = {"input_token_count": given, "generated_token_count": made, "stop_reason": why}
            return {"model_id": "m", "results": [result]}

        parts = (part(5, 0, "not_finished"), part(0, 3, "not_finished"), part(0, 4, "eos_token"))
        reading = read("".join(f"data: {json.dumps(chunk)}\n\n" for chunk in parts), "watsonx")

        assert units_of(reading) == {"input_text": 5, "output_text": 4}
        assert not reading.detail

    def test_errors_come_as_a_list(self) -> None:
        reading = read(
            {"errors": [{"code": "model_not_supported", "message": "no"}], "trace": "t"}, "watsonx"
        )

        assert reading.event is not None
        assert (reading.event.status, reading.event.error_code) == ("error", "model_not_supported")


class TestOllama:
    def test_the_last_line_of_its_stream_has_the_counts(self) -> None:
        first = {
            "model": "llama3.2",
            "created_at": "2026-01-01T00:00:00Z",
            "message": {"content": "Hi"},
            "done": False,
        }
        last = first | {"done": True, "message": {"content": ""}, "prompt_eval_count": 26, "eval_count": 9}
        reading = read(lines(first, last))

        assert units_of(reading) == {"input_text": 26, "output_text": 9}
        assert not reading.detail

    def test_an_answer_in_its_own_shape_is_its_own(self) -> None:
        reading = read(
            {"model": "m", "response": "Hi", "done": True, "prompt_eval_count": 2, "eval_count": 1}
        )

        assert units_of(reading) == {"input_text": 2, "output_text": 1}
        assert reading.event is not None
        assert reading.event.provider == "ollama"

    def test_two_answers_with_one_of_its_thousand_ids_are_two_events(self) -> None:
        usage = {"prompt_tokens": 1, "completion_tokens": 1}
        body = {"id": "chatcmpl-887", "object": "chat.completion", "usage": usage}
        one, other = read(body, "ollama"), read({**body, "created": 7}, "ollama")

        assert one.event is not None
        assert other.event is not None
        assert one.event.event_id != other.event.event_id


@pytest.mark.parametrize(
    ("usage", "provider"),
    [
        ({"billed_units": {"input_tokens": -1}}, "cohere"),
        ({"results": [{"input_token_count": "7"}]}, "watsonx"),
        ({"eval_count": 1.5}, "ollama"),
    ],
)
def test_counts_that_cannot_be_are_refused(usage: dict[str, Any], provider: str) -> None:
    with pytest.raises(Invalid):
        normalise_usage(usage, provider)
