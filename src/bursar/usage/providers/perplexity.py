"""Perplexity's usage object: OpenAI's, with searches, citations and reasoning beside it, and its own cost.

A Sonar call pays a fee for the request, searches included. Deep research pays for each search instead, and
for its citations and its reasoning, which stand beside input and output and outside of the total. Citations
cost as much as input, and are counted there.

Sources: https://docs.perplexity.ai/docs/getting-started/pricing and
https://docs.perplexity.ai/api-reference/chat-completions-post (`UsageInfo`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bursar.usage.providers.counts import Counts, usage_section
from bursar.usage.providers.dialects import OPENAI_ITSELF, imitation
from bursar.usage.providers.openai import read_openai_counts
from bursar.usage.providers.provider import Provider
from bursar.usage.providers.provider_usage import sum_units

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bursar.usage.providers.provider_usage import ProviderUsage

SEARCHES, CITATIONS, REASONING = "num_search_queries", "citation_tokens", "reasoning_tokens"
CITATIONS_AS_INPUT = "citations_taken_as_input"
DEAREST = "high"
FEE_OF_DEAREST = "request_fee_of_the_high_search_context"
"""The fee depends on `search_context_size`; price books have that of the largest."""
SEARCHES_IN_FEE = "searches_in_the_request_fee"


def read_perplexity_usage(usage: Mapping[str, Any]) -> ProviderUsage:
    """The disjoint units of Perplexity's usage object, and what it says that the call cost.

    Raises:
        Invalid: counts that can't be, or parts larger than their total; with every reason.
    """
    counts, top = Counts(), usage_section(usage)
    searches, citations = counts.number(top, SEARCHES), counts.number(top, CITATIONS)
    reasoning = counts.number(top, REASONING)
    is_deep = citations > 0 or reasoning > 0
    said = read_openai_counts(counts, top, OPENAI_ITSELF)
    beside = {"input_text": citations, "output_reasoning": reasoning, "searches": searches if is_deep else 0}
    notes = [*said.notes, *([CITATIONS_AS_INPUT] if citations else [])]
    if searches and not is_deep:
        notes.append(SEARCHES_IN_FEE)
    if (counts.word(top, "search_context_size") or DEAREST) != DEAREST and not is_deep:
        notes.append(FEE_OF_DEAREST)
    return replace(
        said,
        units=counts.checked(sum_units((said.units, beside))),
        context_tokens=counts.number(top, "prompt_tokens") if citations else None,
        notes=tuple(notes),
    )


PERPLEXITY = Provider(
    name="perplexity",
    labels=("pplx",),
    families=imitation(
        "perplexity",
        ("perplexity", "pplx"),
        read_perplexity_usage,
        frozenset((SEARCHES, CITATIONS, "search_context_size")),
    ),
)
