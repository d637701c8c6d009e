"""Which family a raw usage object belongs to, and its units by that family's rules.

The shape decides, because gateways and hosts put other names on the same objects; the provider's name
is asked only where the shape leaves it open. `{"input_tokens", "output_tokens"}` alone could be
Anthropic's or OpenAI's, and both readings agree. Which families there are stands in `registry.py`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from bursar.errors import Invalid, Reason
from bursar.usage.providers.provider_usage import ProviderUsage
from bursar.usage.providers.registry import FAMILIES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bursar.usage.providers.provider import Family

NAMES_REMEMBERED = 1024
"""Providers whose order of families is remembered; names come from callers, so there may be any."""


def normalise_usage(usage: Mapping[str, Any], provider: str | None = None) -> ProviderUsage:
    """Disjoint units of a provider's own usage object, and what it says about their price.

    An empty object says nothing and gives no units. Fields that a family doesn't know are ignored.

    Raises:
        Invalid: a shape that no family knows (`unknown_usage_shape`), one that two families would read
            differently (`ambiguous_usage_shape`), or numbers that can't be; with every reason.
    """
    if not usage:
        return ProviderUsage(units={})
    return family_of(usage, provider).read(usage)


def family_of(usage: Mapping[str, Any], provider: str | None = None) -> Family:
    """The family that reads this object.

    Raises:
        Invalid: none knows its shape, or two do and the provider's name doesn't settle which it is.
    """
    for family in _families_for(provider):
        if family.recognises(usage):
            dispute = family.is_disputed(usage) if family.is_disputed else ""
            return _settle(usage, provider, dispute) if dispute else family
    shapes = "; ".join(dict.fromkeys(family.shape for family in FAMILIES))
    text = f"The usage object has none of the known shapes: {shapes}. Send 'units' instead."
    raise _refusal("unknown_usage_shape", text)


@lru_cache(maxsize=NAMES_REMEMBERED)
def _families_for(provider: str | None) -> tuple[Family, ...]:
    """The families to ask, in order: those that the name speaks for, then all that need no name."""
    name = (provider or "").lower()
    first = [family for family in FAMILIES if _speaks(family.named, name)]
    others = [family for family in FAMILIES if family not in first and not family.only_named]
    return (*first, *others)


def _settle(usage: Mapping[str, Any], provider: str | None, dispute: str) -> Family:
    """The family of an object that fits two, which read it differently: the provider's own."""
    name = (provider or "").lower()
    for family in FAMILIES:
        if _speaks(family.settled_by, name) and family.recognises(usage):
            return family
    text = f"{dispute} Name the provider, or send 'units' instead."
    raise _refusal("ambiguous_usage_shape", text)


def _speaks(words: tuple[str, ...], name: str) -> bool:
    return any(word in name for word in words)


def _refusal(code: str, text: str) -> Invalid:
    return Invalid("The usage object was refused.", reasons=(Reason("usage", code, text),))
