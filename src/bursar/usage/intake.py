"""From the items of one body to usage records: each is checked, measured, costed and encoded, or refused.

Nearly all events take the short way (`plain.py`); the long way here knows all rules, and finds every
reason where one is broken. Nothing is kept here: `ingest.py` journals the records of a whole body,
corrections put them into records of their own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from bursar import clock
from bursar.errors import Invalid, Reason
from bursar.ids import EventIds, derived_event_id
from bursar.pricing.rules.rule import DEFAULT_SERVICE_TYPE
from bursar.usage.bodies import Refused
from bursar.usage.checks import check_event, check_json_parts
from bursar.usage.costing import cost_event, parts_of, reported_picos
from bursar.usage.known_services import NoServices, check_service, count_metadata, measure_of_service
from bursar.usage.measure import measure_usage
from bursar.usage.plain import ShortWay
from bursar.usage.privacy.at_the_door import DefaultPrivacy, take_out
from bursar.usage.record import RECORD_VERSION, USAGE, UnnumberedLines, UsageRecord, encode_event
from bursar.usage.record_parts import add_parts, shown_amount, stored_amount
from bursar.usage.redact import redact_text
from bursar.usage.tracking import (
    NamedToken,
    NoTokens,
    check_project,
    name_project,
    name_token,
    tenant_of_token,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bursar.pricing.books import PriceBooks
    from bursar.pricing.cards import Card
    from bursar.usage.bodies import Item
    from bursar.usage.checks import Receipt
    from bursar.usage.costing import Costed
    from bursar.usage.event import UsageEvent
    from bursar.usage.known_services import DeclaredService, Services
    from bursar.usage.privacy.at_the_door import Privacy
    from bursar.usage.record import PlainRecord, UsageLine
    from bursar.usage.tracking import TrackingTokens


class CostAnswer(msgspec.Struct, omit_defaults=True, gc=False):
    """What an accepted event costs, as the answer says it."""

    status: str
    currency: str
    total: str | None = None
    """Decimal string; absent where the cost is unknown."""
    reason: str | None = None


class EventAnswer(msgspec.Struct, omit_defaults=True, gc=False):
    """What became of one accepted event."""

    event_id: str
    retry_safe: bool
    cost: CostAnswer
    outcome: str | None = None
    """`new`, `duplicate` or `conflict`, once it was applied."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """An item that was refused: its place in the body and every reason."""

    index: int
    reasons: tuple[Reason, ...]
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class OfTenants:
    """What tenants have of their own that events are held to."""

    services: Services = field(default_factory=NoServices)
    tokens: TrackingTokens = field(default_factory=NoTokens)
    privacy: Privacy = field(default_factory=DefaultPrivacy)


class RecordMaker:
    """Makes usage records, each rated by its tenant's prices."""

    def __init__(self, books: PriceBooks, of_tenants: OfTenants | None = None) -> None:
        of_tenants = of_tenants or OfTenants()
        self.books = books
        self.tokens, self.services, self.privacy = of_tenants.tokens, of_tenants.services, of_tenants.privacy
        self.event_ids = EventIds()


@dataclass(slots=True)
class Intake:
    """One body on its way into records; every item is in `records`, in lines of them, or in `rejections`."""

    maker: RecordMaker
    receipt: Receipt
    idempotency_key: str | None = None
    """Ids of items without one are derived from it and the item's index."""
    wants_answers: bool = True
    records: list[UsageLine] = field(default_factory=list["UsageLine"])
    answers: list[EventAnswer] = field(default_factory=list[EventAnswer])
    """One for each record, unless nobody wants them."""
    rejections: list[Rejection] = field(default_factory=list[Rejection])
    encoded: int = 0
    """How many records left `records` as lines; they came before those that are in it."""
    cards: dict[str, Card] = field(default_factory=dict["str", "Card"])
    """Rate cards that the records name, by id: they must be kept before the records are."""
    tenants: set[str] = field(init=False)
    """The caller's, and those that accepted events name."""
    unpriced: int = 0
    """Records whose cost isn't known."""
    tracked: dict[int, NamedToken] = field(default_factory=dict[int, "NamedToken"])
    """The tracking tokens by which records came, by their place among all."""
    redacted: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    """How often something was taken out of the records: tenant and the name of its rule."""

    _short_way: ShortWay = field(init=False)

    def __post_init__(self) -> None:
        """Begin with the caller's own tenant."""
        self.tenants = {self.receipt.caller.tenant_id}
        self._short_way = _short_way(self.maker, self.receipt, self.cards)

    def take(self, items: Sequence[Item]) -> None:
        """Make records of the next items of the body."""
        records, record_of = self.records, self._short_way.record_of
        if self.receipt.projects is not None:
            record_of = partial(self._record_within, self.receipt.projects)
        for index, item in enumerate(items, self.encoded + len(records) + len(self.rejections)):
            record = None if isinstance(item, Refused) else record_of(item)
            if record is None:
                self.take_carefully(item, index)
                continue
            records.append(record)
            if self.wants_answers:
                self.answers.append(_answer_to(item.event_id, record))

    def _record_within(self, projects: frozenset[str], event: UsageEvent) -> PlainRecord | None:
        """By the short way, of a caller bound to projects."""
        return None if name_project(event, projects) else self._short_way.record_of(event)

    def encode(self) -> UnnumberedLines:
        """The records as lines; they leave `records`, so that their memory is soon used again."""
        lines = UnnumberedLines.of(self.records)
        self.encoded += lines.count
        self.records.clear()
        return lines

    def take_carefully(self, item: Item, index: int) -> None:
        """Take an item that isn't plain, or refuse it with every reason."""
        reasons: tuple[Reason, ...] = ()
        if isinstance(item, Refused):
            reasons = item.reasons
        else:
            try:
                if item.tracking_token is self.receipt.projects is None:
                    if self._has_taken(item, index):
                        return
                elif self._has_taken_bound(item, index):
                    return
            except (Invalid, RecursionError):
                # What could be read just so may be too deep to be written from here.
                pass
            reasons = self._all_reasons(item)
        self.rejections.append(Rejection(index, reasons, item.event_id))

    def _has_taken_bound(self, event: UsageEvent, index: int) -> bool:
        """Add the record of an event that names a tracking token, or is of a caller bound to projects."""
        token, tenant_id = event.tracking_token, tenant_of_token(event, self.receipt.caller)
        if [*self._binding_reasons(event)] or not self._has_taken(event, index):
            return False
        if token is not None:
            named = NamedToken(tenant_id, event.tracking_token_id or "", token)
            self.tracked[self.encoded + len(self.records) - 1] = named
        return True

    def _binding_reasons(self, event: UsageEvent) -> Iterator[Reason]:
        """Why its token or its project can't be; where they can, the event says both from now on."""
        receipt = self.receipt
        if receipt.projects is not None and (reason := name_project(event, receipt.projects)):
            yield reason
        if event.tracking_token is not None and (
            reason := name_token(event, receipt.caller, self.maker.tokens)
        ):
            yield reason

    def _has_taken(self, event: UsageEvent, index: int) -> bool:
        """Add the event's record and answer; False or `Invalid` where something is wrong with it."""
        receipt, time = self.receipt, event.time
        micros = receipt.received if time is None else clock.to_micros(time)
        if check_event(event.tenant_id, micros, receipt, event.project_id) or check_project(event, receipt):
            return False
        tenant_id = event.tenant_id or receipt.caller.tenant_id
        declared = self._declared(event)
        measured = measure_usage(event) if declared is None else measure_of_service(event, declared)
        costed = cost_event(self.maker.books.of(tenant_id), event, measured, time or receipt.now)
        content = _kept_part(event)
        if check_json_parts(event, content):
            return False
        kept = take_out(self.maker.privacy.of(tenant_id), event, content, None if time is None else micros)
        record = UsageRecord(
            v=RECORD_VERSION,
            kind=USAGE,
            received=receipt.received,
            tenant_id=tenant_id,
            key_id=receipt.caller.key_id,
            door=receipt.door,
            fingerprint=kept.fingerprint,
            spelled_fingerprint=kept.spelled_fingerprint,
            time=micros,
            units=None if measured.source is None else measured.units,
            units_source=measured.source,
            cost=stored_amount(costed.picos),
            currency=costed.currency,
            cost_status=costed.status,
            cost_reason=costed.reason,
            rate_card=costed.card.id if costed.card else None,
            event_id=self._id_for(index) if event.event_id is None else None,
            event=msgspec.Raw(kept.content),
        )
        add_parts(record, event, measured, costed)
        self._add(record, event, costed)
        for rule, times in kept.counts.items():
            self.redacted[tenant_id, rule] += times
        return True

    def _declared(self, event: UsageEvent) -> DeclaredService | None:
        """The registered service that the event is of."""
        tenant_id = event.tenant_id or self.receipt.caller.tenant_id
        services = self.maker.services.declared_of(tenant_id)
        return services.get(event.service_type or DEFAULT_SERVICE_TYPE) if services else None

    def _add(self, record: UsageRecord, event: UsageEvent, costed: Costed) -> None:
        self.records.append(record)
        self.tenants.add(record.tenant_id)
        for rating in (costed, *(part.rating for part in parts_of(costed))):
            if rating.card is not None:
                self.cards[rating.card.id] = rating.card
        if record.cost is None:
            self.unpriced += 1
        if self.wants_answers:
            safe = record.event_id is None or self.idempotency_key is not None
            total = None if record.cost is None else shown_amount(record.cost)
            cost = CostAnswer(costed.status, costed.currency, total, costed.reason)
            self.answers.append(EventAnswer(record.event_id or event.event_id or "", safe, cost))

    def _id_for(self, index: int) -> str:
        if self.idempotency_key is not None:
            return derived_event_id(self.idempotency_key, index)
        return self.maker.event_ids.make(self.receipt.now)

    def _all_reasons(self, event: UsageEvent) -> tuple[Reason, ...]:
        """Everything that is wrong with a refused event, not only what was found first."""
        receipt, time = self.receipt, event.time
        micros = receipt.received if time is None else clock.to_micros(time)
        reasons = [
            *check_event(event.tenant_id, micros, receipt, event.project_id),
            *check_json_parts(event, _encoded(event)),
        ]
        reasons += self._binding_reasons(event)
        reasons += filter(None, [check_project(event, receipt)])
        declared = None if any(reason.field == "tenant_id" for reason in reasons) else self._declared(event)
        if declared is not None:
            reasons += check_service(event, declared)
        try:
            if event.cost is not None:
                reported_picos(event.cost)
        except Invalid as refusal:
            reasons += refusal.reasons
        try:
            measured = measure_usage(event)
            if declared is not None:
                count_metadata(event, measured, declared)
            event.cost = None
            prices = self.maker.books.of(event.tenant_id or receipt.caller.tenant_id)
            cost_event(prices, event, measured, time or receipt.now)
        except Invalid as refusal:
            reasons += refusal.reasons
        return tuple(reasons)


def _kept_part(event: UsageEvent) -> bytes:
    """The caller's part as it is kept, redacted; what the record says is taken out of the event."""
    # The time is in the fingerprint all the same.
    event.tenant_id = event.time = None
    if event.message is not None:
        event.message = redact_text(event.message)
    return encode_event(event)


def take_plain(
    event: UsageEvent, maker: RecordMaker, receipt: Receipt, cards: dict[str, Card]
) -> tuple[PlainRecord, EventAnswer] | None:
    """An event by itself, as `Intake` would take it; None, and the event untouched, where it isn't plain.

    The rate card that was used is put into `cards`.
    """
    record = _short_way(maker, receipt, cards).record_of(event)
    return None if record is None else (record, _answer_to(event.event_id, record))


def _short_way(maker: RecordMaker, receipt: Receipt, cards: dict[str, Card]) -> ShortWay:
    tenant_id = receipt.caller.tenant_id
    declared = maker.services.declared_of(tenant_id)
    return ShortWay(maker.books, receipt, cards, declared.keys(), maker.privacy.of(tenant_id))


def _answer_to(event_id: str | None, record: PlainRecord) -> EventAnswer:
    cost = CostAnswer(record.cost_status, record.currency, shown_amount(record.cost))
    return EventAnswer(event_id or "", retry_safe=True, cost=cost)


def _encoded(event: UsageEvent) -> bytes:
    """The caller's part as it would be kept; nothing where it is too deep for that."""
    try:
        return encode_event(event)
    except RecursionError:
        return b""
