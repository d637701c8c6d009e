"""Why an event costs what it costs, and what one would cost: the audit side of pricing, over HTTP.

An explanation is made from what was kept with the event (its units, its raw usage object and the
rate card by content hash), never from today's prices. A check runs the same translation and rating
as ingest, for any time, and keeps nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Depends, Query, Request
from fastapi.concurrency import run_in_threadpool

from bursar import clock
from bursar.app.auth import require
from bursar.app.explain_origin import OriginFinder
from bursar.errors import Invalid, NotFound
from bursar.identity.bodies import Moment
from bursar.identity.caller import Caller
from bursar.identity.permissions import Permission
from bursar.money import parse_picos
from bursar.pricing.cards import card_from_json
from bursar.pricing.explain import Explanation, explain_card
from bursar.pricing.rating import CostStatus
from bursar.units import Quantities, to_steps
from bursar.usage.allocations.explained import BorneBy, explain_bearers
from bursar.usage.bodies import Shape, read_items
from bursar.usage.cost_check import Check, PartExplanation, check_all, shown_units
from bursar.usage.known_services import finder_of
from bursar.usage.providers.normalise import normalise_usage
from bursar.usage.resolution import ResolvedBy, resolved_by
from bursar.usage.sight import Sight, sight_of
from bursar.usage.stored_event import StoredReportedCost

if TYPE_CHECKING:
    from bursar.app.platform import Platform
    from bursar.usage.stored_event import EarlierRating, Quantity, StoredCost, StoredEvent

_LOOKER = require(Permission.EVENTS_READ, in_projects=True)
CHECK_LIMIT = 1000
"""Events that one check may hold."""


@dataclass(frozen=True, slots=True)
class EarlierExplanation:
    """A rating that the event had before a rating run replaced it."""

    cost_status: str
    cost_reason: str | None
    currency: str
    total: str | None
    """As it was stored; null where the cost was unknown."""
    explanation: Explanation
    parts: list[PartExplanation]
    ended_at: datetime
    """When the run came into force that replaced it."""
    key_id: str | None
    """The API key that asked for the run."""
    reason: str | None
    """Why they did."""
    run_id: str | None


@dataclass(frozen=True, slots=True)
class EventExplanation:
    """How one stored event's cost came about."""

    event_id: str
    time: datetime
    provider: str | None
    model: str | None
    response_model: str | None
    usage: Any
    """The provider's own usage object, as it came; null for who may not see metadata."""
    units: dict[str, str]
    """Disjoint quantities, as decimal strings."""
    units_source: str | None
    """What the units were read from; `estimated:<method>` where nobody counted them."""
    notes: list[str]
    """Named peculiarities of the usage object: what had to be inferred from it."""
    cost_status: str
    cost_reason: str | None
    currency: str
    total: str | None
    """As stored; null where the cost is unknown."""
    explanation: Explanation
    parts: list[PartExplanation]
    """Filled instead of `explanation.lines` where several models took part."""
    adds_up: bool | None
    """Whether the lines sum to the stored total; null where there are none."""
    resolved_by: ResolvedBy
    """The step that the cost came from, of those that are tried in this order: `contract`,
    `provider_reported` (trusted), `billing_rule`, `price_book`, `client_reported`; else `nobody`."""
    reported_cost: StoredReportedCost | None
    """What the caller or the provider said that it cost, whether that counts or not."""
    earlier_ratings: list[EarlierExplanation]
    """What the event cost by earlier prices, the newest first."""
    borne_by: dict[str, BorneBy]
    """Its `cost_centre` and its `owner` on its day, and by which allocation."""


@dataclass(frozen=True, slots=True)
class CheckAnswer:
    """One check per event, in order."""

    items: list[Check]
    book_version: str


def make_router(platform: Platform) -> APIRouter:
    """`GET /api/v1/events/{event_id}/explain` and `POST /api/v1/prices/check`."""
    router = APIRouter(prefix="/api/v1")

    @router.get("/events/{event_id:path}/explain", tags=["events"])
    async def explain_event(event_id: str, caller: Annotated[Caller, Depends(_LOOKER)]) -> EventExplanation:
        """How this event's cost came about: units, rates, amounts, their sum and their source."""
        sight = sight_of(caller, Permission.EVENTS_READ)
        return await _explain_event(platform, caller.tenant_id, event_id, sight)

    @router.post("/prices/check", tags=["prices"])
    async def check_prices(
        request: Request,
        caller: Annotated[Caller, Depends(require(Permission.EVENTS_READ))],
        _body: Annotated[
            object,
            Body(
                description='One event, a list, or `{"events": []}`, as for POST /api/v1/events; '
                "`Content-Encoding` may be `gzip` or `zstd`"
            ),
        ],
        at: Annotated[
            Moment | None, Query(description="The time of events that say none; now if absent.")
        ] = None,
    ) -> CheckAnswer:
        """What these events would cost, at any time, without keeping them."""
        find_service = finder_of(platform.ingestor.services, caller.tenant_id)
        items = read_items(await request.body(), Shape.JSON, {}, CHECK_LIMIT, find_service)
        flat = [item for batch in items.slices for item in batch]
        prices = platform.books.of(caller.tenant_id)
        checks = await run_in_threadpool(check_all, flat, prices, find_service, at or clock.now())
        return CheckAnswer(checks, platform.books.book.version)

    return router


async def _explain_event(platform: Platform, tenant_id: str, event_id: str, sight: Sight) -> EventExplanation:
    event, earlier = await platform.questions.ask(
        lambda store: (
            store.find_event(tenant_id, event_id, sight.projects),
            store.earlier_ratings(tenant_id, event_id),
        )
    )
    if event is None:
        raise NotFound(f"There is no event {event_id[:256]!r}.")
    # Its lines and their origin come from the same cards: each is read once.
    load_card = cache(platform.snapshots.load)
    origins = OriginFinder(platform.books.of(tenant_id).book_for(event.project_id), load_card, event)

    def explained() -> EventExplanation:
        bearers = explain_bearers(platform.claims.claims_of(tenant_id), event)
        return replace(_trace(_explain(event, earlier, load_card, sight), origins), borne_by=bearers)

    return await run_in_threadpool(explained)


def _trace(explained: EventExplanation, origins: OriginFinder) -> EventExplanation:
    """The same, with the rules and price rows behind the cards of today's rating."""
    model = explained.response_model or explained.model
    return replace(
        explained,
        explanation=origins.traced(explained.explanation, model),
        parts=[
            replace(part, explanation=origins.traced(part.explanation, part.model))
            for part in explained.parts
        ],
    )


def _explain(
    event: StoredEvent,
    earlier: Sequence[EarlierRating],
    load_card: Callable[[str], str | None],
    sight: Sight,
) -> EventExplanation:
    units = {name: _steps(name, quantity) for name, quantity in event.units.items()}
    cost = event.cost
    explanation, parts = _explain_cost(cost, _plain(event.parts) or [], units, load_card)
    return EventExplanation(
        event_id=event.event_id,
        time=event.time,
        provider=event.provider,
        model=event.model,
        response_model=event.response_model,
        usage=_plain(sight.show(event).usage),
        units=shown_units(units),
        units_source=event.units_source,
        notes=_notes_of(event),
        cost_status=cost.status,
        cost_reason=cost.reason,
        currency=cost.currency,
        total=cost.total,
        explanation=explanation,
        parts=parts,
        adds_up=_adds_up(cost.total, explanation, parts),
        resolved_by=resolved_by(explanation, [part.explanation for part in parts]),
        reported_cost=event.reported_cost,
        earlier_ratings=[_explain_earlier(one, units, load_card) for one in earlier],
        borne_by={},
    )


def _notes_of(event: StoredEvent) -> list[str]:
    """What reading the usage object had to infer; nothing where an older version could read what we can't."""
    try:
        return list(normalise_usage(_plain(event.usage) or {}, event.provider).notes)
    except Invalid:
        return []


def _explain_earlier(
    one: EarlierRating, units: Quantities, load_card: Callable[[str], str | None]
) -> EarlierExplanation:
    cost = one.cost
    shares: list[dict[str, Any]] = msgspec.json.decode(one.parts) if one.parts else []
    explanation, parts = _explain_cost(cost, shares, units, load_card)
    return EarlierExplanation(
        cost.status,
        cost.reason,
        cost.currency,
        cost.total,
        explanation,
        parts,
        one.ended_at,
        one.key_id,
        one.reason,
        one.run_id,
    )


def _explain_cost(
    cost: StoredCost,
    shares: list[dict[str, Any]],
    units: Quantities,
    load_card: Callable[[str], str | None],
) -> tuple[Explanation, list[PartExplanation]]:
    """How a cost came about, by its own card or by those of the shares that it is made of."""
    parts = [_explain_part(share, cost, load_card) for share in shares]
    explanation = _explain_from_card(cost.rate_card, units, cost, load_card) if not parts else None
    if explanation is None:
        explanation = Explanation(cost.status, cost.reason, cost.currency, cost.total, (), None)
    return explanation, parts


def _explain_part(
    part: dict[str, Any], cost: StoredCost, load_card: Callable[[str], str | None]
) -> PartExplanation:
    units: Quantities = part["units"]
    explanation = _explain_from_card(part.get("rate_card"), units, cost, load_card)
    if explanation is None:
        reason = part.get("cost_reason")
        explanation = Explanation(CostStatus.UNPRICED, reason, cost.currency, None, (), None)
    return PartExplanation(part["model"], shown_units(units), explanation)


def _explain_from_card(
    card_id: str | None, units: Quantities, cost: StoredCost, load_card: Callable[[str], str | None]
) -> Explanation | None:
    """The lines that the kept rate card gives; None where no card was used."""
    document = load_card(card_id) if card_id else None
    if document is None:
        return None
    return explain_card(card_from_json(document), units, status=CostStatus(cost.status))


def _adds_up(total: str | None, explanation: Explanation, parts: list[PartExplanation]) -> bool | None:
    lines = [*explanation.lines, *(line for part in parts for line in part.explanation.lines)]
    if total is None or not lines:
        return None
    return sum(parse_picos(line.amount) for line in lines) == parse_picos(total)


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """A JSON value that the store hands on undecoded, decoded."""
    return msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value


def _steps(name: str, quantity: Quantity) -> int:
    return to_steps(name, quantity if isinstance(quantity, int) else Decimal(quantity))
