"""Google's usage metadata: generateContent of the Gemini API and of Vertex AI, Live and Interactions.

`promptTokenCount` includes cached content, but not the results of tools, which are input too.
`candidatesTokenCount` excludes thoughts. Zero fields are left out. Each count may be split by modality;
Vertex writes modalities and traffic types as words or, in JSON derived from protocol buffers, as
numbers. Names may come in camel case or, out of Python's SDK, in snake case; the Interactions API has
names of its own with the same meaning.

Sources: `GenerateContentResponseUsageMetadata`, `MediaModality` and `TrafficType` of google-genai 3.4 and
google-cloud-aiplatform; recorded answers, in which total = prompt + candidates + thoughts + tool use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from bursar.usage.providers.counts import Counts, Section, usage_section
from bursar.usage.providers.provider import Family
from bursar.usage.providers.provider_usage import ProviderUsage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bursar.units import Quantities

PROMPT = ("promptTokenCount", "prompt_token_count", "total_input_tokens")
CACHED = ("cachedContentTokenCount", "cached_content_token_count", "total_cached_tokens")
OUTPUT = (
    "candidatesTokenCount",
    "responseTokenCount",  # Live API
    "candidates_token_count",
    "response_token_count",
    "total_output_tokens",
)
THOUGHTS = ("thoughtsTokenCount", "thoughts_token_count", "total_thought_tokens")
TOOL_USE = ("toolUsePromptTokenCount", "tool_use_prompt_token_count", "total_tool_use_tokens")
TOTAL = ("totalTokenCount", "total_token_count", "total_tokens")

PROMPT_DETAILS = (
    "promptTokensDetails",
    "promptTokenDetails",  # embeddings
    "prompt_tokens_details",
    "input_tokens_by_modality",
)
CACHED_DETAILS = ("cacheTokensDetails", "cache_tokens_details", "cached_tokens_by_modality")
OUTPUT_DETAILS = (
    "candidatesTokensDetails",
    "responseTokensDetails",
    "candidates_tokens_details",
    "response_tokens_details",
    "output_tokens_by_modality",
)
TOOL_USE_DETAILS = (
    "toolUsePromptTokensDetails",
    "tool_use_prompt_tokens_details",
    "tool_use_tokens_by_modality",
)
DETAIL_COUNT = ("tokenCount", "token_count", "tokens")
TRAFFIC = ("trafficType", "traffic_type")
TIER = ("serviceTier", "service_tier")

MODALITIES: dict[str | int, str] = {
    "MODALITY_UNSPECIFIED": "text",
    "TEXT": "text",
    "DOCUMENT": "text",
    "IMAGE": "image",
    "VIDEO": "image",
    "AUDIO": "audio",
    0: "text",
    1: "text",
    2: "image",
    3: "image",
    4: "audio",
    5: "text",
}
"""What each modality is counted as: frames of video are images, pages of a document are text."""

TIERS: dict[str | int, str | None] = {
    "TRAFFIC_TYPE_UNSPECIFIED": None,
    "ON_DEMAND": "standard",
    "ON_DEMAND_PRIORITY": "priority",
    "ON_DEMAND_FLEX": "flex",
    "ON_DEMAND_OFFPEAK": "offpeak",
    "PROVISIONED_THROUGHPUT": "provisioned_throughput",
    0: None,
    1: "standard",
    2: "provisioned_throughput",
    3: "priority",
    4: "flex",
}
"""Vertex's traffic types in the words of the Gemini API's `serviceTier`."""

HIDDEN_OUTPUT = "output_beyond_candidates"
CACHED_MODALITY_INFERRED = "cached_modality_inferred"
UNKNOWN_MODALITY = "unknown_modality_taken_as_text"


class _Split(NamedTuple):
    """A count by what it is counted as; the three add up to it."""

    text: int
    image: int
    audio: int


def read_gemini_usage(usage: Mapping[str, Any]) -> ProviderUsage:
    """The disjoint units of a Gemini usage metadata object.

    Raises:
        Invalid: counts that can't be, or parts larger than their total; with every reason.
    """
    counts, top = Counts(), usage_section(usage)
    notes: list[str] = []
    prompt = counts.number(top, *PROMPT)
    tool_use = counts.number(top, *TOOL_USE)
    output = counts.number(top, *OUTPUT)
    thoughts = counts.number(top, *THOUGHTS)
    hidden = _hidden_output(counts, top, prompt + tool_use + output + thoughts)
    units = _input_units(counts, top, prompt, notes)
    tools = _split(counts, top, TOOL_USE_DETAILS, tool_use, notes)
    units["input_text"] += tools.text
    units["input_image"] += tools.image
    units["input_audio"] += tools.audio
    answer = _split(counts, top, OUTPUT_DETAILS, output, notes)
    units["output_text"], units["output_image"], units["output_audio"] = answer
    units["output_reasoning"] = thoughts + hidden
    if hidden:
        notes.append(HIDDEN_OUTPUT)
    tier = _service_tier(counts, top)
    return ProviderUsage(
        units=counts.checked(units),
        service_tier=tier,
        # Prices for long prompts go by the prompt; what tools return comes on top of it.
        context_tokens=prompt if tool_use else None,
        notes=tuple(dict.fromkeys(notes)) if notes else (),
    )


def _input_units(counts: Counts, top: Section, prompt: int, notes: list[str]) -> Quantities:
    split = _split(counts, top, PROMPT_DETAILS, prompt, notes)
    cached = counts.number(top, *CACHED)
    counts.within(cached, prompt, top, CACHED, "the whole prompt")
    if counts.reasons:
        return dict.fromkeys(("input_text", "input_image", "input_audio"), 0)
    if not cached:
        cached_split = _Split(0, 0, 0)
    elif any(top.values.get(name) for name in CACHED_DETAILS):
        cached_split = _split(counts, top, CACHED_DETAILS, cached, notes)
    else:
        cached_split = _infer_cached(cached, split, notes)
    fresh = prompt - cached
    audio = min(max(split.audio - cached_split.audio, 0), fresh)
    image = min(max(split.image - cached_split.image, 0), fresh - audio)
    return {
        "input_text": fresh - audio - image,
        "input_image": image,
        "input_audio": audio,
        "cache_read_text": cached - cached_split.audio,
        "cache_read_audio": cached_split.audio,
    }


def _infer_cached(cached: int, prompt: _Split, notes: list[str]) -> _Split:
    """Which part of a prompt was cached where the answer doesn't say: text first, audio last."""
    text = min(cached, prompt.text)
    image = min(cached - text, prompt.image)
    if cached > text:
        notes.append(CACHED_MODALITY_INFERRED)
    return _Split(text, image, cached - text - image)


def _split(counts: Counts, top: Section, names: tuple[str, ...], total: int, notes: list[str]) -> _Split:
    """A count by modality; what its details leave open is text."""
    details = counts.sections(top, *names)
    if not details:
        return _Split(total, 0, 0)
    by_kind = {"image": 0, "audio": 0, "text": 0}
    for detail in details:
        kind = _kind_of(detail.values.get("modality"))
        if kind is None:
            notes.append(UNKNOWN_MODALITY)
        by_kind[kind or "text"] += counts.number(detail, *DETAIL_COUNT)
    counts.within(sum(by_kind.values()), total, top, names, "the count that they split")
    return _Split(total - by_kind["image"] - by_kind["audio"], by_kind["image"], by_kind["audio"])


def _kind_of(modality: object) -> str | None:
    if modality is None:
        return "text"
    if isinstance(modality, str):
        return MODALITIES.get(modality.upper())
    return MODALITIES.get(modality) if type(modality) is int else None


def _hidden_output(counts: Counts, top: Section, counted: int) -> int:
    """Output that only the total tells of: thoughts of models that don't report them."""
    total = counts.number(top, *TOTAL)
    if not total or total == counted or counts.reasons:
        return 0
    field = f"usage.{_present(top, TOTAL)}"
    if counted and total > counted:
        return total - counted
    if counted:
        text = f"The total is {total}, but its parts add up to {counted}."
        counts.refuse(field, "contradiction", text)
    else:
        text = f"Only a total ({total}) is given; it can't be split into input and output."
        counts.refuse(field, "only_a_total", text)
    return 0


def _service_tier(counts: Counts, top: Section) -> str | None:
    traffic = top.values.get(_present(top, TRAFFIC))
    if isinstance(traffic, str):
        word = counts.word(top, *TRAFFIC)
        return TIERS.get(traffic, word.lower() if word else None)
    if type(traffic) is int:
        # A number that we don't know is a tier that we don't know: never the standard price.
        return TIERS.get(traffic, f"traffic_type_{traffic}"[:32])
    tier = counts.word(top, *TIER)
    return tier.lower() if tier else None


def _present(top: Section, names: tuple[str, ...]) -> str:
    return next((name for name in names if name in top.values), names[0])


_OWN_FIELDS = frozenset(
    (*PROMPT, *CACHED, *OUTPUT, *THOUGHTS, *TOOL_USE, *TRAFFIC, "totalTokenCount", "total_token_count")
)

GEMINI_USAGE = Family(
    name="gemini",
    shape='{"promptTokenCount", …} (Gemini)',
    recognises=lambda usage: not _OWN_FIELDS.isdisjoint(usage),
    read=read_gemini_usage,
    named=("google", "gemini", "vertex"),
)
