"""DeepSeek's usage object: OpenAI's, with the prompt split into cache hits and misses beside the totals.

`prompt_cache_hit_tokens` + `prompt_cache_miss_tokens` = `prompt_tokens`; hits are billed as cache reads. Its
Responses API has OpenAI's details instead. Reasoning is part of the completion.

Sources: https://api-docs.deepseek.com/guides/kv_cache and
https://api-docs.deepseek.com/api/create-chat-completion; recorded answers, in all of which the hits equal
`prompt_tokens_details.cached_tokens`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bursar.usage.providers.counts import Counts, usage_section
from bursar.usage.providers.dialects import Dialect, imitation
from bursar.usage.providers.openai import read_openai_counts
from bursar.usage.providers.provider import Provider

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bursar.usage.providers.provider_usage import ProviderUsage

HIT, MISS = "prompt_cache_hit_tokens", "prompt_cache_miss_tokens"
DIALECT = Dialect(cached=(HIT,))


def read_deepseek_usage(usage: Mapping[str, Any]) -> ProviderUsage:
    """The disjoint units of DeepSeek's usage object.

    Raises:
        Invalid: counts that can't be, or hits and misses that aren't the prompt; with every reason.
    """
    counts, top = Counts(), usage_section(usage)
    if usage.get(HIT) is not None and usage.get(MISS) is not None:
        split = counts.number(top, HIT) + counts.number(top, MISS)
        prompt = counts.number(top, "prompt_tokens")
        if split != prompt and not counts.reasons:
            text = f"Cache hits and misses add up to {split}, but the prompt has {prompt} tokens."
            counts.refuse(f"usage.{HIT}", "contradiction", text)
    return read_openai_counts(counts, top, DIALECT)


DEEPSEEK = Provider(
    name="deepseek",
    families=imitation("deepseek", ("deepseek",), read_deepseek_usage, frozenset((HIT, MISS))),
)
