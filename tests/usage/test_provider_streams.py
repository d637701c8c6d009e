"""Streams fold into the answer that would have come unstreamed, however they were cut or written."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.usage.providers.streams import FoldedStream, fold_chunks, fold_sse, sse_data


def sse(*chunks: object) -> str:
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)


def folded(text: str) -> FoldedStream:
    fold = fold_sse(text)
    assert fold is not None
    return fold


def start(**usage: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    return {"type": "message_start", "message": {"id": "msg_1", "model": "claude-x", "usage": usage}}


def delta(**usage: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    return {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}


class TestServerSentEvents:
    def test_several_data_lines_are_one(self) -> None:
        assert list(sse_data('data: {"a":\ndata: 1}\n\n')) == ['{"a":\n1}']

    def test_comments_and_other_fields_are_passed_over(self) -> None:
        assert list(sse_data(": keep-alive\nevent: x\nid: 7\nretry: 5\ndata:y\n\n")) == ["y"]

    def test_the_last_event_needs_no_blank_line(self) -> None:
        assert list(sse_data("data: a\n\ndata: b")) == ["a", "b"]

    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    def test_every_line_end_is_one(self, end: str) -> None:
        assert list(sse_data(f"\ufeffdata: a{end}{end}data: b{end}{end}")) == ["a", "b"]

    def test_line_ends_of_unicode_belong_to_the_data(self) -> None:
        assert list(sse_data("data: a\u2028b\x85c\x0bd\n\n")) == ["a\u2028b\x85c\x0bd"]


class TestChat:
    def test_usage_comes_in_a_last_chunk_without_choices(self) -> None:
        usage = {"prompt_tokens": 5, "completion_tokens": 2}
        chunk: dict[str, Any] = {
            "id": "c1",
            "created": 7,
            "model": "m",
            "service_tier": "flex",
            "choices": [],
            "usage": None,
        }

        fold = folded(sse(chunk, chunk | {"usage": usage}) + "data: [DONE]\n\n")

        assert fold.api == "chat"
        assert fold.answer == {
            "id": "c1",
            "created": 7,
            "model": "m",
            "service_tier": "flex",
            "usage": usage,
        }

    def test_azures_empty_first_chunk_hides_nothing(self) -> None:
        first: dict[str, Any] = {"choices": [], "created": 0, "id": "", "model": ""}
        second = {"choices": [{"finish_reason": "stop"}], "created": 7, "id": "c1", "model": "m"}

        fold = folded(sse(first, second))

        assert fold.answer == {"id": "c1", "created": 7, "model": "m"}
        assert fold.is_complete


class TestResponses:
    @pytest.mark.parametrize("end", ["completed", "incomplete", "failed"])
    def test_the_last_state_of_the_response_is_the_answer(self, end: str) -> None:
        usage = {"input_tokens": 5, "output_tokens": 2}
        created = {"type": "response.created", "response": {"id": "r1", "usage": None}}
        last = {"type": f"response.{end}", "response": {"id": "r1", "usage": usage}}

        fold = folded(sse(created, last))

        assert fold == FoldedStream("responses", {"id": "r1", "usage": usage}, is_complete=True)

    def test_a_cut_stream_keeps_what_it_had(self) -> None:
        created = {"type": "response.created", "response": {"id": "r1", "status": "in_progress"}}

        assert folded(sse(created)).answer == {"id": "r1", "status": "in_progress"}
        assert not folded(sse(created)).is_complete

    def test_an_error_event_is_the_answers_error(self) -> None:
        created = {"type": "response.created", "response": {"id": "r1"}}
        error = {"type": "error", "code": "rate_limit", "message": "slow down"}

        assert folded(sse(created, error)).answer["error"]["code"] == "rate_limit"


class TestMessages:
    def test_the_last_value_of_each_field_wins(self) -> None:
        fold = folded(
            sse(
                start(input_tokens=2694, output_tokens=1, service_tier="standard", cache_creation={"x": 0}),
                delta(input_tokens=5000, output_tokens=90),
                delta(input_tokens=11665, output_tokens=186, cache_read_input_tokens=None),
            )
        )

        assert fold.answer == {
            "id": "msg_1",
            "model": "claude-x",
            "usage": {
                "input_tokens": 11665,
                "output_tokens": 186,
                "service_tier": "standard",
                "cache_creation": {"x": 0},
            },
        }

    @pytest.mark.parametrize(
        ("five_minutes", "one_hour", "later", "settled"),
        [
            (100, 0, 100, (100, 0)),
            (100, 0, 150, (150, 0)),
            (0, 100, 150, (0, 150)),
            (40, 60, 150, (90, 60)),
            (40, 60, 0, (0, 0)),
        ],
    )
    def test_the_split_of_cache_writes_follows_their_last_total(
        self, five_minutes: int, one_hour: int, later: int, settled: tuple[int, int]
    ) -> None:
        split = {"ephemeral_5m_input_tokens": five_minutes, "ephemeral_1h_input_tokens": one_hour}

        fold = folded(sse(start(cache_creation=split), delta(cache_creation_input_tokens=later)))

        assert fold.answer["usage"]["cache_creation"] == {
            "ephemeral_5m_input_tokens": settled[0],
            "ephemeral_1h_input_tokens": settled[1],
        }

    def test_a_stream_cut_after_its_start_keeps_the_starts_usage(self) -> None:
        text = sse(start(input_tokens=9, output_tokens=1)) + 'data: {"type": "message_del'

        assert folded(text).answer["usage"] == {"input_tokens": 9, "output_tokens": 1}
        assert not folded(text).is_complete

    def test_an_error_in_the_middle_is_kept_beside_the_usage(self) -> None:
        error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}

        fold = folded(sse(start(input_tokens=9), error))

        assert fold.answer["error"]["type"] == "overloaded_error"
        assert fold.answer["usage"] == {"input_tokens": 9}

    def test_a_fallback_block_names_the_model_of_the_answer(self) -> None:
        block = {"type": "fallback", "from": {"model": "claude-x"}, "to": {"model": "claude-y"}}

        fold = folded(sse(start(), {"type": "content_block_start", "content_block": block}))

        assert fold.answer["model"] == "claude-y"


class TestGemini:
    def test_the_last_usage_is_the_usage(self) -> None:
        chunks: list[dict[str, Any]] = [
            {"candidates": [{}], "usageMetadata": {"promptTokenCount": 89, "candidatesTokenCount": 4}},
            {"candidates": [{"finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 121}},
        ]

        fold = fold_chunks(chunks)

        assert fold == FoldedStream(
            "generateContent", {"usageMetadata": {"promptTokenCount": 121}}, is_complete=True
        )
        assert fold == folded(sse(*chunks))

    def test_queries_to_google_search_are_kept(self) -> None:
        grounding = {"groundingMetadata": {"webSearchQueries": ["a", "b"]}}
        chunks = [{"candidates": [grounding]}, {"candidates": [{"finishReason": 1}], "modelVersion": "g"}]

        assert folded(sse(*chunks)).answer == {"candidates": [grounding], "modelVersion": "g"}


@pytest.mark.parametrize(
    "text", ["", "data: [DONE]\n\n", 'data: {"type": "ping"}\n\n', "hello", "data: 5\n\n"]
)
def test_a_stream_of_nobody_is_nothing(text: str) -> None:
    assert fold_sse(text) is None


def test_a_stream_that_only_broke_is_its_error() -> None:
    fold = folded(sse({"type": "error", "error": {"type": "overloaded_error"}}))

    assert fold == FoldedStream("", {"error": {"type": "overloaded_error"}}, is_complete=False)


CHUNKS = st.lists(
    st.dictionaries(
        st.sampled_from(
            re.findall(
                r"\w+",
                "type message usage choices response error candidates usageMetadata event_type interaction "
                "delta content_block id model",
            )
        ),
        st.sampled_from(
            ["message_start", "message_delta", "response.completed", "interaction.completed", "completion"]
        )
        | st.none()
        | st.integers()
        | st.lists(st.integers(), max_size=1)
        | st.dictionaries(
            st.sampled_from(["usage", "to", "model", "cache_creation"]), st.integers() | st.none()
        )
        | st.lists(st.none() | st.dictionaries(st.just("groundingMetadata"), st.integers()), max_size=2),
        max_size=5,
    ),
    max_size=5,
)


@given(CHUNKS)
def test_any_chunks_fold_or_are_nobodys(chunks: list[dict[str, Any]]) -> None:
    fold = fold_chunks(chunks)

    assert fold is None or isinstance(fold.answer, dict)


@given(st.text())
def test_any_text_folds_or_is_nobodys(text: str) -> None:
    assert fold_sse(text) is None or "{" in text
