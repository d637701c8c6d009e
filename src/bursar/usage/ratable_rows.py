"""Stored events as columns, for rating them again: what the store hands over and `revising/ratable.py` reads.

Columns, because rows of a million events as objects would take longer to make than to rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

COMMON_FIELDS = (
    "provider",
    "provider_named",
    "model",
    "response_model",
    "service_tier",
    "batch",
    "speed",
    "region",
    "project_id",
    "service_type",
    "status",
    "units_source",
    "reported_currency",
    "reported_by",
    "currency",
    "cost_status",
    "cost_reason",
    "rate_card",
)
"""What `RatableRows.common` has of each row, as a list of texts in JSON."""


@dataclass(frozen=True, slots=True)
class RatableRows:
    """Columns of some events in journal order; `as_of` is the position of the store that they are of."""

    as_of: int
    seqs: Sequence[int]
    times: Sequence[datetime]
    """Naive, in UTC."""
    common: Sequence[str]
    """Many rows have equal ones: see `COMMON_FIELDS`."""
    picos: Sequence[int | None]
    context_tokens: Sequence[int | None]
    units: Mapping[str, Sequence[int | None]]
    """By built-in unit, those alone that any of the rows has."""
    custom_units: Sequence[str | None]
    """As JSON objects."""
    parts: Sequence[str | None]
    """As JSON lists."""
    reported_picos: Sequence[int | None]
    usages: Sequence[str | None]
    """As JSON objects: what the provider itself said, where the figure that is kept is the caller's."""
    fields: Sequence[str | None]
    """As a JSON object: what a billing rule may read of the event; only of services that have rules."""
