"""Which family a raw usage object belongs to, and its units by that family's rules.

The shape decides, because gateways and hosts put other names on the same objects; the provider's name
is asked only where the shape leaves it open. `{"input_tokens", "output_tokens"}` alone could be
Anthropic's or OpenAI's, and both readings agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bursar.errors import Invalid, Reason
from bursar.usage.providers import gemini
from bursar.usage.providers.anthropic import read_anthropic_usage
from bursar.usage.providers.gemini import read_gemini_usage
from bursar.usage.providers.openai import read_openai_usage
from bursar.usage.providers.provider_usage import ProviderUsage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_GEMINI_FIELDS = frozenset(
    (
        *gemini.PROMPT,
        *gemini.CACHED,
        *gemini.OUTPUT,
        *gemini.THOUGHTS,
        *gemini.TOOL_USE,
        *gemini.TRAFFIC,
        "totalTokenCount",
        "total_token_count",
    )
)
_CHAT_FIELDS = frozenset(("prompt_tokens", "completion_tokens"))
_TURN_FIELDS = frozenset(("input_tokens", "output_tokens"))
_ANTHROPIC_FIELDS = frozenset(
    (
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
        "cache_creation",
        "server_tool_use",
        "inference_geo",
        "iterations",
    )
)
_ANTHROPIC_WORDS = frozenset(("service_tier", "speed"))
"""Anthropic's too, but a caller may have put OpenAI's own `service_tier` beside its counts."""
_RESPONSES_DETAILS = frozenset(("input_tokens_details", "input_token_details"))


def _is_gemini(usage: Mapping[str, Any]) -> bool:
    return not _GEMINI_FIELDS.isdisjoint(usage)


def _is_chat(usage: Mapping[str, Any]) -> bool:
    return not _CHAT_FIELDS.isdisjoint(usage)


def _is_anthropic(usage: Mapping[str, Any]) -> bool:
    if _TURN_FIELDS.isdisjoint(usage):
        return False
    if not _ANTHROPIC_FIELDS.isdisjoint(usage):
        return True
    return not _ANTHROPIC_WORDS.isdisjoint(usage) and _RESPONSES_DETAILS.isdisjoint(usage)


def _is_turn(usage: Mapping[str, Any]) -> bool:
    return not _TURN_FIELDS.isdisjoint(usage)


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of usage object: how it is recognised and read."""

    name: str
    provider_words: tuple[str, ...]
    """Words in a provider's name that speak for this family where two shapes fit."""
    shape: str
    """The shape as a person would write it, for the refusal of an unknown one."""
    recognises: Callable[[Mapping[str, Any]], bool]
    read: Callable[[Mapping[str, Any]], ProviderUsage]


CHAT = Family(
    "openai_chat", (), '{"prompt_tokens", "completion_tokens"} (OpenAI)', _is_chat, read_openai_usage
)
GEMINI = Family("gemini", (), '{"promptTokenCount", …} (Gemini)', _is_gemini, read_gemini_usage)
ANTHROPIC = Family(
    "anthropic",
    ("anthropic", "claude"),
    '{"input_tokens", "cache_read_input_tokens", …} (Anthropic)',
    _is_anthropic,
    read_anthropic_usage,
)
RESPONSES = Family(
    "openai_responses",
    ("openai", "azure"),
    '{"input_tokens", "input_tokens_details", …} (OpenAI Responses)',
    _is_turn,
    read_openai_usage,
)
FAMILIES = (CHAT, ANTHROPIC, RESPONSES, GEMINI)
"""Every family that is understood, the most telling shape first."""


def normalise_usage(usage: Mapping[str, Any], provider: str | None = None) -> ProviderUsage:
    """Disjoint units of a provider's own usage object, and what it says about their price.

    An empty object says nothing and gives no units. Fields that a family doesn't know are ignored.

    Raises:
        Invalid: a shape that no family knows (`unknown_usage_shape`), one that two families would read
            differently (`ambiguous_usage_shape`), or numbers that can't be; with every reason.
    """
    if not usage:
        return ProviderUsage(units={})
    return _family_of(usage, provider).read(usage)


def _family_of(usage: Mapping[str, Any], provider: str | None) -> Family:
    for family in FAMILIES:
        if family.recognises(usage):
            if family is ANTHROPIC and not _RESPONSES_DETAILS.isdisjoint(usage):
                return _settle(provider)
            return family
    shapes = "; ".join(family.shape for family in FAMILIES)
    text = f"The usage object has none of the known shapes: {shapes}. Send 'units' instead."
    raise _refusal("unknown_usage_shape", text)


def _settle(provider: str | None) -> Family:
    """The family of an object that fits two, which disagree about cached tokens: the provider's own."""
    name = (provider or "").lower()
    for family in (ANTHROPIC, RESPONSES):
        if any(word in name for word in family.provider_words):
            return family
    text = (
        "Cached tokens may be inside input_tokens (OpenAI) or beside them (Anthropic), and this object "
        "has fields of both. Name the provider, or send 'units' instead."
    )
    raise _refusal("ambiguous_usage_shape", text)


def _refusal(code: str, text: str) -> Invalid:
    return Invalid("The usage object was refused.", reasons=(Reason("usage", code, text),))
