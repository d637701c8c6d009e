"""How providers that imitate OpenAI's usage object differ from it, and how their objects are recognised.

The differences are named here and nowhere explained away: each provider's own file says which are its own,
with the source. The reading itself, of all of them, is in `openai.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from bursar.usage.providers.provider import Family

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bursar.usage.providers.provider_usage import ProviderUsage


class Excess(StrEnum):
    """What a total holds that neither input nor output does."""

    OUTPUT = "output"
    """Gemini's OpenAI-compatible endpoint hides its thoughts there; OpenAI itself has none."""
    INPUT = "input"
    BILLED_OTHERWISE = "billed_otherwise"


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a provider that imitates OpenAI's usage object differs from it."""

    cached: tuple[str, ...] = ()
    """Names beside the totals under which cached tokens stand, which are part of the prompt."""
    excess: Excess = Excess.OUTPUT
    reasoning_beside: bool = False
    """Whether reasoning stands beside the completion tokens, unless the total says otherwise."""
    caps_reasoning: bool = False
    """Whether reasoning is counted another way than the output it belongs to, and may exceed it."""


OPENAI_ITSELF = Dialect()


def is_chat(usage: Mapping[str, Any]) -> bool:
    """Whether an object has the names of chat completions."""
    return "prompt_tokens" in usage or "completion_tokens" in usage


def imitates_openai(usage: Mapping[str, Any]) -> bool:
    """Whether an object is shaped like OpenAI's and can't be Anthropic's."""
    if is_chat(usage):
        return True
    return "input_tokens_details" in usage and "cache_read_input_tokens" not in usage


def imitation(
    name: str,
    words: tuple[str, ...],
    read: Callable[[Mapping[str, Any]], ProviderUsage],
    telling: frozenset[str] = frozenset(),
) -> tuple[Family, ...]:
    """The families of a provider that imitates OpenAI: by its telling fields, and by its name.

    A gateway may put another name on an object that tells whose it is; one that doesn't is read as the
    provider's where it is named.
    """
    shape = '{"prompt_tokens", "completion_tokens"} (OpenAI)'
    by_fields = Family(
        name=name,
        shape=f'{{"prompt_tokens", "{min(telling, default="")}", …}} ({name})',
        recognises=lambda usage: not telling.isdisjoint(usage) and imitates_openai(usage),
        read=read,
        named=words,
    )
    by_name = Family(
        name=f"{name}_named", shape=shape, recognises=imitates_openai, read=read, named=words, only_named=True
    )
    return (by_fields, by_name) if telling else (by_name,)
