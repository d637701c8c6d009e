"""OpenAI's usage object: everything stands inside the totals, and each class is taken out once."""

from __future__ import annotations

from typing import Any

import pytest

from bursar.errors import Invalid
from bursar.units import total_of
from bursar.usage.providers.openai import read_openai_usage


def chat(prompt: int, completion: int, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    return {"prompt_tokens": prompt, "completion_tokens": completion, **fields}


def refusals(usage: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        read_openai_usage(usage)
    return {reason.field: reason.code for reason in caught.value.reasons}


def test_cached_and_written_tokens_are_taken_out_of_the_prompt() -> None:
    details = {"cached_tokens": 600, "cache_write_tokens": 300}

    units = read_openai_usage(chat(1000, 5, prompt_tokens_details=details)).units

    assert units == {"input_text": 100, "cache_read_text": 600, "cache_write_5m": 300, "output_text": 5}


def test_both_kinds_of_prediction_tokens_are_plain_output() -> None:
    details = {"accepted_prediction_tokens": 30, "rejected_prediction_tokens": 20}

    assert read_openai_usage(chat(7, 80, completion_tokens_details=details)).units["output_text"] == 80


def test_reasoning_and_audio_are_taken_out_of_the_output() -> None:
    details = {"reasoning_tokens": 40, "audio_tokens": 25}

    units = read_openai_usage(chat(0, 100, completion_tokens_details=details)).units

    assert units == {"output_text": 35, "output_reasoning": 40, "output_audio": 25}


def test_writes_kept_for_half_a_day_are_long_lived_and_others_short_lived() -> None:
    lifetimes = {"ttl_30m_tokens": 100, "ttl_12h_tokens": 250}
    details = {"cached_tokens": 0, "cache_write_tokens": 400, "cache_write_tokens_details": lifetimes}

    units = read_openai_usage(
        {"input_tokens": 500, "input_tokens_details": details, "output_tokens": 0}
    ).units

    # 50 of the 400 have no lifetime said: they are short-lived.
    assert units == {"input_text": 100, "cache_write_5m": 150, "cache_write_1h": 250}


def test_audio_counts_as_cached_where_the_answer_says_so() -> None:
    details = {"cached_tokens": 90, "audio_tokens": 80, "cached_tokens_details": {"audio_tokens": 50}}

    units = read_openai_usage({"input_tokens": 200, "input_token_details": details, "output_tokens": 0}).units

    assert units == {"input_text": 80, "input_audio": 30, "cache_read_text": 40, "cache_read_audio": 50}


def test_audio_counts_as_cached_where_it_does_not_fit_into_the_rest() -> None:
    details = {"cached_tokens": 90, "audio_tokens": 40}

    usage = read_openai_usage(chat(100, 0, prompt_tokens_details=details))

    assert usage.units == {"input_audio": 10, "cache_read_text": 60, "cache_read_audio": 30}
    assert usage.notes == ("cached_audio_inferred",)


def test_images_in_the_prompt_are_a_class_of_their_own_unless_cached() -> None:
    details = {"cached_tokens": 60, "image_tokens": 50, "cached_tokens_details": {"image_tokens": 20}}

    units = read_openai_usage(chat(100, 0, prompt_tokens_details=details)).units

    assert units == {"input_text": 10, "input_image": 30, "cache_read_text": 60}


def test_the_first_shape_of_the_images_api_is_read_as_images() -> None:
    details = {"text_tokens": 10, "image_tokens": 40}

    usage = read_openai_usage({"input_tokens": 50, "output_tokens": 1056, "input_tokens_details": details})

    assert usage.units == {"input_text": 10, "input_image": 40, "output_image": 1056}
    assert usage.notes == ("output_taken_as_images",)


def test_output_that_only_the_total_tells_of_is_reasoning() -> None:
    usage = read_openai_usage(chat(66, 6, total_tokens=100))

    assert usage.units == {"input_text": 66, "output_text": 6, "output_reasoning": 28}
    assert usage.notes == ("output_beyond_completion_tokens",)


def test_reasoning_beside_the_completion_is_counted_once() -> None:
    details = {"reasoning_tokens": 300}

    units = read_openai_usage(chat(50, 10, total_tokens=360, completion_tokens_details=details)).units

    assert units == {"input_text": 50, "output_text": 10, "output_reasoning": 300}


@pytest.mark.parametrize("usage", [chat(0, 0, total_tokens=0), {"prompt_tokens": None}, chat(0, 0)])
def test_a_usage_of_nothing_gives_no_units(usage: dict[str, Any]) -> None:
    assert read_openai_usage(usage).units == {}


def test_unknown_fields_and_nulls_are_ignored() -> None:
    usage = chat(3, 4, prompt_tokens_details=None, queue_time=0.5, completion_tokens_details={"new": "x"})

    assert read_openai_usage(usage).units == {"input_text": 3, "output_text": 4}


@pytest.mark.parametrize("wrong", ["12", 1.5, True, [], {}])
def test_a_count_that_is_no_whole_number_is_refused(wrong: object) -> None:
    assert refusals({"prompt_tokens": wrong}) == {"usage.prompt_tokens": "wrong_type"}


@pytest.mark.parametrize("wrong", [-1, 10**12 + 1, 10**40])
def test_a_count_out_of_bounds_is_refused(wrong: int) -> None:
    assert refusals({"completion_tokens": wrong}) == {"usage.completion_tokens": "out_of_range"}


def test_every_reason_is_given_with_its_place() -> None:
    usage = chat(-1, 5, prompt_tokens_details={"cached_tokens": "3"}, completion_tokens_details=[])

    assert refusals(usage) == {
        "usage.prompt_tokens": "out_of_range",
        "usage.prompt_tokens_details.cached_tokens": "wrong_type",
        "usage.completion_tokens_details": "wrong_type",
    }


@pytest.mark.parametrize(
    ("usage", "field"),
    [
        (chat(10, 0, prompt_tokens_details={"cached_tokens": 11}), "prompt_tokens_details.cached_tokens"),
        (
            chat(10, 0, prompt_tokens_details={"cached_tokens": 6, "cache_write_tokens": 5}),
            "prompt_tokens_details.cached_tokens",
        ),
        (chat(10, 0, prompt_tokens_details={"audio_tokens": 11}), "prompt_tokens_details.audio_tokens"),
        (
            chat(0, 10, completion_tokens_details={"reasoning_tokens": 11}),
            "completion_tokens_details.reasoning_tokens",
        ),
        (chat(10, 10, total_tokens=19), "total_tokens"),
    ],
)
def test_a_part_larger_than_its_whole_is_refused(usage: dict[str, Any], field: str) -> None:
    assert refusals(usage) == {f"usage.{field}": "contradiction"}


def test_units_add_up_to_the_whole_prompt_and_completion() -> None:
    prompt = {"cached_tokens": 33, "cache_write_tokens": 21, "audio_tokens": 12, "image_tokens": 9}
    completion = {"reasoning_tokens": 8, "audio_tokens": 3}

    usage = chat(100, 40, prompt_tokens_details=prompt, completion_tokens_details=completion)

    units = read_openai_usage(usage).units
    assert total_of("input_tokens", units) == 100
    assert total_of("output_tokens", units) == 40
