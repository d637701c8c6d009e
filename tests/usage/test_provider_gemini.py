"""Google's usage metadata: thoughts beside the candidates, tool results beside the prompt, modalities.

No recording has image output or cached audio; those bodies are made up from the SDK's types.
"""

from __future__ import annotations

from typing import Any

import pytest

from bursar.errors import Invalid
from bursar.usage.providers.gemini import read_gemini_usage


def by_modality(**counts: int) -> list[dict[str, Any]]:
    return [{"modality": modality, "tokenCount": count} for modality, count in counts.items()]


def refusals(usage: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        read_gemini_usage(usage)
    return {reason.field: reason.code for reason in caught.value.reasons}


def test_thoughts_stand_beside_the_candidates() -> None:
    usage = {
        "promptTokenCount": 15,
        "candidatesTokenCount": 4,
        "thoughtsTokenCount": 51,
        "totalTokenCount": 70,
    }

    assert read_gemini_usage(usage).units == {"input_text": 15, "output_text": 4, "output_reasoning": 51}


def test_what_tools_return_is_input_but_not_prompt() -> None:
    details = by_modality(TEXT=50, AUDIO=30)

    usage = read_gemini_usage(
        {"promptTokenCount": 10, "toolUsePromptTokenCount": 80, "toolUsePromptTokensDetails": details}
    )

    assert usage.units == {"input_text": 60, "input_audio": 30}
    assert usage.context_tokens == 10


def test_cached_content_is_taken_out_of_the_prompt_by_modality() -> None:
    usage = {
        "promptTokenCount": 1000,
        "promptTokensDetails": by_modality(TEXT=100, AUDIO=600, VIDEO=300),
        "cachedContentTokenCount": 750,
        "cacheTokensDetails": by_modality(TEXT=50, AUDIO=500, VIDEO=200),
    }

    assert read_gemini_usage(usage).units == {
        "input_text": 50,
        "input_audio": 100,
        "input_image": 100,
        "cache_read_text": 250,
        "cache_read_audio": 500,
    }


def test_cached_content_of_unsaid_modality_is_text_first_and_audio_last() -> None:
    usage = read_gemini_usage(
        {
            "promptTokenCount": 100,
            "promptTokensDetails": by_modality(TEXT=40, AUDIO=60),
            "cachedContentTokenCount": 50,
        }
    )

    assert usage.units == {"input_audio": 50, "cache_read_text": 40, "cache_read_audio": 10}
    assert usage.notes == ("cached_modality_inferred",)


def test_pages_of_documents_are_text_and_frames_of_video_are_images() -> None:
    details = by_modality(TEXT=1, DOCUMENT=20, VIDEO=300, IMAGE=4000)

    units = read_gemini_usage({"promptTokenCount": 4321, "promptTokensDetails": details}).units

    assert units == {"input_text": 21, "input_image": 4300}


def test_numbers_stand_for_modalities_where_vertex_writes_them() -> None:
    details = [{"modality": number, "tokenCount": 10**number} for number in range(6)]

    units = read_gemini_usage({"promptTokenCount": 111_111, "promptTokensDetails": details}).units

    # 0 unspecified, 1 text, 2 image, 3 video, 4 audio, 5 document
    assert units == {"input_text": 100_011, "input_image": 1_100, "input_audio": 10_000}


@pytest.mark.parametrize("modality", ["HOLOGRAM", 9, []])
def test_an_unknown_modality_is_text_and_said_to_be_a_guess(modality: object) -> None:
    details = [{"modality": modality, "tokenCount": 5}]

    usage = read_gemini_usage({"promptTokenCount": 5, "promptTokensDetails": details})

    assert usage.units == {"input_text": 5}
    assert usage.notes == ("unknown_modality_taken_as_text",)


def test_images_and_audio_in_the_answer_are_classes_of_their_own() -> None:
    details = by_modality(TEXT=7, IMAGE=1290, AUDIO=40)

    units = read_gemini_usage({"candidatesTokenCount": 1337, "candidatesTokensDetails": details}).units

    assert units == {"output_text": 7, "output_image": 1290, "output_audio": 40}


def test_output_that_only_the_total_tells_of_is_reasoning() -> None:
    usage = read_gemini_usage({"promptTokenCount": 66, "candidatesTokenCount": 6, "totalTokenCount": 100})

    assert usage.units == {"input_text": 66, "output_text": 6, "output_reasoning": 28}
    assert usage.notes == ("output_beyond_candidates",)


@pytest.mark.parametrize(
    ("fields", "tier"),
    [
        ({"serviceTier": "standard"}, "standard"),
        ({"serviceTier": "FLEX"}, "flex"),
        ({"trafficType": "ON_DEMAND"}, "standard"),
        ({"trafficType": "ON_DEMAND_FLEX"}, "flex"),
        ({"trafficType": "ON_DEMAND_PRIORITY"}, "priority"),
        ({"trafficType": "PROVISIONED_THROUGHPUT"}, "provisioned_throughput"),
        ({"trafficType": "TRAFFIC_TYPE_UNSPECIFIED"}, None),
        ({"trafficType": "ON_DEMAND_NEW"}, "on_demand_new"),
        ({"trafficType": 1}, "standard"),
        ({"trafficType": 4}, "flex"),
        ({"trafficType": 17}, "traffic_type_17"),
        ({}, None),
    ],
)
def test_the_tier_comes_in_words_or_in_numbers(fields: dict[str, Any], tier: str | None) -> None:
    assert read_gemini_usage({"promptTokenCount": 1, **fields}).service_tier == tier


def test_names_in_snake_case_mean_the_same() -> None:
    usage = {
        "prompt_token_count": 20,
        "prompt_tokens_details": [{"modality": "AUDIO", "token_count": 15}],
        "candidates_token_count": 4,
        "thoughts_token_count": 3,
        "total_token_count": 27,
        "traffic_type": "ON_DEMAND",
    }

    read = read_gemini_usage(usage)

    assert read.units == {"input_text": 5, "input_audio": 15, "output_text": 4, "output_reasoning": 3}
    assert read.service_tier == "standard"


@pytest.mark.parametrize(
    "usage", [{"trafficType": "ON_DEMAND"}, {"promptTokenCount": 0, "totalTokenCount": 0}]
)
def test_missing_and_zero_fields_give_no_units(usage: dict[str, Any]) -> None:
    assert read_gemini_usage(usage).units == {}


def test_a_bare_total_cannot_be_split() -> None:
    assert refusals({"totalTokenCount": 3512}) == {"usage.totalTokenCount": "only_a_total"}


def test_a_total_below_its_parts_is_refused() -> None:
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 14}

    assert refusals(usage) == {"usage.totalTokenCount": "contradiction"}


def test_every_reason_is_given_with_its_place() -> None:
    usage: dict[str, Any] = {
        "promptTokenCount": 10,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": "x"}, "y"],
        "candidatesTokenCount": -5,
        "toolUsePromptTokensDetails": {},
        "trafficType": "T" * 200,
    }

    assert refusals(usage) == {
        "usage.promptTokensDetails.0.tokenCount": "wrong_type",
        "usage.promptTokensDetails.1": "wrong_type",
        "usage.candidatesTokenCount": "out_of_range",
        "usage.toolUsePromptTokensDetails": "wrong_type",
        "usage.trafficType": "wrong_type",
    }


@pytest.mark.parametrize(
    ("usage", "field"),
    [
        ({"promptTokenCount": 10, "cachedContentTokenCount": 11}, "cachedContentTokenCount"),
        ({"promptTokenCount": 10, "promptTokensDetails": by_modality(AUDIO=11)}, "promptTokensDetails"),
        (
            {"candidatesTokenCount": 1, "candidatesTokensDetails": by_modality(TEXT=2)},
            "candidatesTokensDetails",
        ),
    ],
)
def test_a_part_larger_than_its_whole_is_refused(usage: dict[str, Any], field: str) -> None:
    assert refusals(usage) == {f"usage.{field}": "contradiction"}
