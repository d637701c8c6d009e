"""The quick look at an event that says whether rules would change anything, which they nearly never do.

Every event pays for it: names of tags and metadata are looked at once and remembered, and a value that is
too short to be anything takes a comparison. A test holds it to what `cleaner.py` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from bursar.usage.json_shape import is_list, is_object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bursar.usage.event import UsageEvent
    from bursar.usage.privacy.rules import PrivacyRules

HARMLESS_LIMIT = 4096
"""Names of metadata and tags that are known to be harmless: real ones are few, and made-up ones must not
fill the memory."""

_NO_FIGURES = frozenset[type]([bool, type(None)])
_FIGURES = _NO_FIGURES.union((int, float))


class Finder(Protocol):
    """What tells whether single texts and names would change."""

    rules: PrivacyRules
    shortest: int
    """Characters; nothing shorter is looked at."""
    looks_at_figures: bool
    """Whether a number may be something that goes."""

    def is_harmless(self, name: str) -> bool:
        """Whether a name stays, and says nothing about its value."""
        ...

    def is_found_in(self, text: str) -> bool:
        """Whether a text would change."""
        ...

    def is_kept_figure(self, value: object) -> bool:
        """Whether what is no text, object or list stays."""
        ...


def glance_of(finder: Finder) -> Callable[[UsageEvent], bool]:
    """What says that nothing of tags, metadata and endpoint would change; from any thread."""
    endpoints = set[str]()
    are_tags_clean = _looking(finder, finder.rules.allowed_tags)
    is_metadata_clean = _looking(finder, finder.rules.allowed_metadata)

    def is_endpoint_clean(endpoint: str) -> bool:
        if finder.is_found_in(endpoint):
            return False
        if len(endpoints) < HARMLESS_LIMIT:
            endpoints.add(endpoint)
        return True

    def is_clean(event: UsageEvent) -> bool:
        tags, metadata, endpoint = event.tags, event.metadata, event.endpoint
        return (
            (tags is None or are_tags_clean(tags))
            and (metadata is None or is_metadata_clean(metadata))
            and (endpoint is None or endpoint in endpoints or is_endpoint_clean(endpoint))
        )

    return is_clean


def _looking(finder: Finder, allowed: frozenset[str] | None) -> Callable[[dict[str, Any]], bool]:
    """What looks at tags, or at metadata."""
    shortest, is_found_in = finder.shortest, finder.is_found_in
    plain = _NO_FIGURES if finder.looks_at_figures else _FIGURES
    known = set[str]()
    are_known, learn = known.issuperset, _learning(known, finder, allowed)

    def is_clean(part: dict[str, Any]) -> bool:
        if not are_known(part) and not learn(part):
            return False
        for value in part.values():
            if isinstance(value, str):
                if len(value) >= shortest and is_found_in(value):
                    return False
            elif value.__class__ not in plain:
                return _are_clean(part.values(), finder)
        return True

    return is_clean


def _learning(
    known: set[str], finder: Finder, allowed: frozenset[str] | None
) -> Callable[[Iterable[str]], bool]:
    """What says whether names are harmless, and remembers those that are."""

    def learn(names: Iterable[str]) -> bool:
        for name in names:
            if name not in known:
                if (allowed is not None and name not in allowed) or not finder.is_harmless(name):
                    return False
                if len(known) < HARMLESS_LIMIT:
                    known.add(name)
        return True

    return learn


def _are_clean(values: Iterable[Any], finder: Finder) -> bool:
    """Whether no value of free JSON would change; without recursion, so that none exhausts the stack."""
    waiting = [values]
    for some in waiting:
        for value in some:
            if is_object(value):
                if not all(map(finder.is_harmless, value)):
                    return False
                waiting.append(value.values())
            elif is_list(value):
                waiting.append(value)
            elif not _is_leaf_clean(value, finder):
                return False
    return True


def _is_leaf_clean(value: object, finder: Finder) -> bool:
    if isinstance(value, str):
        return len(value) < finder.shortest or not finder.is_found_in(value)
    return finder.is_kept_figure(value)
