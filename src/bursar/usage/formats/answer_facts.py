"""What one provider's whole answer says about itself: ids, model, time, tier, usage, searches, error.

The families name these things differently, but no name means two things, so one reading serves all.
Units are not worked out here (`usage/providers/`), nor is it decided what becomes of an answer
(`provider_answers.py`). Everything comes out of foreign files: nothing is trusted to have its type.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from bursar.clock import from_micros
from bursar.usage.formats.answer_errors import error_in
from bursar.usage.formats.answer_fields import (
    IDENTIFIER_LIMIT,
    NAME_LIMIT,
    first_text,
    object_at,
)
from bursar.usage.formats.answer_units import units_beside_usage

if TYPE_CHECKING:
    from collections.abc import Mapping

LAST_SECOND = 4_102_444_800
"""2100-01-01: a number beyond it is no time in seconds."""
PENDING = frozenset(("queued", "in_progress"))
TOKEN_COUNTS = frozenset(
    (
        "input_tokens",  # Anthropic, OpenAI
        "totalTokens",  # Gemini
        "inputTokens",  # Bedrock
    )
)


@dataclass(frozen=True, slots=True)
class AnswerFacts:
    """What an answer says; None where it doesn't say."""

    response_id: str | None
    model: str | None
    time: datetime | None
    service_tier: str | None
    speed: str | None
    usage: dict[str, Any] | None
    """The provider's own usage object as it came."""
    units: dict[str, int]
    """Acts of the provider's tools and images by the piece, which the usage object itself doesn't count."""
    error: tuple[str | None, str] | None
    """Code and message."""
    is_pending: bool
    """Whether this is only the promise of an answer, which a later one with the same id replaces."""
    is_count_only: bool
    """Whether tokens were only counted: nothing was asked of a model."""


def facts_of(body: Mapping[str, Any], provider: str | None = None) -> AnswerFacts:
    """Everything that the answer of any of the known families says about itself."""
    return AnswerFacts(
        response_id=first_text(body, IDENTIFIER_LIMIT, "id", "responseId"),
        model=first_text(body, IDENTIFIER_LIMIT, "model", "modelVersion"),
        time=_time_of(body),
        service_tier=first_text(body, NAME_LIMIT, "service_tier"),
        speed=first_text(body, NAME_LIMIT, "speed"),
        usage=_usage_of(body),
        units=units_beside_usage(body),
        error=error_in(body, is_somebodys=provider is not None),
        is_pending=first_text(body, NAME_LIMIT, "status") in PENDING,
        is_count_only=not TOKEN_COUNTS.isdisjoint(body),
    )


def time_of_header(text: str) -> datetime | None:
    """The moment of an HTTP `date` header, None where it is none."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return _aware(moment)


def _usage_of(body: Mapping[str, Any]) -> dict[str, Any] | None:
    for name in ("usage", "usageMetadata"):
        if isinstance(body.get(name), dict):
            return object_at(body, name)
    return None


def _time_of(body: Mapping[str, Any]) -> datetime | None:
    """Seconds since 1970 (OpenAI) or RFC 3339 (Vertex, Interactions) of when the answer was made."""
    for name in ("created", "created_at", "createTime"):
        value = body.get(name)
        if type(value) is int and 0 < value < LAST_SECOND:
            return from_micros(value * 1_000_000)
        if isinstance(value, str):
            try:
                return _aware(datetime.fromisoformat(value))
            except ValueError:
                continue
    return None


def _aware(moment: datetime) -> datetime | None:
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        return None
