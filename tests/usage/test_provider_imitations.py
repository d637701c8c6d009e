"""Providers that imitate OpenAI's usage object: each one's own differences, and nobody else's."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bursar.errors import Invalid
from bursar.units import total_of
from bursar.usage.providers.normalise import normalise_usage

if TYPE_CHECKING:
    from bursar.usage.providers.provider_usage import ProviderUsage

SMALL = st.integers(0, 10**6)


def chat(prompt: int, completion: int, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    return {"prompt_tokens": prompt, "completion_tokens": completion, **fields}


def units(usage: dict[str, Any], provider: str | None = None) -> dict[str, int]:
    return normalise_usage(usage, provider).units


def refusals(usage: dict[str, Any], provider: str | None = None) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        normalise_usage(usage, provider)
    return {reason.field: reason.code for reason in caught.value.reasons}


class TestXai:
    REASONED = chat(50, 10, completion_tokens_details={"reasoning_tokens": 300})

    @pytest.mark.parametrize("provider", ["xai", "x-ai", "x_ai", "grok"])
    def test_reasoning_stands_beside_the_completion(self, provider: str) -> None:
        expected = {"input_text": 50, "output_text": 10, "output_reasoning": 300}

        assert units(self.REASONED, provider) == expected
        assert units({**self.REASONED, "total_tokens": 360}, provider) == expected

    def test_a_total_that_leaves_no_room_beside_it_puts_it_inside(self) -> None:
        usage = chat(50, 310, total_tokens=360, completion_tokens_details={"reasoning_tokens": 300})

        assert units(usage, "xai") == {"input_text": 50, "output_text": 10, "output_reasoning": 300}

    def test_nobody_elses_reasoning_is_beside(self) -> None:
        assert refusals(self.REASONED, "openai") == {
            "usage.completion_tokens_details.reasoning_tokens": "contradiction"
        }

    def test_its_cost_tells_whose_object_it_is(self) -> None:
        usage = {**self.REASONED, "cost_in_usd_ticks": 5}

        assert units(usage, "some-gateway")["output_reasoning"] == 300

    def test_grpc_counts_leave_zeros_out(self) -> None:
        usage = {"prompt_tokens": 30, "prompt_text_tokens": 20, "prompt_image_tokens": 10}

        assert units(usage) == {"input_text": 20, "input_image": 10}

    def test_a_grpc_cost_is_a_text(self) -> None:
        usage = {**chat(3, 4), "prompt_text_tokens": 3, "cost_in_usd_ticks": "4468500"}

        reported = normalise_usage(usage, "xai").reported_cost

        assert reported is not None
        assert reported.amount == Decimal("0.00044685")

    def test_tools_that_are_billed_by_the_call_are_counted(self) -> None:
        used = ["WEB_SEARCH", "WEB_SEARCH", "X_SEARCH", "CODE_EXECUTION", "MCP", "VIEW_IMAGE"]
        usage = {**chat(3, 4), "prompt_text_tokens": 3, "num_sources_used": 7}
        usage["server_side_tools_used"] = [f"SERVER_SIDE_TOOL_{tool}" for tool in used]

        said = normalise_usage(usage, "xai")

        assert said.units == {"input_text": 3, "output_text": 4, "searches": 2}
        assert said.custom == {
            "social_searches": 1_000_000,
            "code_executions": 1_000_000,
            "search_sources": 7_000_000,
        }

    def test_rest_counts_tools_by_name(self) -> None:
        calls = {"web_search_calls": 2, "file_search_calls": 1, "document_search_calls": 3, "mcp_calls": 9}

        said = normalise_usage(chat(3, 4, server_side_tool_usage_details=calls), "xai")

        assert said.units["searches"] == 2
        assert said.custom == {"file_searches": 1_000_000, "attachment_searches": 3_000_000}

    @pytest.mark.parametrize("total", [{}, {"total_tokens": 62_116}])
    def test_the_responses_api_has_reasoning_inside(self, total: dict[str, int]) -> None:
        usage: dict[str, Any] = {"input_tokens": 57_743, "output_tokens": 4373, **total}
        usage["input_tokens_details"] = {"cached_tokens": 0}
        usage["output_tokens_details"] = {"reasoning_tokens": 3041}

        assert units(usage, "xai") == {"input_text": 57_743, "output_text": 1332, "output_reasoning": 3041}

    def test_a_grpc_total_that_disagrees_is_refused(self) -> None:
        usage = {**chat(3, 4), "prompt_text_tokens": 3, "total_tokens": 99}

        assert refusals(usage, "xai") == {"usage.total_tokens": "contradiction"}


class TestDeepSeek:
    def test_hits_are_cache_reads(self) -> None:
        usage = chat(976, 61, prompt_cache_hit_tokens=896, prompt_cache_miss_tokens=80)

        assert units(usage) == {"input_text": 80, "cache_read_text": 896, "output_text": 61}

    def test_hits_said_twice_count_once(self) -> None:
        usage = chat(10, 0, prompt_cache_hit_tokens=6, prompt_tokens_details={"cached_tokens": 6})

        assert units(usage, "deepseek") == {"input_text": 4, "cache_read_text": 6}

    def test_hits_and_misses_must_be_the_prompt(self) -> None:
        usage = chat(976, 61, prompt_cache_hit_tokens=896, prompt_cache_miss_tokens=81)

        assert refusals(usage) == {"usage.prompt_cache_hit_tokens": "contradiction"}


class TestGroq:
    SHARES = (("a", 10, 2), ("b", 5, 1), ("a", 3, 4))

    def usage(self, prompt: int) -> dict[str, Any]:
        models = [{"model": model, "usage": chat(given, said)} for model, given, said in self.SHARES]
        return chat(prompt, 7, usage_breakdown={"models": models})

    def test_each_model_of_a_compound_system_has_its_share(self) -> None:
        said = normalise_usage(self.usage(18), "groq")

        assert said.units == {"input_text": 18, "output_text": 7}
        assert {part.model: part.units for part in said.parts} == {
            "a": {"input_text": 13, "output_text": 6},
            "b": {"input_text": 5, "output_text": 1},
        }

    def test_shares_larger_than_the_whole_are_refused(self) -> None:
        assert refusals(self.usage(17)) == {"usage.usage_breakdown.models": "contradiction"}


class TestMistral:
    def test_cached_tokens_have_two_names(self) -> None:
        expected = {"input_text": 32, "cache_read_text": 32, "output_text": 6}

        assert units(chat(64, 6, num_cached_tokens=32)) == expected
        assert units(chat(64, 6, prompt_tokens_details={"cached_tokens": 32}), "mistral") == expected

    def test_audio_is_billed_by_the_second_and_its_tokens_by_nobody(self) -> None:
        said = normalise_usage(chat(4, 635, total_tokens=3264, prompt_audio_seconds=203), "mistral")

        assert said.units == {"input_text": 4, "output_text": 635, "seconds": 203_000_000}
        assert said.notes == ("audio_billed_by_the_second",)

    @pytest.mark.parametrize("unset", [None, {}, 0])
    def test_unset_audio_is_none(self, unset: object) -> None:
        assert units(chat(4, 6, prompt_audio_seconds=unset), "mistral") == {"input_text": 4, "output_text": 6}

    def test_what_connectors_brought_in_is_input(self) -> None:
        usage = chat(188, 55, total_tokens=7355, connector_tokens=7112)
        usage["connectors"] = {"web_search": 1, "code_interpreter": 2}

        said = normalise_usage(usage)

        assert said.units == {"input_text": 7300, "output_text": 55, "searches": 1}
        assert said.custom == {"code_executions": 2_000_000}

    def test_pages_with_annotations_are_apart(self) -> None:
        said = normalise_usage({"pages_processed": 12, "pages_processed_annotation": 5, "doc_size_bytes": 9})

        assert (said.units, said.custom) == ({"pages": 7}, {"annotated_pages": 5_000_000})


class TestOpenRouter:
    def test_reasoning_counted_beyond_the_output_is_all_of_it(self) -> None:
        usage = chat(43, 10, cost=0, is_byok=False, completion_tokens_details={"reasoning_tokens": 11})

        said = normalise_usage(usage)

        assert said.units == {"input_text": 43, "output_reasoning": 10}
        assert said.notes == ("reasoning_capped_at_output",)

    def test_video_is_counted_as_images(self) -> None:
        usage = chat(100, 1, prompt_tokens_details={"video_tokens": 60, "audio_tokens": 10})

        assert units(usage, "openrouter") == {
            "input_text": 30,
            "input_image": 60,
            "input_audio": 10,
            "output_text": 1,
        }


class TestPerplexity:
    def test_deep_research_pays_for_searches_citations_and_reasoning(self) -> None:
        usage = chat(33, 7163, total_tokens=7196, citation_tokens=20_016, num_search_queries=18)
        usage["reasoning_tokens"] = 73_997

        said = normalise_usage(usage, "perplexity")

        assert said.units == {
            "input_text": 20_049,
            "output_text": 7163,
            "output_reasoning": 73_997,
            "searches": 18,
        }
        assert (said.context_tokens, said.notes) == (33, ("citations_taken_as_input",))

    def test_searches_of_a_sonar_call_are_in_its_fee(self) -> None:
        said = normalise_usage(chat(10, 300, num_search_queries=3, search_context_size="low"))

        assert said.units == {"input_text": 10, "output_text": 300}
        assert said.notes == ("searches_in_the_request_fee", "request_fee_of_the_high_search_context")


@pytest.mark.parametrize("provider", [None, "together", "moonshot", "huggingface_together"])
def test_cached_tokens_beside_the_totals_are_part_of_the_prompt(provider: str | None) -> None:
    assert units(chat(45, 3, cached_tokens=40), provider) == {
        "input_text": 5,
        "cache_read_text": 40,
        "output_text": 3,
    }
    assert refusals(chat(45, 3, cached_tokens=46), provider) == {"usage.cached_tokens": "contradiction"}


@pytest.mark.parametrize("provider", ["voyage", "voyageai", "jina"])
def test_a_lone_total_is_input_where_the_provider_is_named(provider: str) -> None:
    assert units({"total_tokens": 43}, provider) == {"input_text": 43}
    assert refusals({"total_tokens": 43}) == {"usage": "unknown_usage_shape"}


@pytest.mark.parametrize("provider", ["openrouter", "github-copilot", "groq", "together", "xai"])
def test_anthropics_object_stays_anthropics_whoever_hosts_it(provider: str) -> None:
    usage = {"input_tokens": 10, "cache_read_input_tokens": 4, "output_tokens": 2}

    assert units(usage, provider) == {"input_text": 10, "cache_read_text": 4, "output_text": 2}


def test_a_tier_in_the_usage_object_is_the_answers_and_auto_is_none() -> None:
    assert normalise_usage(chat(1, 1, service_tier="flex"), "openai").service_tier == "flex"
    assert normalise_usage(chat(1, 1, service_tier="auto"), "openai").service_tier is None


def test_a_transcription_may_be_billed_by_the_second() -> None:
    said = normalise_usage({"type": "duration", "seconds": Decimal("8.47")}, "openai")

    assert said.units == {"seconds": 8_470_000}
    assert refusals({"type": "duration", "seconds": -1}) == {"usage.seconds": "invalid_value"}


def read_or_none(usage: dict[str, Any], provider: str) -> ProviderUsage | None:
    try:
        return normalise_usage(usage, provider)
    except Invalid:
        return None


NAMES = ["openai", "azure", "groq", "mistral", "deepseek", "openrouter", "together", "cerebras", "zai"]


@given(SMALL, SMALL, SMALL, SMALL, st.sampled_from(NAMES))
def test_classes_add_up_to_the_total_whoever_imitates(
    fresh: int, cached: int, said: int, reasoned: int, provider: str
) -> None:
    usage = chat(
        fresh + cached,
        said + reasoned,
        prompt_tokens_details={"cached_tokens": cached},
        completion_tokens_details={"reasoning_tokens": reasoned},
    )
    usage["total_tokens"] = fresh + cached + said + reasoned

    counted = units(usage, provider)

    assert total_of("total_tokens", counted) == usage["total_tokens"]
    assert total_of("cached_tokens", counted) == cached
    assert total_of("reasoning_tokens", counted) == reasoned


@given(SMALL, SMALL, SMALL, SMALL, SMALL)
def test_xais_classes_add_up_to_the_total_in_both_of_its_apis(
    text: int, image: int, cached: int, said: int, reasoned: int
) -> None:
    prompt = text + image + cached
    grpc = {
        "prompt_tokens": prompt,
        "prompt_text_tokens": text + cached,
        "prompt_image_tokens": image,
        "cached_prompt_text_tokens": cached,
        "completion_tokens": said,
        "reasoning_tokens": reasoned,
        "total_tokens": prompt + said + reasoned,
    }
    rest = chat(
        prompt,
        said,
        total_tokens=prompt + said + reasoned,
        prompt_tokens_details={"cached_tokens": cached, "image_tokens": image},
        completion_tokens_details={"reasoning_tokens": reasoned},
    )

    assert units(grpc, "xai") == units(rest, "xai")
    assert total_of("total_tokens", units(grpc, "xai")) == prompt + said + reasoned


FIELDS = """prompt_tokens completion_tokens total_tokens cached_tokens num_cached_tokens cost is_byok type
    prompt_cache_hit_tokens prompt_cache_miss_tokens prompt_audio_seconds connector_tokens service_tier
    num_search_queries citation_tokens reasoning_tokens cost_in_usd_ticks num_sources_used seconds
    prompt_text_tokens cached_prompt_text_tokens pages_processed pages_processed_annotation"""
ODD: list[Any] = [None, True, "7", 1.5, Decimal("0.25"), [], {}, "duration"]
USAGES = st.dictionaries(
    st.sampled_from(FIELDS.split()), st.integers(-3, 3000) | st.sampled_from(ODD), max_size=8
)


@given(
    USAGES,
    st.sampled_from([*NAMES, "xai", "perplexity", "voyage", "huggingface", "jina", "moonshot", "nobody"]),
)
def test_odd_numbers_give_units_or_reasons(usage: dict[str, Any], provider: str) -> None:
    said = read_or_none(usage, provider)
    if said is None:
        assert all(field.startswith("usage") for field in refusals(usage, provider))
        return
    assert all(quantity > 0 for quantity in (*said.units.values(), *said.custom.values()))
    assert said.reported_cost is None or said.reported_cost.amount >= 0
