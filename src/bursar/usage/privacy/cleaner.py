"""Carries a tenant's rules out on an event, before anything of it is kept.

`is_clean` says quickly that nothing will change, which is so for nearly every event; `clean` changes the
event in place and says how often each rule did. Neither ever looks at quantities, times, the provider,
the model or anything else that decides what an event costs; both are asked only once that is known.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from bursar.usage.event import JSON_BYTES_LIMIT
from bursar.usage.json_shape import is_list, is_object
from bursar.usage.privacy.detectors import DETECTORS
from bursar.usage.privacy.glance import glance_of
from bursar.usage.privacy.names import is_secret_name, is_text_name
from bursar.usage.privacy.own_patterns import spans_of
from bursar.usage.privacy.quotes import without_quotes
from bursar.usage.privacy.rules import (
    ALLOW_RULE,
    DEFAULT_RULES,
    TEXT_RULE,
    Act,
    FieldAct,
    PrivacyRules,
    TextChoice,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bursar.usage.event import UsageEvent
    from bursar.usage.privacy.detectors import Span
    from bursar.usage.privacy.hashing import Hasher

TAG_KEY_LIMIT, TAG_VALUE_LIMIT = 64, 256
FIELD_LIMITS = {"message": 2000, "endpoint": 256}
ID_LIMIT, NAME_LIMIT = 256, 128
_FIGURE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.\-]{0,63}")
_GONE = object()


@dataclass(frozen=True, slots=True)
class _Rule:
    """One thing that is looked for in texts."""

    name: str
    act: Act
    shortest: int
    spans: Callable[[str], Iterator[Span]]
    normal: Callable[[str], str]


@dataclass(slots=True)
class Cleaned:
    """What was done to an event."""

    counts: Counter[str] = field(default_factory=Counter[str])
    """How often, by rule."""

    @property
    def is_guessable(self) -> bool:
        """Whether what was taken out could be found again by trying: not keys, and not whole texts."""
        return not self.counts.keys() <= {"key", TEXT_RULE}


class Cleaner:
    """Carries out one tenant's rules. Use from any thread."""

    __slots__ = (
        "_fields",
        "_figure_rules",
        "_keeps_text",
        "_key_act",
        "_rules",
        "glance",
        "hasher",
        "looks_at_figures",
        "rules",
        "shortest",
    )

    def __init__(self, rules: PrivacyRules, hasher: Hasher | None = None) -> None:
        """Without a hasher a mark stands where a hash was to be.

        Raises:
            ValueError: a pattern can't be used.
        """
        self.rules, self.hasher = rules, hasher
        self._rules = _rules_of(rules)
        self.shortest = min((one.shortest for one in self._rules), default=10**9)
        self._keeps_text = rules.text is TextChoice.KEEP
        self._key_act = rules.act_of("key")
        own = {one.name for one in rules.patterns}
        self._figure_rules = tuple(one for one in self._rules if one.name == "card" or one.name in own)
        self.looks_at_figures = bool(self._figure_rules)
        # An address of a call may have a key among its parameters.
        self._fields = tuple({"endpoint": FieldAct.FIND, **rules.fields}.items())
        self.glance = glance_of(self)
        """Of an event without message and usage: whether its tags, metadata and endpoint stay as they are."""

    def is_clean(self, event: UsageEvent) -> bool:
        """Whether nothing of an event without message and usage would change."""
        return self.glance(event) and all(
            self._is_clean_field(event, name, act) for name, act in self._fields
        )

    def clean(self, event: UsageEvent) -> Cleaned | None:
        """Take out of the event what the rules say; None where nothing was to be taken out."""
        cleaned = Cleaned()
        counts = cleaned.counts
        if event.metadata is not None:
            event.metadata = self._clean_top(event.metadata, self.rules.allowed_metadata, counts)
        if event.tags is not None:
            event.tags = _within_limits(self._clean_top(event.tags, self.rules.allowed_tags, counts))
        if event.usage is not None:
            event.usage = self._clean_usage(event.usage, counts)
        if event.message is not None:
            event.message = self._clean_message(event.message, counts)
        for name, act in self._fields:
            self._clean_field(event, name, act, counts)
        return cleaned if counts else None

    def clean_text(self, text: str, counts: Counter[str]) -> str | None:
        """A text without what detectors and patterns find; None where one of them drops all of it."""
        for rule in self._rules:
            if len(text) < rule.shortest:
                continue
            pieces: list[str] = []
            end = 0
            for start, stop in rule.spans(text):
                counts[rule.name] += 1
                if rule.act is Act.DROP:
                    return None
                pieces += (
                    text[end:start],
                    self._stand_in(rule.name, rule.act, rule.normal(text[start:stop])),
                )
                end = stop
            if end:
                text = "".join((*pieces, text[end:]))
            if len(text) > JSON_BYTES_LIMIT:
                # Marks are longer than what they stand for: nothing of the text would be left to read.
                text = f"[redacted:{rule.name}]"
        return text

    def is_harmless(self, name: str) -> bool:
        """Whether a name stays, and says nothing about its value."""
        return (
            not (is_text_name(name) and not self._keeps_text)
            and not (is_secret_name(name) and self._key_act is not Act.OFF)
            and not self.is_found_in(name)
        )

    def is_found_in(self, text: str) -> bool:
        """Whether a text would change."""
        return any(
            next(rule.spans(text), None) is not None for rule in self._rules if len(text) >= rule.shortest
        )

    def is_kept_figure(self, value: object) -> bool:
        """Whether what is no text, object or list stays."""
        return self._rule_for_figure(value) is None

    @property
    def quick_look(self) -> Callable[[UsageEvent], bool]:
        """`is_clean`, for who asks it often."""
        return self.is_clean if self.rules.fields else self.glance

    def _is_clean_field(self, event: UsageEvent, name: str, act: FieldAct) -> bool:
        value = getattr(event, name)
        return value is None or (act is FieldAct.FIND and not self.is_found_in(value))

    def _clean_top(
        self, part: Mapping[str, Any], allowed: frozenset[str] | None, counts: Counter[str]
    ) -> dict[str, Any] | None:
        """Metadata or tags; None where nothing is left."""
        kept = part
        if allowed is not None:
            kept = {name: value for name, value in part.items() if name in allowed}
            if len(kept) < len(part):
                counts[ALLOW_RULE] += len(part) - len(kept)
        return self._clean_object(kept, counts, is_usage=False) or None

    def _clean_usage(self, usage: Mapping[str, Any], counts: Counter[str]) -> dict[str, Any]:
        """A provider's usage object: its numbers all stay, wherever they stand."""
        return self._clean_object(usage, counts, is_usage=True)

    def _clean_object(
        self, part: Mapping[str, Any], counts: Counter[str], *, is_usage: bool
    ) -> dict[str, Any]:
        cleaned: dict[str, Any] = {}
        for name, value in part.items():
            kept = self._clean_named(name, value, counts, is_usage=is_usage)
            if kept is _GONE:
                continue
            new_name = self.clean_text(name, counts)
            if new_name is not None:
                cleaned[_free_name(new_name, cleaned)] = kept
        return cleaned

    def _clean_named(self, name: str, value: Any, counts: Counter[str], *, is_usage: bool) -> Any:  # noqa: ANN401 - any JSON value
        """A value as its name and its content allow it."""
        may_tell = is_object(value) or is_list(value) or isinstance(value, str)
        if value and may_tell and not self._keeps_text and is_text_name(name):
            if is_usage and not isinstance(value, str):
                return self._figures_of(value, counts)
            counts[TEXT_RULE] += 1
            return _GONE
        may_open = isinstance(value, str) if is_usage else not isinstance(value, bool)
        if value and may_open and self._key_act is not Act.OFF and is_secret_name(name):
            counts["key"] += 1
            return _GONE if self._key_act is Act.DROP else self._stand_in("key", self._key_act, str(value))
        return self._clean_value(value, counts, is_usage=is_usage)

    def _clean_value(self, value: Any, counts: Counter[str], *, is_usage: bool) -> Any:  # noqa: ANN401 - any JSON value
        if isinstance(value, str):
            text = self.clean_text(value, counts)
            return _GONE if text is None else text
        if is_object(value):
            return self._clean_object(value, counts, is_usage=is_usage)
        if is_list(value):
            items = (self._clean_value(one, counts, is_usage=is_usage) for one in value)
            return [one for one in items if one is not _GONE]
        rule = None if is_usage else self._rule_for_figure(value)
        if rule is None:
            return value
        counts[rule.name] += 1
        return _GONE if rule.act is Act.DROP else self._stand_in(rule.name, rule.act, rule.normal(str(value)))

    def _rule_for_figure(self, value: object) -> _Rule | None:
        """The first of the rules for cards and of one's own that finds something in a number's digits."""
        if not self._figure_rules or isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
            return None
        return next((one for one in self._figure_rules if any(one.spans(str(value)))), None)

    def _figures_of(self, value: Any, counts: Counter[str]) -> Any:  # noqa: ANN401 - any JSON value
        """Numbers of a value, and the names that lead to them, where those are names and nothing else."""
        if is_object(value):
            kept = {
                name: self._figures_of(one, counts)
                for name, one in value.items()
                if not isinstance(one, str) and _FIGURE_NAME.fullmatch(name) and not self.is_found_in(name)
            }
            _count_text(counts, len(value) - len(kept))
            return kept
        if is_list(value):
            left = [self._figures_of(one, counts) for one in value if not isinstance(one, str)]
            _count_text(counts, len(value) - len(left))
            return left
        return value

    def _clean_message(self, message: str, counts: Counter[str]) -> str | None:
        """An error's text: what it quotes of a prompt goes, and what rules find."""
        text = message
        if not self._keeps_text:
            text = without_quotes(message)
            if text != message:
                counts[TEXT_RULE] += 1
        found = self.clean_text(text, counts)
        return None if found is None else found[: FIELD_LIMITS["message"]]

    def _clean_field(self, event: UsageEvent, name: str, act: FieldAct, counts: Counter[str]) -> None:
        value: str | None = getattr(event, name)
        if value is None:
            return
        if act is FieldAct.FIND:
            kept = self.clean_text(value, counts)
        else:
            counts[name] += 1
            kept = None if act is FieldAct.DROP else self._stand_in(name, Act.HASH, value)
        limit = FIELD_LIMITS.get(name, ID_LIMIT if name.endswith("_id") else NAME_LIMIT)
        setattr(event, name, kept[:limit] or None if kept is not None else None)

    def _stand_in(self, name: str, act: Act, value: str) -> str:
        if act is Act.HASH and self.hasher is not None:
            return self.hasher.mark(name, value)
        return f"[redacted:{name}]"


def _rules_of(rules: PrivacyRules) -> tuple[_Rule, ...]:
    built_in = [(one, rules.act_of(name)) for name, one in DETECTORS.items()]
    found = [_Rule(one.name, act, one.shortest, one.spans, one.normal) for one, act in built_in]
    # One's own before what looks random: it knows better what it has found.
    found[-1:-1] = [_Rule(one.name, one.act, 1, spans_of(one.pattern), str) for one in rules.patterns]
    return tuple(one for one in found if one.act is not Act.OFF)


def _count_text(counts: Counter[str], number: int) -> None:
    if number:
        counts[TEXT_RULE] += number


def _free_name(name: str, taken: Mapping[str, Any]) -> str:
    """A name that isn't taken, for two names may have become the same mark."""
    number, free = len(taken), name
    while free in taken:
        number += 1
        free = f"{name}#{number}"
    return free


def _within_limits(tags: dict[str, Any] | None) -> dict[str, str] | None:
    """Tags as short as tags have to be, for a mark may be longer than what it stands for."""
    if tags is None or all(
        len(name) <= TAG_KEY_LIMIT and len(one) <= TAG_VALUE_LIMIT for name, one in tags.items()
    ):
        return tags
    kept: dict[str, str] = {}
    for name, value in cast("dict[str, str]", tags).items():
        kept[_free_name(name[: TAG_KEY_LIMIT - 4], kept)] = value[:TAG_VALUE_LIMIT]
    return kept


DEFAULT_CLEANER = Cleaner(DEFAULT_RULES)
"""For every tenant without rules of its own."""
