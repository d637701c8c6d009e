"""What clients send to and get from `privacy/api.py`, and the checks that the formats can't say."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from pydantic import BaseModel, Field

from bursar.errors import Invalid, Reason
from bursar.identity.bodies import Strict
from bursar.usage.privacy.detectors import DETECTORS
from bursar.usage.privacy.own_patterns import PATTERN_LIMIT, spans_of
from bursar.usage.privacy.rules import (
    DEFAULT_RULES,
    FIELDS,
    NAME_PATTERN,
    NAMES_LIMIT,
    PATTERNS_LIMIT,
    RESERVED,
    Act,
    FieldAct,
    OwnPattern,
    PrivacyRules,
    TextChoice,
)

if TYPE_CHECKING:
    from bursar.usage.privacy.store import ChosenRules

DetectorName = Literal["key", "card", "iban", "email", "phone", "random"]
FieldName = Literal[
    "user_id",
    "session_id",
    "request_id",
    "correlation_id",
    "trace_id",
    "span_id",
    "parent_span_id",
    "operation",
    "endpoint",
    "environment",
    "error_code",
    "category",
    "prompt_version",
]
ListedName = Annotated[str, Field(min_length=1, max_length=256)]
TEST_LIMIT = 65_536


class PatternIn(Strict):
    """A regular expression of the tenant's own."""

    name: Annotated[str, Field(pattern=NAME_PATTERN)] = Field(
        description="Stands in the marks; none of the detectors' names.", examples=["employee"]
    )
    pattern: Annotated[str, Field(min_length=1, max_length=PATTERN_LIMIT)] = Field(
        description="RE2 syntax: no references back, no looking around.", examples=[r"\bE-[0-9]{6}\b"]
    )
    act: Act = Field(default=Act.MARK, description="`off`, `mark`, `hash` or `drop`.")


class PrivacyIn(Strict):
    """A tenant's rules; what is left out is as in the default."""

    detectors: dict[DetectorName, Act] = Field(
        default={}, description="What becomes of what a detector finds: `off`, `mark`, `hash` or `drop`."
    )
    patterns: Annotated[list[PatternIn], Field(max_length=PATTERNS_LIMIT)] = Field(default=[])
    fields: dict[FieldName, FieldAct] = Field(
        default={},
        description="Fields of events besides metadata, tags, message and usage: `find` looks there too,"
        " `hash` replaces the whole value, `drop` doesn't keep it.",
    )
    allowed_metadata: Annotated[list[ListedName], Field(max_length=NAMES_LIMIT)] | None = Field(
        default=None, description="Metadata under any other name isn't kept; null keeps all."
    )
    allowed_tags: Annotated[list[ListedName], Field(max_length=NAMES_LIMIT)] | None = Field(
        default=None, description="Tags under any other name aren't kept; null keeps all."
    )
    text: TextChoice = Field(
        default=TextChoice.DROP,
        description="Whether the text of prompts and answers stays where it comes as metadata.",
    )

    def rules(self) -> PrivacyRules:
        """The rules, checked.

        Raises:
            Invalid: a pattern can't be used, or two have one name; with every reason and its place.
        """
        reasons = [*self._faults()]
        if reasons:
            raise Invalid("The rules were refused.", reasons=tuple(reasons))
        return PrivacyRules(
            detectors=cast("dict[str, Act]", self.detectors),
            patterns=tuple(OwnPattern(one.name, one.pattern, one.act) for one in self.patterns),
            fields=cast("dict[str, FieldAct]", self.fields),
            allowed_metadata=None if self.allowed_metadata is None else frozenset(self.allowed_metadata),
            allowed_tags=None if self.allowed_tags is None else frozenset(self.allowed_tags),
            text=self.text,
        )

    def _faults(self) -> list[Reason]:
        reasons: list[Reason] = []
        names: set[str] = set()
        for index, one in enumerate(self.patterns):
            place = f"patterns.{index}"
            if one.name in RESERVED:
                text = f"'{one.name}' is the name of a detector, a field or a rule that everybody has."
                reasons.append(Reason(f"{place}.name", "reserved_name", text))
            elif one.name in names:
                reasons.append(Reason(f"{place}.name", "name_taken", "Another pattern has this name."))
            names.add(one.name)
            try:
                spans_of(one.pattern)
            except ValueError as error:
                reasons.append(Reason(f"{place}.pattern", "invalid_pattern", f"It can't be used: {error}."))
        return reasons


class PatternOut(BaseModel):
    """A pattern as it is kept."""

    name: str
    pattern: str
    act: Act


class PrivacyOut(BaseModel):
    """A tenant's rules as they are in force, and what they did."""

    tenant_id: str
    is_default: bool = Field(description="Whether the tenant has chosen nothing of its own.")
    detectors: dict[str, Act] = Field(description="All of them.")
    patterns: list[PatternOut]
    fields: dict[str, FieldAct]
    allowed_metadata: list[str] | None
    allowed_tags: list[str] | None
    text: TextChoice
    makes_hashes: bool = Field(
        description="Whether there is a key to make hashes with; without it marks take their place."
    )
    redactions: dict[str, int] = Field(description="How often each rule took something out, by its name.")
    changed_at: datetime | None
    changed_by: str | None

    @classmethod
    def of(
        cls, tenant_id: str, chosen: ChosenRules | None, redactions: dict[str, int], *, makes_hashes: bool
    ) -> PrivacyOut:
        """The rules as they are shown."""
        rules = chosen.rules if chosen else DEFAULT_RULES
        return cls(
            tenant_id=tenant_id,
            is_default=chosen is None,
            **shown_rules(rules),
            makes_hashes=makes_hashes,
            redactions=redactions,
            changed_at=chosen.changed_at if chosen else None,
            changed_by=chosen.changed_by if chosen else None,
        )


class PrivacyTestIn(Strict):
    """Something to try rules on: a text, an event, or both."""

    text: Annotated[str, Field(max_length=TEST_LIMIT)] | None = None
    event: dict[str, Any] | None = Field(default=None, description="As for POST /api/v1/events.")
    rules: PrivacyIn | None = Field(default=None, description="Instead of those in force.")


class PrivacyTestOut(BaseModel):
    """What would be kept. Hashes are those of the tenant's own key, where it has one."""

    text: str | None = Field(description="Null where none was sent, or a rule drops all of it.")
    event: dict[str, Any] | None
    redactions: dict[str, int] = Field(description="How often each rule took something out, by its name.")


def shown_rules(rules: PrivacyRules) -> dict[str, Any]:
    """Rules by the names of the API, every detector said."""
    return {
        "detectors": {name: rules.act_of(name) for name in DETECTORS},
        "patterns": [PatternOut(name=one.name, pattern=one.pattern, act=one.act) for one in rules.patterns],
        "fields": {name: rules.fields[name] for name in FIELDS if name in rules.fields},
        "allowed_metadata": None if rules.allowed_metadata is None else sorted(rules.allowed_metadata),
        "allowed_tags": None if rules.allowed_tags is None else sorted(rules.allowed_tags),
        "text": rules.text,
    }
