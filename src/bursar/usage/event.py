"""The usage event: one AI call or one metered act, as a caller describes it.

`UsageEvent` is what every door produces and the journal keeps: canonical names only, limits on
every field, nothing made up. Aliases and foreign shapes are resolved before (`translate.py`,
`formats/`), defaults and cost are added after (`record.py`). msgspec checks the limits while it
decodes, which is why they are written as types.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

TAGS_LIMIT = 32
UNITS_LIMIT = 64
JSON_BYTES_LIMIT = 65_536
"""Metadata and the raw usage object may each take this many bytes of JSON."""
JSON_DEPTH_LIMIT = 32
"""Nesting allowed in metadata and raw usage; DuckDB's JSON reader stops at 128."""
COUNT_LIMIT = 10**12

Identifier = Annotated[str, Meta(min_length=1, max_length=256)]
"""Ids that callers choose: event, user, session, request, trace."""
Name = Annotated[str, Meta(min_length=1, max_length=128)]
"""Names of things with few values: provider, operation, region."""
ModelName = Annotated[str, Meta(min_length=1, max_length=256)]
Message = Annotated[str, Meta(max_length=2000)]
Count = Annotated[int, Meta(ge=0, le=COUNT_LIMIT)]
Milliseconds = Annotated[float, Meta(ge=0, le=10**9)]
TagKey = Annotated[str, Meta(min_length=1, max_length=64)]
TagValue = Annotated[str, Meta(max_length=256)]
UnitName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Moment = Annotated[datetime, Meta(tz=True)]
CurrencyCode = Annotated[str, Meta(pattern=r"^[A-Z]{3}$")]


class ReportedCost(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A cost that the caller already has, kept beside ours and used only where ours is unknown."""

    amount: Decimal
    currency: CurrencyCode = "USD"


class Estimate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """How the units beside it were estimated; a cost made of them is `estimated`, never `priced`."""

    method: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_.:/-]{0,63}$")]
    """What counted them: `tiktoken:o200k_base`, `characters:4`, …"""
    input_known: bool = True
    """False where only the output could be estimated: then the cost isn't known."""


class UsageEvent(msgspec.Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """What the caller says happened; absent fields were not said.

    Decoded JSON holds no cycles, so the garbage collector need not follow events (`gc=False`).
    """

    event_id: Identifier | None = None
    """Makes retries safe: an id counts once per tenant. Made by the server if absent."""
    time: Moment | None = None
    """When it happened; the time of receipt if absent."""
    tenant_id: Identifier | None = None
    """Must equal the credential's tenant; it never selects one."""
    project_id: Identifier | None = None
    user_id: Identifier | None = None
    session_id: Identifier | None = None
    request_id: Identifier | None = None
    correlation_id: Identifier | None = None
    trace_id: Identifier | None = None
    span_id: Identifier | None = None
    parent_span_id: Identifier | None = None
    tracking_token_id: Identifier | None = None
    """The id of a tracking token, taken as it is said, as other ids are; `tracking_token` is looked up."""
    tracking_token: Identifier | None = None
    """A tracking token of the tenant; only its id is kept, as `tracking_token_id`."""
    service_type: Name | None = None
    """`llm_service`, `document_processor`, `api_service` or any other; `llm_service` if absent."""
    provider: Name | None = None
    """Who was called: `openai`, `anthropic`, `google`, …"""
    model: ModelName | None = None
    """The model as asked for (or as answered, where only that is known)."""
    response_model: ModelName | None = None
    """The model as answered, which decides the price where it is known."""
    operation: Name | None = None
    """What was done: `chat`, `embeddings`, `summarise_ticket`, …"""
    endpoint: ModelName | None = None
    environment: Name | None = None
    region: Name | None = None
    service_tier: Name | None = None
    """The tier of the answer: `default`, `flex`, `priority`, …"""
    batch: bool | None = None
    speed: Name | None = None
    context_tokens: Count | None = None
    """Whole prompt size that decides long-context prices; the sum of input units if absent."""
    status: Literal["ok", "error"] | None = None
    error_code: Name | None = None
    category: Name | None = None
    message: Message | None = None
    """A short error or status text; redacted, never a prompt."""
    retry_count: Annotated[int, Meta(ge=0, le=10_000)] | None = None
    latency_ms: Milliseconds | None = None
    time_to_first_token_ms: Milliseconds | None = None
    temperature: Annotated[float, Meta(ge=-1000, le=1000)] | None = None
    max_tokens: Count | None = None
    prompt_version: Name | None = None
    units: Annotated[dict[UnitName, int | Decimal], Meta(max_length=UNITS_LIMIT)] | None = None
    """Disjoint quantities by unit name (`units.py`); the most exact way to report usage."""
    estimate: Estimate | None = None
    """Where nobody counted and `units` or totals are an estimate: how it was made."""
    usage: dict[str, Any] | None = None
    """A provider's own usage object, kept as it came and turned into units."""
    input_tokens: Count | None = None
    """All input tokens, cached ones included (the OpenTelemetry meaning)."""
    output_tokens: Count | None = None
    """All output tokens, reasoning included."""
    cached_tokens: Count | None = None
    """How many of the input tokens were read from a cache."""
    cache_write_tokens: Count | None = None
    """How many of the input tokens were written to a cache."""
    reasoning_tokens: Count | None = None
    """How many of the output tokens were reasoning."""
    cost: ReportedCost | None = None
    tags: Annotated[dict[TagKey, TagValue], Meta(max_length=TAGS_LIMIT)] | None = None
    metadata: dict[str, Any] | None = None


FLAT_TOTALS = (
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)
