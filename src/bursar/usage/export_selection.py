"""What an export asks of a store, and what a store answers: values, no SQL and no files.

An `ExportSelection` names events as they were at a position of the journal. Later corrections and voids don't
change what it selects, so that pieces which are read minutes apart fit together.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal  # noqa: TC003 - part of a value
from enum import StrEnum
from typing import TYPE_CHECKING

from bursar.usage.allocations.claims import NO_CLAIMS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from bursar.units import Quantities
    from bursar.usage.allocations.claims import Claims
    from bursar.usage.partial import Partial
    from bursar.usage.query import Filter
    from bursar.window import Window


class TextForm(StrEnum):
    """How the rows of a plain export are written."""

    CSV = "csv"
    """RFC 4180 without a header; texts that would be formulas begin with an apostrophe."""
    RAW_CSV = "raw_csv"
    """The same with every text as it is."""
    NDJSON = "ndjson"
    """One JSON object per line; money and other decimals are strings."""


class FocusGrain(StrEnum):
    """How much one row of sums is about."""

    EVENT = "event"
    HOUR = "hour"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class ExportScope:
    """The events of a tenant that a window and filters select."""

    tenant_id: str
    window: Window
    filters: tuple[Filter, ...] = ()
    shown_along: frozenset[str] | None = None
    """The projects of which what was sent along with events is shown (`sight.SENT_ALONG`); None: of all."""
    claims: Claims = NO_CLAIMS
    """Who bears the events; the same from the first piece to the last."""


@dataclass(frozen=True, slots=True)
class ExportSelection:
    """A scope as it was when the journal was applied up to a position."""

    scope: ExportScope
    as_of: int


@dataclass(frozen=True, slots=True)
class ExportTotals:
    """What a selection comes to, said before its first row."""

    as_of: int
    """The position up to which the store had applied the journal."""
    as_of_time: datetime | None
    """When it had; None where nothing ever was recorded."""
    events: int
    unpriced_events: int
    amounts: Mapping[str, Decimal]
    """The known cost by currency."""
    partial: Partial | None = None


@dataclass(frozen=True, slots=True)
class EventText:
    """Rows of a plain export, written."""

    text: bytes
    rows: int
    next_after: int | None
    """Go on behind this position; None where these were the last rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageKey:
    """What the events of a sum have in common."""

    period: datetime
    """The start of the UTC hour or day; at the grain of events the event's own time."""
    provider: str | None
    model: str | None
    service_type: str | None
    project_id: str | None
    region: str | None
    service_tier: str | None
    batch: bool | None
    speed: str | None
    currency: str
    cost_status: str
    rate_card: str | None
    cost_centre: str
    owner: str
    event_id: str | None = None
    user_id: str | None = None
    operation: str | None = None
    tags: str | None = None
    """Of an event, as a JSON object."""


@dataclass(frozen=True, slots=True)
class UsageSum:
    """Events with a known cost, summed up."""

    key: UsageKey
    events: int
    cost_picos: int
    units: Quantities
    """Summed over the events in a sum; of each single one where the events are all alike."""
    counts: Mapping[str, int]
    """How many events used each unit."""
    parts: str | None = None
    """The shares of several models, as stored; the events are all alike then."""


@dataclass(frozen=True, slots=True)
class UsageSums:
    """One piece of an export of sums."""

    sums: tuple[UsageSum, ...]
    next_place: int | None
    """A position at the grain of events, else microseconds of the next period; None at the end."""
