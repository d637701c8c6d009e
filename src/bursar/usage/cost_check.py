"""What events would cost, without keeping them: the same translation, checks and rating as at the door.

For whoever tries out prices, billing rules or a registration before usage depends on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec import structs

from bursar.errors import Invalid
from bursar.money import format_picos
from bursar.pricing.explain import Explanation, explain_origin, explain_rating
from bursar.units import format_steps
from bursar.usage.bodies import Refused
from bursar.usage.costing import cost_event, parts_of, subject_of
from bursar.usage.known_services import measure_of_service
from bursar.usage.measure import measure_usage
from bursar.usage.resolution import ResolvedBy, resolved_by

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bursar.pricing.books import TenantPrices
    from bursar.units import Quantities
    from bursar.usage.bodies import Item
    from bursar.usage.costing import Costed
    from bursar.usage.event import UsageEvent
    from bursar.usage.known_services import FindService


@dataclass(frozen=True, slots=True)
class PartExplanation:
    """One model's share of an answer in which several took part."""

    model: str
    units: dict[str, str]
    explanation: Explanation


@dataclass(frozen=True, slots=True)
class CheckedReason:
    """One reason why an event would be refused."""

    field: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Check:
    """What one event would cost, or why it would be refused."""

    index: int
    units: dict[str, str]
    explanation: Explanation | None
    parts: list[PartExplanation]
    errors: list[CheckedReason]
    resolved_by: ResolvedBy | None = None
    """The step that the cost came from; null where the event would be refused."""


def check_all(
    items: Sequence[Item], prices: TenantPrices, find_service: FindService, now: datetime
) -> list[Check]:
    """One check for each item, in order; events without a time are rated as of `now`."""
    return [_check(index, item, prices, find_service, now) for index, item in enumerate(items)]


def _check(index: int, item: Item, prices: TenantPrices, find_service: FindService, now: datetime) -> Check:
    reasons = item.reasons if isinstance(item, Refused) else ()
    if not isinstance(item, Refused):
        try:
            return _rated(index, item, prices, find_service, now)
        except Invalid as refusal:
            reasons = refusal.reasons
    return Check(index, {}, None, [], [CheckedReason(one.field, one.code, one.message) for one in reasons])


def _rated(
    index: int, event: UsageEvent, prices: TenantPrices, find_service: FindService, now: datetime
) -> Check:
    declared = find_service(event.tenant_id, event.service_type)
    measured = measure_usage(event) if declared is None else measure_of_service(event, declared)
    time = event.time or now
    costed = cost_event(prices, event, measured, time)
    units = {**measured.units, **(measured.custom or {})}
    subject, book = subject_of(event, measured, time), prices.book_for(event.project_id)
    parts = [
        PartExplanation(
            part.model,
            shown_units(part.units),
            explain_origin(
                explain_rating(part.rating, part.units),
                book,
                structs.replace(subject, model=part.model),
                part.rating.card,
            ),
        )
        for part in parts_of(costed)
    ]
    explanation = explain_origin(_explain_costed(costed, units), book, subject, costed.card)
    step = resolved_by(explanation, [part.explanation for part in parts])
    return Check(index, shown_units(units), explanation, parts, [], step)


def _explain_costed(costed: Costed, units: Quantities) -> Explanation:
    if costed.card is None or parts_of(costed):
        total = None if costed.picos is None else format_picos(costed.picos)
        return Explanation(costed.status, costed.reason, costed.currency, total, (), None)
    return explain_rating(costed, units)


def shown_units(units: Quantities) -> dict[str, str]:
    """Quantities as decimal strings."""
    return {name: format_steps(name, steps) for name, steps in units.items()}
