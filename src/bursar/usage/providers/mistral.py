"""Mistral's usage objects: OpenAI's for chat and embeddings, audio in seconds, documents in pages.

Cached tokens are part of the prompt and stand under one of two names. Audio is billed by the second
(`prompt_audio_seconds`) and its tokens stand in the total only. What connectors of an agent brought in
stands in the total too (188 + 55 + 7112 connector tokens = 7355) and is input; their calls are counted by
name. OCR has `usage_info` with pages.

Sources: types `UsageInfo`, `ConversationUsageInfo` and `OCRUsageInfo` of the mistralai SDK;
https://docs.mistral.ai/capabilities/audio_transcription (203 seconds, prompt 4, completion 635, total 3264)
and https://docs.mistral.ai/agents/connectors/websearch; recorded answers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bursar.units import CUSTOM_SCALE
from bursar.usage.providers.chunks import object_in
from bursar.usage.providers.counts import Counts, Section, usage_section
from bursar.usage.providers.dialects import Dialect, Excess, imitation
from bursar.usage.providers.openai import read_openai_counts
from bursar.usage.providers.provider import Family, Provider
from bursar.usage.providers.provider_usage import ProviderUsage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bursar.units import Quantities

CACHED = "num_cached_tokens"
AUDIO = "prompt_audio_seconds"
CONNECTOR_TOKENS = "connector_tokens"
PAGES = "pages_processed"
ANNOTATED = "pages_processed_annotation"
WEB_SEARCHES = ("web_search", "web_search_premium")
AUDIO_BY_THE_SECOND = "audio_billed_by_the_second"


def read_mistral_usage(usage: Mapping[str, Any]) -> ProviderUsage:
    """The disjoint units of a chat, an embedding, a transcription or an agent's conversation.

    Raises:
        Invalid: counts that can't be, or parts larger than their total; with every reason.
    """
    counts, top = Counts(), usage_section(usage)
    # The SDK writes an unset value as an empty object.
    seconds = 0 if isinstance(usage.get(AUDIO), dict) else counts.steps(top, "seconds", AUDIO)
    excess = Excess.OUTPUT
    if seconds:
        excess = Excess.BILLED_OTHERWISE
    elif counts.number(top, CONNECTOR_TOKENS):
        excess = Excess.INPUT
    custom, searches = _connector_calls(counts, top)
    said = read_openai_counts(counts, top, Dialect(cached=(CACHED,), excess=excess))
    beside = {"seconds": seconds, "searches": searches}
    return replace(
        said,
        units=said.units | {name: quantity for name, quantity in beside.items() if quantity},
        custom=custom,
        notes=(*said.notes, AUDIO_BY_THE_SECOND) if seconds else said.notes,
    )


def _connector_calls(counts: Counts, top: Section) -> tuple[Quantities, int]:
    """Calls of connectors that are billed by the call; others by their tokens alone."""
    calls = counts.section(top, "connectors")
    searches = sum(counts.number(calls, name) for name in WEB_SEARCHES)
    executions = counts.number(calls, "code_interpreter")
    return ({"code_executions": executions * 10**CUSTOM_SCALE} if executions else {}), searches


def read_pages(usage: Mapping[str, Any]) -> ProviderUsage:
    """The pages of a document, those with annotations apart: they cost more, so they have no built-in unit.

    Raises:
        Invalid: counts that can't be, or more annotated pages than pages.
    """
    counts, top = Counts(), usage_section(usage)
    pages, annotated = counts.number(top, PAGES), counts.number(top, ANNOTATED)
    counts.within(annotated, pages, top, (ANNOTATED,), "all pages")
    units = counts.checked({"pages": pages - annotated})
    return ProviderUsage(units, {"annotated_pages": annotated * 10**CUSTOM_SCALE} if annotated else {})


def answer_of_mistral(body: Mapping[str, Any], _headers: Mapping[str, str]) -> Mapping[str, Any]:
    """The answer with the usage of a document where others have theirs."""
    pages = object_in(body.get("usage_info"))
    return {**body, "usage": pages} if pages else body


MISTRAL = Provider(
    name="mistral",
    families=(
        *imitation("mistral", ("mistral",), read_mistral_usage, frozenset((CACHED, AUDIO, CONNECTOR_TOKENS))),
        Family(
            name="mistral_pages",
            shape='{"pages_processed"} (Mistral OCR)',
            recognises=lambda usage: PAGES in usage,
            read=read_pages,
        ),
    ),
    api_of=lambda body: "ocr" if object_in(body.get("usage_info")) and "pages" in body else "",
    answer_of=answer_of_mistral,
)
