"""The shape of a usage object decides how it is read; what can't be read is refused, never guessed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.errors import Invalid
from bursar.units import QUANTITY_LIMIT, UNITS, total_of
from bursar.usage.providers.normalise import normalise_usage
from bursar.usage.providers.registry import FAMILIES

if TYPE_CHECKING:
    from bursar.usage.providers.provider_usage import ProviderUsage

SCALARS = st.one_of(
    st.integers(0, 2000),
    st.integers(-5, 2 * 10**12),
    st.sampled_from([None, True, 1.5, "", "TEXT", "AUDIO", "IMAGE", "batch", "claude-x", "x" * 200]),
)
JSON = SCALARS | st.lists(SCALARS, max_size=2)
FIELDS = st.sampled_from(
    re.findall(
        r"\w+",
        """prompt_tokens completion_tokens total_tokens input_tokens output_tokens prompt_tokens_details
    completion_tokens_details input_tokens_details output_tokens_details cached_tokens cache_write_tokens
    cache_write_tokens_details ttl_12h_tokens audio_tokens image_tokens reasoning_tokens cached_tokens_details
    cache_creation_input_tokens cache_read_input_tokens cache_creation ephemeral_5m_input_tokens
    ephemeral_1h_input_tokens thinking_tokens server_tool_use web_search_requests iterations model speed
    service_tier inference_geo promptTokenCount candidatesTokenCount thoughtsTokenCount totalTokenCount
    cachedContentTokenCount toolUsePromptTokenCount promptTokensDetails cacheTokensDetails
    candidatesTokensDetails toolUsePromptTokensDetails modality tokenCount trafficType serviceTier""",
    )
)
USAGES = st.dictionaries(
    FIELDS,
    JSON
    | st.dictionaries(FIELDS, JSON | st.dictionaries(FIELDS, JSON, max_size=3), max_size=5)
    | st.lists(st.dictionaries(FIELDS, JSON, max_size=5), max_size=3),
    max_size=8,
)
SMALL = st.integers(0, 10**6)


def refusal(usage: dict[str, Any], provider: str | None = None) -> tuple[str, str, str]:
    with pytest.raises(Invalid) as caught:
        normalise_usage(usage, provider)
    (reason,) = caught.value.reasons
    return reason.field, reason.code, reason.message


def read_or_refused(usage: dict[str, Any], provider: str | None) -> ProviderUsage | Invalid:
    try:
        return normalise_usage(usage, provider)
    except Invalid as refused:
        return refused


@pytest.mark.parametrize("provider", [None, "openai", "anthropic", "aws"])
def test_input_and_output_alone_mean_the_same_to_every_family(provider: str | None) -> None:
    usage = normalise_usage({"input_tokens": 11, "output_tokens": 6}, provider)

    assert usage.units == {"input_text": 11, "output_text": 6}


@pytest.mark.parametrize(
    ("usage", "cached", "fresh"),
    [
        ({"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 4}}, 4, 6),
        ({"input_tokens": 10, "input_tokens_details": {"cached_tokens": 4}}, 4, 6),
        ({"input_tokens": 10, "cache_read_input_tokens": 4}, 4, 10),
        ({"promptTokenCount": 10, "cachedContentTokenCount": 4}, 4, 6),
        ({"prompt_token_count": 10, "cached_content_token_count": 4}, 4, 6),
        ({"total_input_tokens": 10, "total_cached_tokens": 4}, 4, 6),
    ],
)
def test_the_shape_tells_whether_cached_tokens_are_inside(
    usage: dict[str, Any], cached: int, fresh: int
) -> None:
    assert normalise_usage(usage).units == {"input_text": fresh, "cache_read_text": cached}


def test_openais_tier_beside_its_counts_does_not_make_them_anthropics() -> None:
    usage = {"input_tokens": 10, "input_tokens_details": {"cached_tokens": 4}, "service_tier": "default"}

    assert normalise_usage(usage).units == {"input_text": 6, "cache_read_text": 4}


def test_the_provider_decides_where_two_shapes_fit() -> None:
    usage = {"input_tokens": 10, "cache_read_input_tokens": 4, "input_tokens_details": {"cached_tokens": 4}}

    assert total_of("input_tokens", normalise_usage(usage, "azure").units) == 10
    assert total_of("input_tokens", normalise_usage(usage, "anthropic").units) == 14
    field, code, _ = refusal(usage)
    assert (field, code) == ("usage", "ambiguous_usage_shape")


def test_an_empty_object_says_nothing() -> None:
    assert normalise_usage({}, "openai").units == {}


@pytest.mark.parametrize("usage", [{"tokens": 5}, {"total_tokens": 327}, {"tokensIn": 1, "tokensOut": 2}])
def test_an_unknown_shape_is_refused_with_the_known_ones(usage: dict[str, Any]) -> None:
    field, code, message = refusal(usage)

    assert (field, code) == ("usage", "unknown_usage_shape")
    assert all(family.shape in message for family in FAMILIES)


@given(USAGES, st.none() | st.sampled_from(["openai", "anthropic", "google"]))
def test_any_json_gives_units_or_reasons_and_nothing_else(
    usage: dict[str, Any], provider: str | None
) -> None:
    read = read_or_refused(usage, provider)
    if isinstance(read, Invalid):
        assert read.reasons
        assert all(reason.field.startswith("usage") and reason.message for reason in read.reasons)
        return
    assert read.units.keys() <= UNITS.keys()
    assert all(0 < quantity <= QUANTITY_LIMIT for quantity in read.units.values())
    for part in read.parts:
        assert all(0 < quantity <= read.units[name] for name, quantity in part.units.items())


@given(SMALL, SMALL, SMALL, SMALL, SMALL)
def test_openais_prompt_is_never_lost_or_doubled(
    text: int, cached: int, written: int, audio: int, image: int
) -> None:
    details = {"cached_tokens": cached, "cache_write_tokens": written, "audio_tokens": audio}
    prompt = text + cached + written + audio + image
    usage = {"prompt_tokens": prompt, "prompt_tokens_details": details | {"image_tokens": image}}

    assert total_of("input_tokens", normalise_usage(usage).units) == prompt


@given(SMALL, SMALL, SMALL, SMALL, st.sampled_from([[], ["AUDIO"]]))
def test_geminis_prompt_is_never_lost_or_doubled(
    text: int, audio: int, video: int, cached: int, cached_as: list[str]
) -> None:
    prompt = text + audio + video
    details = [{"modality": "AUDIO", "tokenCount": audio}, {"modality": "VIDEO", "tokenCount": video}]
    usage: dict[str, Any] = {"promptTokenCount": prompt, "cachedContentTokenCount": min(cached, prompt)}
    usage["promptTokensDetails"] = details
    usage["cacheTokensDetails"] = [
        {"modality": modality, "tokenCount": min(cached, prompt)} for modality in cached_as
    ]

    assert total_of("input_tokens", normalise_usage(usage).units) == prompt


@given(SMALL, SMALL, SMALL, SMALL, SMALL)
def test_anthropics_classes_stand_side_by_side(
    fresh: int, read: int, written: int, one_hour: int, output: int
) -> None:
    usage = {
        "input_tokens": fresh,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written + one_hour,
        "cache_creation": {"ephemeral_1h_input_tokens": one_hour},
        "output_tokens": output,
    }

    units = normalise_usage(usage).units

    assert total_of("input_tokens", units) == fresh + read + written + one_hour
    assert total_of("output_tokens", units) == output
    assert units.get("cache_write_1h", 0) == one_hour
