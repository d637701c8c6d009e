"""AWS Bedrock's usage: Converse, InvokeModel in each model's own words, and what stands in headers.

`inputTokens` *excludes* what was read from or written to a cache; total = input + output + read + written
in all 243 recordings with a total. Cache writes may be split by lifetime in `cacheDetails`. InvokeModel
answers in the model's own words: Claude, Nova, gpt-oss and others have a usage object, which their own
families read; Titan and Llama count in fields of their own; the rest say nothing, but AWS counts each call
in `x-amzn-bedrock-*-token-count` headers and at the end of a stream in `amazon-bedrock-invocationMetrics`.

Sources: type `TokenUsage` of botocore's bedrock-runtime, and recorded answers. How streams fold and answers
are told apart is in `bedrock_answers.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bursar.usage.providers.counts import Counts, Section, usage_section
from bursar.usage.providers.provider import Family
from bursar.usage.providers.provider_usage import ProviderUsage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bursar.units import Quantities

INPUT = ("inputTokens", "inputTokenCount")
OUTPUT = ("outputTokens", "outputTokenCount")
CACHE_READ = ("cacheReadInputTokens", "cacheReadInputTokenCount")
CACHE_WRITE = ("cacheWriteInputTokens", "cacheWriteInputTokenCount")
SEARCHES = ("webSearchRequests", "web_search_requests")
TITAN_INPUT = ("inputTextTokenCount",)
TITAN_OUTPUT = ("totalOutputTextTokenCount",)
LLAMA_INPUT = ("prompt_token_count",)
LLAMA_OUTPUT = ("generation_token_count",)

ONE_HOUR = "1h"
CACHE_TTL_ASSUMED = "cache_write_taken_as_5m"


def read_bedrock_usage(usage: Mapping[str, Any]) -> ProviderUsage:
    """The disjoint units of a Converse usage object, or of AWS's own count of an invocation.

    Raises:
        Invalid: counts that can't be, parts larger than their total, or a total that is not their sum.
    """
    counts, top = Counts(), usage_section(usage)
    notes: list[str] = []
    one_hour, five_minutes = _cache_writes(counts, top, notes)
    units = {
        "input_text": counts.number(top, *INPUT),
        "cache_read_text": counts.number(top, *CACHE_READ),
        "cache_write_5m": five_minutes,
        "cache_write_1h": one_hour,
        "output_text": counts.number(top, *OUTPUT),
    }
    _check_total(counts, top, units)
    units["searches"] = counts.number(counts.section(top, "serverToolUsage"), *SEARCHES)
    return ProviderUsage(units=counts.checked(units), notes=tuple(notes))


def _cache_writes(counts: Counts, top: Section, notes: list[str]) -> tuple[int, int]:
    """Tokens written to a cache for an hour, and those written for five minutes."""
    written = counts.number(top, *CACHE_WRITE)
    split = {"5m": 0, ONE_HOUR: 0}
    for detail in counts.sections(top, "cacheDetails"):
        lifetime = ONE_HOUR if detail.values.get("ttl") == ONE_HOUR else "5m"
        split[lifetime] += counts.number(detail, "inputTokens")
    if all(top.values.get(name) is None for name in CACHE_WRITE):
        written = sum(split.values())
    counts.within(sum(split.values()), written, top, ("cacheDetails",), "the tokens written")
    if written > sum(split.values()):
        # Five minutes is the lifetime that a request gets without asking for one.
        notes.append(CACHE_TTL_ASSUMED)
    return split[ONE_HOUR], max(written - split[ONE_HOUR], 0)


def _check_total(counts: Counts, top: Section, units: Quantities) -> None:
    """The total is that of all classes; some models' own bodies leave the cached ones out of it."""
    total = counts.number(top, "totalTokens")
    fresh = units["input_text"] + units["output_text"]
    if total and total not in {sum(units.values()), fresh} and not counts.reasons:
        text = f"totalTokens is {total}, but its parts add up to {sum(units.values())}."
        counts.refuse("usage.totalTokens", "contradiction", text)


def read_titan_usage(usage: Mapping[str, Any]) -> ProviderUsage:
    """The units of a Titan answer: `inputTextTokenCount`, and the tokens of all its results.

    Raises:
        Invalid: counts that can't be, with every reason.
    """
    counts, top = Counts(), usage_section(usage)
    results = sum(counts.number(result, "tokenCount") for result in counts.sections(top, "results"))
    output = max(results, counts.number(top, *TITAN_OUTPUT))
    return ProviderUsage(
        counts.checked({"input_text": counts.number(top, *TITAN_INPUT), "output_text": output})
    )


def read_llama_usage(usage: Mapping[str, Any]) -> ProviderUsage:
    """The units of a Llama answer: `prompt_token_count` and `generation_token_count`.

    Raises:
        Invalid: counts that can't be, with every reason.
    """
    counts, top = Counts(), usage_section(usage)
    units = {
        "input_text": counts.number(top, *LLAMA_INPUT),
        "output_text": counts.number(top, *LLAMA_OUTPUT),
    }
    return ProviderUsage(counts.checked(units))


CONVERSE = Family(
    name="bedrock",
    shape='{"inputTokens", "outputTokens"} (Bedrock)',
    recognises=lambda usage: not frozenset((*INPUT, *OUTPUT)).isdisjoint(usage),
    read=read_bedrock_usage,
)
TITAN = Family(
    name="bedrock_titan",
    shape='{"inputTextTokenCount", …} (Titan)',
    recognises=lambda usage: TITAN_INPUT[0] in usage or TITAN_OUTPUT[0] in usage,
    read=read_titan_usage,
)
LLAMA = Family(
    name="bedrock_llama",
    shape='{"prompt_token_count", "generation_token_count"} (Llama)',
    recognises=lambda usage: LLAMA_OUTPUT[0] in usage,
    read=read_llama_usage,
)
