"""What usage can be grouped and filtered by: every dimension of an event, and its tags.

Two are said by allocations (`allocations/`) and not by the event. The tenant is not among them: it is
the caller's, never the question's. The names here are the only ones that reach SQL as column names; a
tag's key always travels as a bound value. Aliases are those of the replaced systems and of everyday speech.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

TAG_PREFIX = "tag:"
TAG_KEY_LIMIT = 64
PERIOD = "period"
"""The column that holds the time grain; ordered by like any other dimension."""
ALLOCATED = frozenset({"cost_centre", "owner"})
"""Dimensions that no event carries: allocations say them of its key, project or user, as of its day."""
UNALLOCATED = "unallocated"
"""The value of such a dimension where nobody claims the event; nothing may be called so."""


class Kind(StrEnum):
    """What the values of a dimension are."""

    TEXT = "string"
    FLAG = "boolean"
    WHOLE = "integer"
    NUMBER = "number"


@dataclass(frozen=True, slots=True)
class Dimension:
    """One thing to group or filter by; where an event doesn't have it, its value is null."""

    name: str
    kind: Kind
    meaning: str

    @property
    def tag_key(self) -> str | None:
        """The key, where this is a tag."""
        return self.name.removeprefix(TAG_PREFIX) if self.name.startswith(TAG_PREFIX) else None


DIMENSIONS: dict[str, Dimension] = {
    name: Dimension(name, kind, meaning)
    for name, kind, meaning in (
        ("project_id", Kind.TEXT, "the project it was for"),
        ("user_id", Kind.TEXT, "the user it was for"),
        ("provider", Kind.TEXT, "who was called"),
        ("model", Kind.TEXT, "the model as asked for"),
        ("response_model", Kind.TEXT, "the model as answered"),
        ("service_type", Kind.TEXT, "llm_service, document_processor, api_service or any other"),
        ("operation", Kind.TEXT, "what was done: chat, embeddings, …"),
        ("endpoint", Kind.TEXT, "the endpoint that was called"),
        ("environment", Kind.TEXT, "production, staging, …"),
        ("region", Kind.TEXT, "where it ran"),
        ("service_tier", Kind.TEXT, "default, flex, priority, …"),
        ("batch", Kind.FLAG, "whether it ran as part of a batch"),
        ("speed", Kind.TEXT, "the speed that was paid for"),
        ("status", Kind.TEXT, "ok or error"),
        ("error_code", Kind.TEXT, "the error's code"),
        ("category", Kind.TEXT, "the error's category"),
        ("prompt_version", Kind.TEXT, "the version of the prompt"),
        ("temperature", Kind.NUMBER, "the sampling temperature"),
        ("max_tokens", Kind.WHOLE, "the output limit that was asked for"),
        ("retry_count", Kind.WHOLE, "how often it had been tried before"),
        ("session_id", Kind.TEXT, "the session or conversation"),
        ("request_id", Kind.TEXT, "the request"),
        ("correlation_id", Kind.TEXT, "what ties calls of several systems together"),
        ("trace_id", Kind.TEXT, "the trace"),
        ("span_id", Kind.TEXT, "the span"),
        ("parent_span_id", Kind.TEXT, "the span above it"),
        ("event_id", Kind.TEXT, "the event itself"),
        ("door", Kind.TEXT, "how it came in"),
        ("key_id", Kind.TEXT, "the API key that sent it"),
        ("tracking_token_id", Kind.TEXT, "the tracking token that sent it"),
        ("currency", Kind.TEXT, "the currency of its cost"),
        ("cost_status", Kind.TEXT, "priced, provider_reported, client_reported, estimated or unpriced"),
        ("cost_reason", Kind.TEXT, "why it has no price, or how it came by one"),
        ("rate_card", Kind.TEXT, "the prices that were used"),
        ("units_source", Kind.TEXT, "what the units were read from"),
        ("cost_centre", Kind.TEXT, "the cost centre of its key, project or user then, else unallocated"),
        ("owner", Kind.TEXT, "the owner of its key, project or user then, else unallocated"),
    )
}

DIMENSION_ALIASES: dict[str, str] = {
    "model_name": "model",
    "service_provider": "provider",
    "event_type": "operation",
    "service": "service_type",
    "project": "project_id",
    "user": "user_id",
    "session": "session_id",
    "key": "key_id",
    "api_key_id": "key_id",
    "ingest_token_id": "tracking_token_id",
    "users": "user_id",
    "models": "model",
    "projects": "project_id",
    "providers": "provider",
    "operations": "operation",
    "services": "service_type",
    "sessions": "session_id",
    "keys": "key_id",
    "environments": "environment",
    "cost_centres": "cost_centre",
    "owners": "owner",
}


def find_dimension(name: str) -> Dimension | None:
    """The dimension of a name, an alias or `tag:<key>`; None if there is none."""
    if name.startswith(TAG_PREFIX):
        is_key = len(TAG_PREFIX) < len(name) <= len(TAG_PREFIX) + TAG_KEY_LIMIT
        return Dimension(name, Kind.TEXT, "the value of a tag") if is_key else None
    return DIMENSIONS.get(DIMENSION_ALIASES.get(name, name))
