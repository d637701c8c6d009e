"""Entries of the price book: which models a provider sells and by which names they are called.

An entry has no prices; those are rows (`rows.py`) that name the entry's provider and id. Entries are
values that can be stored: a rule for names is data, and only a provider's index (`ModelIndex`) turns
it into tests. How the words of a call lead to an entry is told in `match.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import msgspec

from bursar.pricing.documents import Document

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bursar.pricing.rows import PriceRow

NameRuleKind = Literal["equals", "starts_with", "ends_with", "contains", "regex", "any", "all"]


class NameRule(msgspec.Struct, frozen=True, omit_defaults=True):
    """A test of a lower-case model name; `any` and `all` combine their parts, the others hold a text."""

    kind: NameRuleKind
    text: str = ""
    """In lower case, but for a regular expression, which is searched for as it is."""
    parts: tuple[NameRule, ...] = ()

    def described(self) -> str:
        """The rule in one word, such as `starts_with:claude-opus-4-5`."""
        inside = "|".join(part.described() for part in self.parts) if self.parts else self.text
        return f"{self.kind}:{inside}"


class ModelEntry(Document, frozen=True, kw_only=True, omit_defaults=True):
    """A model as one provider sells it."""

    provider: str
    id: str
    name: str
    position: int = 0
    """Entries of a provider are tried in this order; the first whose rules a name meets is its entry."""
    match: tuple[NameRule, ...]
    """One of these must be met; none leaves the entry to aliases."""
    is_free: bool = False
    """The source says that tokens cost nothing, rather than nothing about their price."""
    unknown_units: tuple[str, ...] = ()
    """Counted units that the provider bills at a price of their own which nobody told us, sorted."""


class ProviderEntry(Document, frozen=True, kw_only=True, omit_defaults=True):
    """A provider, and whose prices it charges for models that it doesn't list."""

    id: str
    name: str
    link: str
    """Where it publishes its prices."""
    fallbacks: tuple[str, ...] = ()
    """Ids of providers whose entries answer where it has none of its own, in this order."""


def name_test(rule: NameRule) -> Callable[[str], bool]:
    """The rule as a test of lower-case names.

    Raises:
        re.error: the rule is a regular expression that is none.
    """
    if rule.kind in {"any", "all"}:
        parts = [name_test(part) for part in rule.parts]
        combine = any if rule.kind == "any" else all
        return lambda name: combine(part(name) for part in parts)
    text = rule.text
    if rule.kind == "regex":
        pattern = re.compile(text)
        return lambda name: pattern.search(name) is not None
    tests: dict[str, Callable[[str], bool]] = {
        "equals": lambda name: name == text,
        "starts_with": lambda name: name.startswith(text),
        "ends_with": lambda name: name.endswith(text),
        "contains": lambda name: text in name,
    }
    return tests[rule.kind]


@dataclass(frozen=True)
class ModelIndex:
    """A provider's entries in the order in which they are tried; the tests are made on first use."""

    models: tuple[ModelEntry, ...]

    def find(self, name: str) -> tuple[ModelEntry, NameRule] | None:
        """The first entry that answers to a lower-case name, and the rule by which it does."""
        listed = self._names.get(name, len(self.models))
        for position, rule, test in self._tests:
            if position >= listed:
                break
            if test(name):
                return self.models[position], rule
        return (self.models[listed], NameRule("equals", name)) if listed < len(self.models) else None

    def entry(self, model_id: str) -> ModelEntry | None:
        """The entry of this id."""
        return self._ids.get(model_id)

    @cached_property
    def _ids(self) -> dict[str, ModelEntry]:
        return {model.id: model for model in reversed(self.models)}

    @cached_property
    def _names(self) -> dict[str, int]:
        """Names that rules list one by one, to the first entry that lists them."""
        names: dict[str, int] = {}
        for position, model in enumerate(self.models):
            for rule in model.match:
                if rule.kind == "equals":
                    names.setdefault(rule.text, position)
        return names

    @cached_property
    def _tests(self) -> list[tuple[int, NameRule, Callable[[str], bool]]]:
        """The rules that aren't plain names, in the order of the entries."""
        return [
            (position, rule, name_test(rule))
            for position, model in enumerate(self.models)
            for rule in model.match
            if rule.kind != "equals"
        ]


@dataclass(frozen=True, slots=True)
class Seller:
    """A provider with its models."""

    entry: ProviderEntry
    models: ModelIndex

    @property
    def id(self) -> str:
        """The provider's id."""
        return self.entry.id


@dataclass(frozen=True, slots=True)
class PriceData:
    """Everything that one version of a price book says."""

    version: str
    providers: Mapping[str, Seller]
    """Provider id to the provider with its models."""
    rows: Mapping[tuple[str, str], Sequence[PriceRow]]
    """(provider id, entry id) to its rows; a mapping may make them when they are asked for."""
