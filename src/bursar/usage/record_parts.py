"""The parts of a journal record that only some events need, and how amounts are written in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bursar.usage.costing import parts_of, reported_picos
from bursar.usage.record import UsagePartLine

if TYPE_CHECKING:
    from bursar.usage.costing import Costed, CostedPart
    from bursar.usage.event import UsageEvent
    from bursar.usage.measure import Measured
    from bursar.usage.record import UsageRecord

REPORTED_BY_PROVIDER = "provider"


def stored_amount(picos: int | None) -> str | None:
    """An amount with all its twelve places, as DuckDB reads it exactly."""
    if picos is None:
        return None
    digits = f"{picos:013d}"
    return f"{digits[:-12]}.{digits[-12:]}"


def shown_amount(stored: str) -> str:
    """A stored amount as people read it: without trailing zeros."""
    return stored.rstrip("0").rstrip(".")


def add_parts(record: UsageRecord, event: UsageEvent, measured: Measured, costed: Costed) -> None:
    """Add what the caller's part doesn't say and most records don't need.

    Raises:
        Invalid: the caller's own cost is no amount that an event may have.
    """
    if event.provider is None and costed.card:
        record.provider = costed.card.provider
    if event.model is None:
        record.model = event.response_model
    said = measured.provider
    reported = event.cost or (said.reported_cost if said else None)
    if reported is not None:
        record.reported_cost = stored_amount(reported_picos(reported))
        record.reported_currency = reported.currency
        record.reported_by = None if event.cost else REPORTED_BY_PROVIDER
    record.parts = [_part_line(part) for part in parts_of(costed)] or None
    record.custom_units = measured.custom
    if said is not None:
        record.service_tier, record.batch, record.speed = said.service_tier, said.batch, said.speed
        record.region, record.context_tokens = said.region, said.context_tokens


def _part_line(part: CostedPart) -> UsagePartLine:
    return UsagePartLine(
        model=part.model,
        units=part.units,
        rate_card=part.rating.card.id if part.rating.card else None,
        cost=stored_amount(part.rating.picos),
        cost_reason=part.rating.reason,
    )
