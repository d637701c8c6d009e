"""What a tenant wants taken out of its events: which detectors and patterns, where, and what stands instead.

Values and their limits; `cleaner.py` carries them out, `reading.py` checks what a caller sends. Without rules
of its own a tenant has `DEFAULT_RULES`: keys go, and so does the text of prompts and answers; decision 25
says why these and no others.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from bursar.usage.privacy.detectors import DETECTORS

PATTERNS_LIMIT = 32
NAMES_LIMIT = 500
"""Of an allow-list."""
NAME_PATTERN = r"^[a-z][a-z0-9_]{0,31}$"
"""Of a pattern: it stands in the marks that take the place of what is found."""
TEXT_RULE = "text"
ALLOW_RULE = "allow_list"
BUILT_IN = frozenset((*DETECTORS, TEXT_RULE, ALLOW_RULE))
"""Names of rules that everybody has."""


class Act(StrEnum):
    """What becomes of what was found."""

    OFF = "off"
    MARK = "mark"
    """`[redacted:email]` takes its place."""
    HASH = "hash"
    """A hash with the tenant's own key takes its place: the same for the same, so that it can be counted."""
    DROP = "drop"
    """The whole value goes, in metadata and tags with its name."""


class FieldAct(StrEnum):
    """What is done to one of the event's own fields."""

    FIND = "find"
    """The detectors and patterns look there too."""
    HASH = "hash"
    """Whatever it says, a hash with the tenant's own key takes its place."""
    DROP = "drop"
    """It isn't kept."""


class TextChoice(StrEnum):
    """What becomes of the text of prompts and answers."""

    DROP = "drop"
    KEEP = "keep"


class OwnPattern(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A regular expression of the tenant's, and what becomes of what it finds."""

    name: str
    pattern: str
    act: Act = Act.MARK


class PrivacyRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A tenant's rules."""

    detectors: dict[str, Act] = {}
    """By name; one that isn't said does as in the default."""
    patterns: tuple[OwnPattern, ...] = ()
    fields: dict[str, FieldAct] = {}
    """The event's own fields, besides metadata, tags, message and usage, that are looked at."""
    allowed_metadata: frozenset[str] | None = None
    """Metadata under any other name goes; None allows all."""
    allowed_tags: frozenset[str] | None = None
    text: TextChoice = TextChoice.DROP

    def act_of(self, detector: str) -> Act:
        """What becomes of what a detector finds."""
        return self.detectors.get(detector, DEFAULT_ACTS[detector])

    @property
    def hashes(self) -> bool:
        """Whether a key for hashes is needed."""
        acts = (*(self.act_of(name) for name in DETECTORS), *(one.act for one in self.patterns))
        return Act.HASH in acts or FieldAct.HASH in self.fields.values()


DEFAULT_ACTS: dict[str, Act] = {name: Act.MARK if name == "key" else Act.OFF for name in DETECTORS}
DEFAULT_RULES = PrivacyRules()

FIELDS: tuple[str, ...] = (
    *("user_id", "session_id", "request_id", "correlation_id", "trace_id", "span_id", "parent_span_id"),
    *("operation", "endpoint", "environment", "error_code", "category", "prompt_version"),
)
"""What `fields` may name. Not the event's id, project and tenant, by which it is found and limited, and not
what decides its price."""
OWN = "own"
"""What tenants' own patterns are counted as where all tenants are counted together."""
RESERVED = BUILT_IN.union(FIELDS, (OWN, "redacted"))
"""Names that no pattern may have."""
