"""Bedrock's counts, wherever they stand: usage objects, models' own fields, headers, the end of a stream."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.errors import Invalid
from bursar.units import total_of
from bursar.usage.formats.provider_answers import AnswerReading, read_answer
from bursar.usage.measure import measure_usage
from bursar.usage.providers.bedrock_answers import AWS
from bursar.usage.providers.normalise import normalise_usage
from bursar.usage.providers.provider import CallPlace

COUNTS = st.integers(0, 10**9)


def read(response: dict[str, Any], url: str = "", **request: Any) -> AnswerReading:  # noqa: ANN401 - any JSON value
    recording = {
        "provider": "bedrock",
        "api": "invoke",
        "request": {"url": url, **request},
        "response": response,
    }
    return read_answer(json.dumps(recording).encode())


def units_of(reading: AnswerReading) -> dict[str, int]:
    assert reading.event is not None, reading
    return measure_usage(reading.event).units


class TestConverse:
    @given(COUNTS, COUNTS, COUNTS, COUNTS)
    def test_cached_tokens_stand_beside_the_input(
        self, fresh: int, read: int, written: int, out: int
    ) -> None:
        usage = {
            "inputTokens": fresh,
            "cacheReadInputTokens": read,
            "cacheWriteInputTokens": written,
            "outputTokens": out,
            "totalTokens": fresh + read + written + out,
        }

        units = normalise_usage(usage, "aws").units

        assert total_of("total_tokens", units) == usage["totalTokens"]
        assert units.get("cache_write_5m", 0) == written

    def test_writes_are_split_by_their_lifetime(self) -> None:
        details = [{"inputTokens": 30, "ttl": "5m"}, {"inputTokens": 70, "ttl": "1h"}]
        usage = {"inputTokens": 1, "outputTokens": 1, "cacheWriteInputTokens": 100, "cacheDetails": details}

        read = normalise_usage(usage, "aws")

        assert (read.units["cache_write_5m"], read.units["cache_write_1h"]) == (30, 70)
        assert not read.notes

    def test_a_write_without_a_lifetime_is_five_minutes_and_says_so(self) -> None:
        read = normalise_usage({"inputTokens": 1, "cacheWriteInputTokenCount": 9}, "aws")

        assert read.units["cache_write_5m"] == 9
        assert read.notes == ("cache_write_taken_as_5m",)

    @pytest.mark.parametrize(
        ("usage", "field"),
        [
            ({"inputTokens": 3, "outputTokens": 4, "totalTokens": 8}, "usage.totalTokens"),
            ({"inputTokens": -3}, "usage.inputTokens"),
            (
                {"inputTokens": 3, "cacheWriteInputTokens": 1, "cacheDetails": [{"inputTokens": 2}]},
                "usage.cacheDetails",
            ),
        ],
    )
    def test_a_contradiction_is_refused_by_its_field(self, usage: dict[str, Any], field: str) -> None:
        with pytest.raises(Invalid) as refusal:
            normalise_usage(usage, "aws")
        assert [reason.field for reason in refusal.value.reasons] == [field]


class TestInvokeModel:
    def test_titan_counts_in_fields_of_its_own(self) -> None:
        body = {
            "inputTextTokenCount": 7,
            "results": [{"tokenCount": 12, "outputText": "Hi"}, {"tokenCount": 3, "outputText": "Ho"}],
        }
        reading = read({"json": body})

        assert units_of(reading) == {"input_text": 7, "output_text": 15}
        assert reading.event is not None
        assert "Hi" not in str(reading.event.usage)

    def test_llama_counts_in_fields_of_its_own(self) -> None:
        body = {
            "generation": "Hi",
            "prompt_token_count": 7,
            "generation_token_count": 2,
            "stop_reason": "stop",
        }

        assert units_of(read({"json": body})) == {"input_text": 7, "output_text": 2}

    def test_a_titan_embedding_has_input_only(self) -> None:
        assert units_of(read({"json": {"embedding": [0.1], "inputTextTokenCount": 5}})) == {"input_text": 5}

    def test_a_body_that_counts_nothing_is_counted_by_its_headers(self) -> None:
        headers = {
            "X-Amzn-Bedrock-Input-Token-Count": "20",
            "x-amzn-bedrock-output-token-count": "8",
            "x-amzn-bedrock-cache-read-input-token-count": "5",
            "x-amzn-requestid": "r-1",
        }
        reading = read({"json": {"outputs": [{"text": "Hi"}]}, "headers": headers})

        assert units_of(reading) == {"input_text": 20, "cache_read_text": 5, "output_text": 8}
        assert reading.event is not None
        assert reading.event.event_id == "aws:r-1"

    def test_headers_that_are_no_numbers_count_nothing(self) -> None:
        headers = {"x-amzn-bedrock-input-token-count": "many", "x-amzn-bedrock-output-token-count": "-1"}

        assert units_of(read({"json": {"outputs": []}, "headers": headers})) == {}


class TestWhatTheAnswerSays:
    def test_the_tier_of_the_answer_counts_and_not_that_of_the_request(self) -> None:
        body = {"usage": {"inputTokens": 1, "outputTokens": 1}, "serviceTier": {"type": "default"}}
        reading = read(
            {"json": body}, body={"serviceTier": {"type": "flex"}}, body_summary={"service_tier": "flex"}
        )

        assert reading.event is not None
        assert reading.event.service_tier == "default"

    def test_optimised_latency_counts_where_the_answer_says_it(self) -> None:
        usage = {"inputTokens": 1, "outputTokens": 1}
        asked = {"performanceConfig": {"latency": "optimized"}}
        answered = read({"json": {"usage": usage, **asked}})
        only_asked = read({"json": {"usage": usage}}, body=asked, body_summary=asked)

        assert answered.event is not None
        assert only_asked.event is not None
        assert (answered.event.speed, only_asked.event.speed) == ("optimized", None)

    def test_an_error_has_its_type_from_the_header(self) -> None:
        headers = {"x-amzn-errortype": "ThrottlingException:http://internal.amazon.com/"}
        reading = read({"status": 429, "json": {"message": "Too many tokens"}, "headers": headers})

        assert reading.event is not None
        assert (reading.event.status, reading.event.error_code) == ("error", "ThrottlingException")
        assert units_of(reading) == {}


@pytest.mark.parametrize(
    ("url", "place"),
    [
        (
            "https://bedrock-runtime.us-east-1.amazonaws.com/model/us.anthropic.claude-x-v1%3A0/converse",
            CallPlace("us.anthropic.claude-x-v1:0", "us-east-1"),
        ),
        (
            "https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com/model/m-v1:0/count-tokens",
            CallPlace("m-v1:0", "us-gov-west-1"),
        ),
        (
            "https://bedrock-runtime.eu-west-1.amazonaws.com/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Aa%2Fb/invoke",
            CallPlace("arn:aws:bedrock:eu-west-1:1:a/b", "eu-west-1"),
        ),
        ("https://bedrock-mantle.us-east-1.api.aws/v1/chat/completions", CallPlace(None, "us-east-1")),
        ("https://example.com/x", CallPlace()),
    ],
)
def test_the_address_says_model_and_region(url: str, place: CallPlace) -> None:
    assert AWS.call_of is not None
    assert AWS.call_of(urlsplit(url)) == place
