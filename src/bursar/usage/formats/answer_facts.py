"""What one provider's whole answer says about itself: ids, model, time, tier, usage, searches, error.

The families name these things differently, but no name means two things, so one reading serves all.
Units are not worked out here (`usage/providers/`), nor is it decided what becomes of an answer
(`provider_answers.py`). Everything comes out of foreign files: nothing is trusted to have its type.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, cast

from bursar.clock import from_micros

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME_LIMIT = 128
IDENTIFIER_LIMIT = 256
MESSAGE_LIMIT = 2000
"""The limits of `usage/event.py`; longer texts are cut, for they only describe."""
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
    searches: int
    """Searches by the provider's tools that the usage object itself doesn't count."""
    error: tuple[str | None, str] | None
    """Code and message."""
    is_pending: bool
    """Whether this is only the promise of an answer, which a later one with the same id replaces."""
    is_count_only: bool
    """Whether tokens were only counted: nothing was asked of a model."""


def facts_of(body: Mapping[str, Any]) -> AnswerFacts:
    """Everything that the answer of any of the known families says about itself."""
    return AnswerFacts(
        response_id=first_text(body, IDENTIFIER_LIMIT, "id", "responseId"),
        model=first_text(body, IDENTIFIER_LIMIT, "model", "modelVersion"),
        time=_time_of(body),
        service_tier=first_text(body, NAME_LIMIT, "service_tier"),
        speed=first_text(body, NAME_LIMIT, "speed"),
        usage=_usage_of(body),
        searches=_web_searches(body) or _grounding_searches(body),
        error=_error_of(body.get("error")),
        is_pending=first_text(body, NAME_LIMIT, "status") in PENDING,
        is_count_only=not TOKEN_COUNTS.isdisjoint(body),
    )


def first_text(owner: Mapping[str, Any], limit: int, *names: str) -> str | None:
    """The first of these fields that holds a text, cut to the limit."""
    for name in names:
        value = owner.get(name)
        if isinstance(value, str) and value:
            return value[:limit]
    return None


def object_at(owner: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The object under this name, an empty one where there is none."""
    value = owner.get(name)
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def objects_at(owner: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The objects of the list under this name."""
    value = owner.get(name)
    items = cast("list[Any]", value) if isinstance(value, list) else []
    return [cast("dict[str, Any]", item) for item in items if isinstance(item, dict)]


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


def _web_searches(body: Mapping[str, Any]) -> int:
    """Web searches of OpenAI's Responses API.

    `tool_usage` has the billed number where it is there. Else the `search` actions count: opening a page
    and looking inside one are not billed
    (https://developers.openai.com/api/docs/guides/tools-web-search, "Search actions incur a tool call cost").
    """
    counted = object_at(object_at(body, "tool_usage"), "web_search").get("num_requests")
    if type(counted) is int:
        return max(counted, 0)
    calls = [item for item in objects_at(body, "output") if item.get("type") == "web_search_call"]
    return sum(object_at(call, "action").get("type", "search") == "search" for call in calls)


def _grounding_searches(body: Mapping[str, Any]) -> int:
    """Queries that Gemini sent to Google Search; its usage object doesn't count them."""
    searches = 0
    for candidate in objects_at(body, "candidates"):
        queries = object_at(candidate, "groundingMetadata").get("webSearchQueries")
        if isinstance(queries, list):
            searches += sum(bool(query) for query in cast("list[Any]", queries))
    return searches


def _error_of(error: object) -> tuple[str | None, str] | None:
    """Code and message of an error; each family has its own idea which field is the code."""
    if isinstance(error, str) and error:
        return None, error[:MESSAGE_LIMIT]
    if not isinstance(error, dict) or not error:
        return None
    fields = cast("dict[str, Any]", error)
    code = first_text(fields, NAME_LIMIT, "code", "status", "type")
    if code is None and type(fields.get("code")) is int:
        code = str(fields["code"])[:NAME_LIMIT]
    return code, first_text(fields, MESSAGE_LIMIT, "message") or ""
