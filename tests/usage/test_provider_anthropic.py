"""Anthropic's usage object: caches beside the input, thinking inside the output, iterations as the bill.

No recording has a fast, batch or US call, nor writes for an hour; those bodies are made up from the
SDK's types.
"""

from __future__ import annotations

from typing import Any

import pytest

from bursar.errors import Invalid
from bursar.usage.providers.anthropic import read_anthropic_usage


def turn(input_tokens: int, output_tokens: int, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    return {"input_tokens": input_tokens, "output_tokens": output_tokens, **fields}


def refusals(usage: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        read_anthropic_usage(usage)
    return {reason.field: reason.code for reason in caught.value.reasons}


def test_cached_tokens_stand_beside_the_input() -> None:
    split = {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 70}

    usage = read_anthropic_usage(
        turn(10, 5, cache_read_input_tokens=400, cache_creation_input_tokens=100, cache_creation=split)
    )

    assert usage.units == {
        "input_text": 10,
        "cache_read_text": 400,
        "cache_write_5m": 30,
        "cache_write_1h": 70,
        "output_text": 5,
    }
    assert usage.notes == ()


def test_writes_without_a_lifetime_are_taken_as_five_minutes() -> None:
    usage = read_anthropic_usage(turn(1, 1, cache_creation_input_tokens=100))

    assert usage.units["cache_write_5m"] == 100
    assert usage.notes == ("cache_write_taken_as_5m",)


def test_a_split_without_its_total_counts_too() -> None:
    split = {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4}

    units = read_anthropic_usage(turn(0, 0, cache_creation=split)).units

    assert units == {"cache_write_5m": 3, "cache_write_1h": 4}


def test_thinking_is_taken_out_of_the_output() -> None:
    units = read_anthropic_usage(turn(1, 100, output_tokens_details={"thinking_tokens": 60})).units

    assert units == {"input_text": 1, "output_text": 40, "output_reasoning": 60}


def test_searches_are_counted_and_fetches_are_free() -> None:
    tools = {"web_search_requests": 3, "web_fetch_requests": 5}

    assert read_anthropic_usage(turn(0, 0, server_tool_use=tools)).units == {"searches": 3}


def test_the_answers_own_words_decide_its_price() -> None:
    usage = read_anthropic_usage(turn(1, 1, service_tier="priority", speed="fast", inference_geo="us"))

    assert (usage.service_tier, usage.speed, usage.region, usage.batch) == ("priority", "fast", "us", False)


def test_the_batch_tier_says_that_it_was_a_batch() -> None:
    assert read_anthropic_usage(turn(1, 1, service_tier="batch")).batch is True


@pytest.mark.parametrize("geo", ["not_available", "", None])
def test_a_region_that_is_not_said_is_none(geo: str | None) -> None:
    assert read_anthropic_usage(turn(1, 1, inference_geo=geo)).region is None


def test_the_sum_over_iterations_is_the_bill() -> None:
    iterations = [
        turn(100, 131, type="compaction", cache_creation_input_tokens=55096),
        turn(229, 5, type="message"),
    ]

    usage = read_anthropic_usage(turn(229, 5, iterations=iterations))

    assert usage.units == {"input_text": 329, "cache_write_5m": 55096, "output_text": 136}
    assert usage.parts == ()
    assert usage.context_tokens == 55196


def test_another_models_iterations_are_parts_of_their_own() -> None:
    iterations = [
        turn(1000, 100, type="message"),
        turn(2000, 20, type="advisor_message", model="claude-opus-4-8", cache_read_input_tokens=7),
        turn(3000, 30, type="advisor_message", model="claude-opus-4-8"),
        turn(1200, 10, type="message"),
    ]
    details = {"thinking_tokens": 40}

    usage = read_anthropic_usage(turn(2200, 110, iterations=iterations, output_tokens_details=details))

    assert usage.units == {
        "input_text": 7200,
        "cache_read_text": 7,
        "output_text": 120,
        "output_reasoning": 40,
    }
    (advisor,) = usage.parts
    assert advisor.model == "claude-opus-4-8"
    assert advisor.units == {"input_text": 5000, "cache_read_text": 7, "output_text": 50}
    assert usage.context_tokens == 1200


def test_iterations_that_all_name_one_model_are_the_answers_own() -> None:
    iterations = [
        turn(10, 1, type="message", model="claude-x"),
        turn(20, 2, type="message", model="claude-x"),
    ]

    usage = read_anthropic_usage(turn(30, 3, iterations=iterations))

    assert usage.units == {"input_text": 30, "output_text": 3}
    assert usage.parts == ()


def test_thinking_goes_to_the_answers_own_model_as_far_as_it_wrote() -> None:
    iterations = [
        turn(10, 5, type="message"),
        turn(10, 95, type="fallback_message", model="claude-other"),
    ]

    usage = read_anthropic_usage(
        turn(20, 100, iterations=iterations, output_tokens_details={"thinking_tokens": 50})
    )

    assert usage.units == {"input_text": 20, "output_text": 95, "output_reasoning": 5}


@pytest.mark.parametrize("usage", [turn(0, 0), turn(0, 0, iterations=[]), {"input_tokens": None}])
def test_a_usage_of_nothing_gives_no_units(usage: dict[str, Any]) -> None:
    assert read_anthropic_usage(usage).units == {}


def test_every_reason_is_given_with_its_place() -> None:
    usage = turn(
        -1,
        5,
        cache_creation="x",
        iterations=[{"output_tokens": "9"}, 7],
        output_tokens_details={"thinking_tokens": 6},
        service_tier=5,
        server_tool_use={"web_search_requests": True},
    )

    assert refusals(usage) == {
        "usage.input_tokens": "out_of_range",
        "usage.cache_creation": "wrong_type",
        "usage.iterations.0.output_tokens": "wrong_type",
        "usage.iterations.1": "wrong_type",
        "usage.output_tokens_details.thinking_tokens": "contradiction",
        "usage.server_tool_use.web_search_requests": "wrong_type",
        "usage.service_tier": "wrong_type",
    }


def test_a_split_larger_than_its_total_is_refused() -> None:
    split = {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4}

    usage = turn(0, 0, cache_creation_input_tokens=6, cache_creation=split)

    assert refusals(usage) == {"usage.cache_creation": "contradiction"}


def test_iterations_that_add_up_beyond_the_limit_are_refused() -> None:
    assert refusals(turn(0, 0, iterations=[turn(10**12, 0), turn(1, 0)])) == {"usage": "out_of_range"}


def test_a_redeemed_fallback_credit_is_noted_for_the_bill_is_lower_than_the_counts() -> None:
    # Type `BetaFallbackCreditUsage` of the anthropic SDK 2.11: billed "as if the conversation had been on the
    # retry model all along", which no count shows.
    usage: dict[str, Any] = {"input_tokens": 9, "cache_creation_input_tokens": 0, "output_tokens": 1}
    redeemed = read_anthropic_usage({**usage, "fallback_credit": {"status": {"type": "redeemed"}}})
    refused = {"status": {"type": "not_applied", "reason": "expired"}}

    assert redeemed.notes == ("fallback_credit_redeemed",)
    assert read_anthropic_usage({**usage, "fallback_credit": refused}).notes == ()


def test_every_model_that_took_part_in_a_fallback_has_its_share() -> None:
    declined = {"type": "message", "model": "claude-fable-5", "input_tokens": 28, "output_tokens": 3}
    served = {
        "type": "fallback_message",
        "model": "claude-opus-4-8",
        "input_tokens": 31,
        "output_tokens": 547,
    }
    usage = {"input_tokens": 31, "output_tokens": 547, "iterations": [declined, served]}

    read = read_anthropic_usage(usage)

    assert read.units == {"input_text": 59, "output_text": 550}
    assert {part.model: part.units for part in read.parts} == {
        "claude-fable-5": {"input_text": 28, "output_text": 3},
        "claude-opus-4-8": {"input_text": 31, "output_text": 547},
    }
