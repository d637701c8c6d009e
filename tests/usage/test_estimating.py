"""Tokens that nobody counted are estimated by a named method, and what they cost is never called priced."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from bursar.errors import Invalid
from bursar.usage.event import Estimate, UsageEvent
from bursar.usage.formats.asked_text import asked_text
from bursar.usage.formats.estimating import TokenEstimate, estimate_tokens, kind_of_text
from bursar.usage.formats.provider_answers import AnswerReading, read_answer
from bursar.usage.measure import measure_usage

CL100K = "https://openaipublic.blob.core.windows.net/encodings/cl100k_base.tiktoken"
ENGLISH = "The quick brown fox jumps over the lazy dog."


@pytest.fixture(autouse=True)
def no_encodings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR", raising=False)


@pytest.fixture
def with_cl100k(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with OpenAI's own file of one encoding, as tiktoken would have kept it."""
    file = Path(tiktoken.__file__).parents[1] / "tiktoken_ext/data/cl100k_base.tiktoken"
    kept = tmp_path / hashlib.sha1(CL100K.encode(), usedforsecurity=False).hexdigest()
    shutil.copy(file, kept)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    return kept


class TestCharacters:
    @pytest.mark.parametrize(
        ("text", "kind", "tokens"),
        [
            (ENGLISH, "english", 11),  # 44 characters / 4
            ("Hello!", "english", 2),  # 6 / 4, rounded up
            ("12345", "english", 2),
            ('{"name": "Loki", "age": 3}', "code", 9),  # 26 / 3, rounded up
            ("def f(x):\n    return {y: x[0] for y in x}", "code", 14),  # 41 / 3, rounded up
            ("Größe und Höhe: für Übungen", "other", 6),  # 27 / 5, rounded up
            ("東京都は日本の首都です", "other", 3),  # 11 / 5, rounded up
            ("", "english", 0),
        ],
    )
    def test_english_code_and_other_text_have_4_3_and_5_a_token(
        self, text: str, kind: str, tokens: int
    ) -> None:
        size = {"english": 4, "code": 3, "other": 5}[kind]

        assert kind_of_text(text) == kind
        assert estimate_tokens(text, None) == TokenEstimate(tokens, f"characters:{size}")

    @given(st.text())
    def test_any_text_has_an_estimate(self, text: str) -> None:
        tokens = estimate_tokens(text, "no-such-model").tokens

        assert len(text) <= 5 * tokens
        assert tokens <= (len(text) + 2) // 3


class TestTiktoken:
    @pytest.mark.usefixtures("with_cl100k")
    def test_it_counts_where_it_knows_the_model_and_its_encoding_is_here(self) -> None:
        # The sentence is ten words and a full stop, each one token of cl100k_base but none split.
        assert estimate_tokens(ENGLISH, "gpt-4-0613") == TokenEstimate(10, "tiktoken:cl100k_base")

    @pytest.mark.usefixtures("with_cl100k")
    @pytest.mark.parametrize("model", ["gpt-4o", "claude-sonnet-5", None])
    def test_characters_count_for_models_whose_encoding_is_not_here(self, model: str | None) -> None:
        assert estimate_tokens(ENGLISH, model).method == "characters:4"

    @pytest.mark.usefixtures("with_cl100k")
    def test_words_that_mean_something_to_a_tokenizer_are_text(self) -> None:
        assert estimate_tokens("<|endoftext|>", "gpt-4").tokens > 1

    @pytest.mark.usefixtures("with_cl100k")
    def test_a_text_beyond_all_answers_is_counted_by_characters(self) -> None:
        assert estimate_tokens("a" * 1_000_001, "gpt-4") == TokenEstimate(250_001, "characters:4")

    def test_a_damaged_file_is_left_alone(self, with_cl100k: Path) -> None:
        with_cl100k.write_bytes(b"no encoding")

        assert estimate_tokens(ENGLISH, "gpt-3.5-turbo").method == "characters:4"
        assert with_cl100k.read_bytes() == b"no encoding"


class TestTheRequest:
    def test_everything_that_the_model_reads_is_text(self) -> None:
        messages = [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
        ]
        tools = [{"type": "function", "function": {"name": "look", "description": "Looks."}}]

        text = asked_text({"model": "m", "messages": messages, "tools": tools, "stream": True})

        assert text == "Be brief.\nHi\nlook\nLooks."

    @pytest.mark.parametrize(
        "asked",
        [
            None,
            {},
            {"model": "m", "tools": [{"name": "x"}]},
            {"messages": []},
            {"messages": [{"content": [{"text": "Hi"}, {"image_url": {"url": "https://x"}}]}]},
            {"contents": [{"parts": [{"text": "Hi"}, {"inlineData": {"data": "AAAA"}}]}]},
        ],
    )
    def test_a_request_that_is_not_whole_or_not_text_is_unknown(self, asked: object) -> None:
        assert asked_text(asked) is None


def stream(*texts: str, **file: Any) -> AnswerReading:  # noqa: ANN401 - any JSON value
    chunks = [{"id": "c1", "model": "gpt-x", "choices": [{"delta": {"content": text}}]} for text in texts]
    text = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
    recording = {"provider": "openai", "api": "chat", "response": {"status": 200, "sse": text}, **file}
    return read_answer(json.dumps(recording).encode())


class TestStreams:
    def test_a_stream_without_usage_is_estimated_from_what_it_said(self) -> None:
        reading = stream("The quick brown fox ", "jumps over the lazy dog.")

        assert reading.reason == "no_usage_in_stream"
        assert "estimated by characters:4" in reading.detail
        assert "the request isn't known" in reading.detail
        assert reading.event is not None
        assert reading.event.units == {"output_text": 11}
        assert reading.event.estimate == Estimate("characters:4", input_known=False)

    def test_input_is_estimated_where_the_request_is_there(self) -> None:
        asked = {"messages": [{"role": "user", "content": "Why?"}]}
        reading = stream(ENGLISH, request={"body": asked})

        assert reading.event is not None
        assert reading.event.units == {"output_text": 11, "input_text": 1}
        assert reading.event.estimate == Estimate("characters:4")

    def test_both_methods_are_named_where_they_differ(self) -> None:
        asked = {"messages": [{"role": "user", "content": "{[(x)]}"}]}
        reading = stream(ENGLISH, request={"body": asked})

        assert reading.event is not None
        assert reading.event.estimate == Estimate("characters:3/characters:4")

    def test_what_a_cut_stream_had_said_counts_though_it_failed(self) -> None:
        text = "data: " + json.dumps({"id": "c1", "choices": [{"delta": {"content": ENGLISH}}]}) + "\n\n"
        text += "data: " + json.dumps({"error": {"message": "overloaded", "code": "server_error"}}) + "\n\n"
        reading = read_answer(text.encode(), "openai")

        assert reading.event is not None
        assert (reading.event.status, reading.event.units) == ("error", {"output_text": 11})

    def test_no_text_of_the_answer_or_of_the_request_is_kept(self) -> None:
        asked = {"messages": [{"role": "user", "content": "Where is Eldorado?"}]}
        reading = stream("In Atlantis.", request={"body": asked})

        assert reading.event is not None
        kept = msgspec.json.encode(reading.event)
        assert b"Eldorado" not in kept
        assert b"Atlantis" not in kept

    def test_a_stream_that_says_its_usage_is_not_estimated(self) -> None:
        chunk = {
            "choices": [{"delta": {"content": "Hi"}}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1},
        }
        reading = read_answer(f"data: {json.dumps(chunk)}\n\n".encode(), "openai")

        assert reading.event is not None
        assert reading.event.estimate is None


class TestMeasure:
    def test_the_method_is_where_the_units_came_from(self) -> None:
        event = UsageEvent(units={"output_text": 5}, estimate=Estimate("characters:4"))
        half = UsageEvent(output_tokens=5, estimate=Estimate("tiktoken:o200k_base", input_known=False))

        assert measure_usage(event).source == "estimated:characters:4"
        assert measure_usage(half).source == "estimated_output:tiktoken:o200k_base"

    def test_a_providers_own_count_is_no_estimate(self) -> None:
        usage = {"prompt_tokens": 1, "completion_tokens": 1}
        with pytest.raises(Invalid) as refusal:
            measure_usage(UsageEvent(usage=usage, estimate=Estimate("characters:4")))
        assert refusal.value.reasons[0].field == "estimate"
