"""Stored events as columns, for rating them again: what the store hands over and `revising/ratable.py` reads.

Columns, because rows of a million events as objects would take longer to make than to rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime


WINDOW_SEQS = 32_768
"""Positions gone through at once: what is in memory of events, some 30 MB at most."""


class Common(msgspec.Struct, array_like=True, frozen=True):
    """What the rating of many events has in common; the store makes it of its columns, by these names."""

    provider: str | None
    provider_named: str | None
    """`true` where the event named it, `false` where the rating found it; None where the row doesn't say."""
    model: str | None
    response_model: str | None
    service_tier: str | None
    batch: str | None
    speed: str | None
    region: str | None
    project_id: str | None
    service_type: str | None
    status: str | None
    units_source: str | None
    reported_currency: str | None
    reported_by: str | None
    currency: str
    cost_status: str
    cost_reason: str | None
    rate_card: str | None


@dataclass(frozen=True, slots=True)
class RatableRows:
    """Columns of some events in journal order; `as_of` is the position of the store that they are of."""

    as_of: int
    seqs: Sequence[int]
    times: Sequence[datetime]
    """Naive, in UTC."""
    common: Sequence[str]
    """Each a `Common`, as a list of texts in JSON; many rows have equal ones."""
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
    """As a JSON object: what a billing rule may read of the event, and whether an erasure took words from it
    (`erased`); only of services that have rules."""


def windows_of(span: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """A span of positions in pieces that are gone through one at a time; each by its first and last."""
    first, last = span
    for start in range(first, last + 1, WINDOW_SEQS):
        yield start, min(start + WINDOW_SEQS - 1, last)
