"""OpenAI's usage object: chat completions, responses, embeddings, images, audio, runs; Azure's is the same.

The totals include everything. `prompt_tokens` (`input_tokens` in the Responses API) holds cached,
cache-written, audio and image tokens; `completion_tokens` (`output_tokens`) holds reasoning, audio and
both kinds of prediction tokens, accepted or rejected, which are billed as plain output. So each class
is taken out of its total and text is what remains. Some transcriptions are billed by the second and say
so. Most other providers imitate the object, each with differences of its own: `dialects.py` says which
there can be.

Sources: types `CompletionUsage`, `ResponseUsage`, `ImagesResponse` and `TranscriptionVerbose` of the openai
SDK 3.52, and recorded answers, in all of which total = input + output.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bursar.usage.providers.counts import Counts, Section, usage_section
from bursar.usage.providers.dialects import OPENAI_ITSELF, Dialect, Excess, is_chat
from bursar.usage.providers.provider import Family
from bursar.usage.providers.provider_usage import ProviderUsage
from bursar.usage.providers.reported_costs import read_reported_cost

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bursar.units import Quantities

INPUT = ("prompt_tokens", "input_tokens")
OUTPUT = ("completion_tokens", "output_tokens")
INPUT_DETAILS = (
    "prompt_tokens_details",
    "input_tokens_details",
    "prompt_token_details",  # assistants' runs
    "input_token_details",  # transcriptions, realtime
)
OUTPUT_DETAILS = ("completion_tokens_details", "output_tokens_details", "output_token_details")
REASONING = ("reasoning_tokens", "thinking_tokens")
CACHED = ("cached_tokens", "cache_write_tokens")
MEDIA = ("audio_tokens", "image_tokens", "video_tokens")

HIDDEN_OUTPUT = "output_beyond_completion_tokens"
IMAGES_ASSUMED = "output_taken_as_images"
CACHED_AUDIO_INFERRED = "cached_audio_inferred"
REASONING_CAPPED = "reasoning_capped_at_output"


def read_openai_usage(usage: Mapping[str, Any], dialect: Dialect = OPENAI_ITSELF) -> ProviderUsage:
    """The disjoint units of an OpenAI-shaped usage object.

    Raises:
        Invalid: counts that can't be, or parts larger than their total; with every reason.
    """
    counts, top = Counts(), usage_section(usage)
    return read_openai_counts(counts, top, dialect)


def read_openai_counts(counts: Counts, top: Section, dialect: Dialect) -> ProviderUsage:
    """The same with counts that a provider's own file has begun to read, and may have objected to."""
    total_in, total_out = counts.number(top, *INPUT), counts.number(top, *OUTPUT)
    if dialect.reasoning_beside:
        total_out += _reasoning_beside(counts, top, total_in + total_out)
    excess = _excess(counts, top, total_in + total_out)
    if dialect.excess is Excess.INPUT:
        total_in += excess
    hidden = excess if dialect.excess is Excess.OUTPUT else 0
    if hidden:
        counts.notes.append(HIDDEN_OUTPUT)
    units = _input_units(counts, top, total_in, dialect)
    if _is_image_generation(top.values):
        units["output_image"] = total_out + hidden
        counts.notes.append(IMAGES_ASSUMED)
    else:
        units |= _output_units(counts, top, total_out + hidden, hidden, dialect)
    return ProviderUsage(
        reported_cost=read_reported_cost(counts, top),
        service_tier=_tier(counts, top),
        units=counts.checked(units),
        notes=tuple(counts.notes),
    )


def _tier(counts: Counts, top: Section) -> str | None:
    """The tier that gateways put into the usage object; `auto` is a request's wish and names none."""
    tier = counts.word(top, "service_tier")
    return None if tier == "auto" else tier


def _input_units(counts: Counts, top: Section, total: int, dialect: Dialect) -> Quantities:
    details = counts.section(top, *INPUT_DETAILS)
    cached = _cached(counts, top, details, dialect)
    if not details.values:
        counts.within(cached, total, top, dialect.cached, "all input tokens")
        return {"input_text": total - cached, "cache_read_text": cached}
    written = counts.number(details, "cache_write_tokens")
    audio, image = counts.number(details, "audio_tokens"), _images(counts, details)
    counts.within(cached + written, total, details, CACHED, "all input tokens")
    counts.within(audio + image, total, details, MEDIA, "all input tokens")
    long_lived = _long_lived_writes(counts, details, written) if written else 0
    units = {
        "input_text": total - cached - written,
        "cache_read_text": cached,
        "cache_write_5m": written - long_lived,
        "cache_write_1h": long_lived,
    }
    if (audio or image) and not counts.reasons:
        _take_media_out(counts, details, units)
    return units


def _cached(counts: Counts, top: Section, details: Section, dialect: Dialect) -> int:
    """Cached tokens among the details, or else where the dialect has them."""
    said = counts.number(details, "cached_tokens")
    return said or counts.number(top, *dialect.cached)


def _images(counts: Counts, details: Section) -> int:
    """Tokens of images and, where OpenRouter counts them apart, of video: frames are images."""
    return counts.number(details, "image_tokens") + counts.number(details, "video_tokens")


def _take_media_out(counts: Counts, details: Section, units: Quantities) -> None:
    """Move audio and image tokens from the text classes, where they were counted, to their own."""
    audio, image = counts.number(details, "audio_tokens"), _images(counts, details)
    fresh, cached = units["input_text"], units["cache_read_text"]
    cached_audio, cached_image = _cached_media(counts, details, cached)
    if cached_audio is None:
        # Prompts are cached from their beginning, where text stands: audio is cached only where it doesn't
        # fit into the uncached rest.
        cached_audio = min(max(audio - fresh, 0), cached)
        if cached_audio:
            counts.notes.append(CACHED_AUDIO_INFERRED)
    units["input_audio"] = min(max(audio - cached_audio, 0), fresh)
    units["input_image"] = min(max(image - cached_image, 0), fresh - units["input_audio"])
    units["input_text"] = fresh - units["input_audio"] - units["input_image"]
    units["cache_read_text"] = cached - cached_audio
    units["cache_read_audio"] = cached_audio


def _cached_media(counts: Counts, details: Section, cached: int) -> tuple[int | None, int]:
    """Audio (None where not said) and image tokens among the cached ones."""
    split = counts.section(details, "cached_tokens_details")
    if not split.values:
        return None, 0
    audio, image = counts.number(split, "audio_tokens"), counts.number(split, "image_tokens")
    counts.within(audio + image, cached, split, MEDIA, "all cached tokens")
    return audio, image


def _long_lived_writes(counts: Counts, details: Section, written: int) -> int:
    """Tokens written to a cache that is kept for hours; `ttl_30m_tokens` and unsplit writes are not."""
    split = counts.section(details, "cache_write_tokens_details")
    names = [name for name in split.values if name.startswith("ttl_") and name.endswith("h_tokens")]
    long_lived = sum(counts.number(split, name) for name in names)
    counts.within(long_lived, written, split, names or ("ttl_12h_tokens",), "all cache-written tokens")
    return long_lived


def _output_units(counts: Counts, top: Section, total: int, hidden: int, dialect: Dialect) -> Quantities:
    details = counts.section(top, *OUTPUT_DETAILS)
    if not details.values:
        return {"output_text": total - hidden, "output_reasoning": hidden}
    reasoning = max(counts.number(details, *REASONING), hidden)
    audio, image = counts.number(details, "audio_tokens"), counts.number(details, "image_tokens")
    if dialect.caps_reasoning and reasoning > total - audio - image:
        reasoning = max(total - audio - image, 0)
        counts.notes.append(REASONING_CAPPED)
    if not counts.reasons:
        counts.within(reasoning + audio + image, total, details, REASONING, "all output tokens")
    return {
        "output_text": total - reasoning - audio - image,
        "output_reasoning": reasoning,
        "output_audio": audio,
        "output_image": image,
    }


def _reasoning_beside(counts: Counts, top: Section, counted: int) -> int:
    """Reasoning that the output doesn't hold; none where the total shows that it does."""
    if counts.number(top, "total_tokens") == counted:
        return 0
    return counts.number(counts.section(top, *OUTPUT_DETAILS), *REASONING)


def _excess(counts: Counts, top: Section, counted: int) -> int:
    """What only `total_tokens` tells of; what it holds is the dialect's to say."""
    total = counts.number(top, "total_tokens")
    if not total or counts.reasons:
        return 0
    if total < counted:
        text = f"total_tokens is {total}, but input and output add up to {counted}."
        counts.refuse("usage.total_tokens", "contradiction", text)
        return 0
    return total - counted


def _is_image_generation(usage: Mapping[str, Any]) -> bool:
    """Whether this is the Images API's first shape, whose output is images without saying so."""
    details = usage.get("input_tokens_details")
    if not isinstance(details, dict) or any(name in usage for name in OUTPUT_DETAILS):
        return False
    return "image_tokens" in details and "cached_tokens" not in details


def read_duration(usage: Mapping[str, Any]) -> ProviderUsage:
    """The seconds of a transcription that is billed by them.

    Raises:
        Invalid: seconds that can't be.
    """
    counts, top = Counts(), usage_section(usage)
    return ProviderUsage(units=counts.checked({"seconds": counts.steps(top, "seconds", "seconds")}))


def _is_turn(usage: Mapping[str, Any]) -> bool:
    return "input_tokens" in usage or "output_tokens" in usage


DURATION = Family(
    name="openai_duration",
    shape='{"type": "duration", "seconds"} (OpenAI transcriptions)',
    recognises=lambda usage: usage.get("type") == "duration",
    read=read_duration,
)
CHAT = Family(
    name="openai_chat",
    shape='{"prompt_tokens", "completion_tokens"} (OpenAI)',
    recognises=is_chat,
    read=read_openai_usage,
    named=("openai", "azure"),
)
RESPONSES = Family(
    name="openai_responses",
    shape='{"input_tokens", "input_tokens_details", …} (OpenAI Responses)',
    recognises=_is_turn,
    read=read_openai_usage,
    settled_by=("openai", "azure"),
)
