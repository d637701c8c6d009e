"""The parts of a journal record that only some events need, and how amounts are written in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bursar.usage.costing import parts_of, reported_picos
from bursar.usage.record import RecordExtras, UsagePartLine

if TYPE_CHECKING:
    from bursar.usage.costing import Costed, CostedPart
    from bursar.usage.event import UsageEvent
    from bursar.usage.measure import Measured


def stored_amount(picos: int | None) -> str | None:
    """An amount with all its twelve places, as DuckDB reads it exactly."""
    if picos is None:
        return None
    digits = f"{picos:013d}"
    return f"{digits[:-12]}.{digits[-12:]}"


def shown_amount(stored: str) -> str:
    """A stored amount as people read it: without trailing zeros."""
    return stored.rstrip("0").rstrip(".")


def extras_of(event: UsageEvent, measured: Measured, costed: Costed) -> RecordExtras:
    """What the caller's part doesn't say and most events don't need.

    Raises:
        Invalid: the caller's own cost is no amount that an event may have.
    """
    said = measured.provider
    return RecordExtras(
        provider=costed.card.provider if event.provider is None and costed.card else None,
        model=event.response_model if event.model is None else None,
        service_tier=said.service_tier if said else None,
        batch=said.batch if said else None,
        speed=said.speed if said else None,
        region=said.region if said else None,
        context_tokens=said.context_tokens if said else None,
        custom_units=measured.custom,
        parts=[_part_line(part) for part in parts_of(costed)] or None,
        reported_cost=stored_amount(reported_picos(event)),
        reported_currency=event.cost.currency if event.cost else None,
    )


def _part_line(part: CostedPart) -> UsagePartLine:
    return UsagePartLine(
        model=part.model,
        units=part.units,
        rate_card=part.rating.card.id if part.rating.card else None,
        cost=stored_amount(part.rating.picos),
        cost_reason=part.rating.reason,
    )
