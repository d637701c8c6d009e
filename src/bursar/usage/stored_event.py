"""A usage event as it is kept and shown: canonical names, exact quantities, its cost and its status.

The same value is what `GET /api/v1/events/{id}` answers. Absent things are null. Quantities are
whole numbers, or decimal strings where a unit has decimal places; money is a decimal string.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - FastAPI reads the annotations
from typing import TYPE_CHECKING, Any, ClassVar

from bursar.described import DESCRIBED

if TYPE_CHECKING:
    from bursar.usage.partial import Partial
    from bursar.usage.query import EventCursor

Quantity = int | str


@dataclass(frozen=True, slots=True)
class StoredCost:
    """What an event cost, and how that is known."""

    __pydantic_config__: ClassVar = DESCRIBED

    total: str | None
    """Decimal string; null where the cost is unknown (`status` is `unpriced`), never 0 instead."""
    currency: str
    status: str
    reason: str | None
    rate_card: str | None
    """Content hash of the prices used; `explain` shows them."""


@dataclass(frozen=True, slots=True)
class StoredReportedCost:
    """A cost that the caller or the provider reported, kept beside ours."""

    amount: str
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """One usage event."""

    __pydantic_config__: ClassVar = DESCRIBED

    event_id: str
    time: datetime
    received_at: datetime
    door: str
    key_id: str
    project_id: str | None
    user_id: str | None
    session_id: str | None
    request_id: str | None
    correlation_id: str | None
    trace_id: str | None
    span_id: str | None
    parent_span_id: str | None
    tracking_token_id: str | None
    service_type: str | None
    provider: str | None
    model: str | None
    response_model: str | None
    operation: str | None
    endpoint: str | None
    environment: str | None
    region: str | None
    service_tier: str | None
    batch: bool | None
    speed: str | None
    context_tokens: int | None
    status: str
    error_code: str | None
    category: str | None
    message: str | None
    retry_count: int | None
    latency_ms: float | None
    time_to_first_token_ms: float | None
    temperature: float | None
    max_tokens: int | None
    prompt_version: str | None
    units: dict[str, Quantity]
    """Disjoint quantities; those that are absent were not used."""
    totals: dict[str, int]
    """The token totals people know, derived from the units."""
    units_source: str | None
    cost: StoredCost
    reported_cost: StoredReportedCost | None
    parts: Any
    """Units that other models of the same call used, where there were any."""
    tags: dict[str, str]
    metadata: Any
    usage: Any
    """The provider's own usage object, as it came."""
    is_corrected: bool
    """Whether a correction has replaced what was first reported."""


TEXT_FIELDS = (
    "project_id",
    "user_id",
    "session_id",
    "request_id",
    "correlation_id",
    "trace_id",
    "span_id",
    "parent_span_id",
    "tracking_token_id",
    "service_type",
    "provider",
    "model",
    "response_model",
    "operation",
    "endpoint",
    "environment",
    "region",
    "service_tier",
    "speed",
    "status",
    "error_code",
    "category",
    "message",
    "prompt_version",
)
"""Fields of an event that hold words, names and ids, in the order in which tables and files have them."""


@dataclass(frozen=True, slots=True)
class VersionEnd:
    """How a version of an event ended: by which kind of change, when, by whom, and why."""

    __pydantic_config__: ClassVar = DESCRIBED

    kind: str
    """`correction` or `void`."""
    at: datetime | None
    key_id: str | None
    """The API key that asked."""
    reason: str | None
    run_id: str | None
    """The run of the job that did it, where one did."""


@dataclass(frozen=True, slots=True)
class EventVersion:
    """An event as it was from one record on; the current one has no end."""

    __pydantic_config__: ClassVar = DESCRIBED

    event: StoredEvent
    ended: VersionEnd | None


@dataclass(frozen=True, slots=True)
class EarlierRating:
    """A rating that a rating run has replaced, and by whom, when and why."""

    cost: StoredCost
    parts: str | None
    """The shares of the models that took part, as JSON."""
    ended_at: datetime
    key_id: str | None
    reason: str | None
    run_id: str | None


@dataclass(frozen=True, slots=True)
class EventList:
    """One page of events, and where the next one begins."""

    events: tuple[StoredEvent, ...]
    next_cursor: EventCursor | None
    total_count: int | None
    """All events that the filters select, where that was asked for."""
    partial: Partial | None = None
    """Where the window begins before what retention has left."""
