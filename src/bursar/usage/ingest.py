"""The one door: every source's events are checked, measured, costed and journaled here.

`Ingestor.accept` takes the items of one body and answers when the good ones are durable. It never
half-accepts: an item is either in the journal with its cost, or refused with every reason. Counting
an id only once is the applier's work, behind the journal.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import msgspec

from bursar import clock
from bursar.errors import Invalid, Reason
from bursar.ids import EventIds, derived_event_id
from bursar.usage.bodies import Items, Refused
from bursar.usage.checks import check_event, check_json_parts
from bursar.usage.costing import Costed, cost_event, parts_of, reported_picos
from bursar.usage.measure import Measured, measure_usage
from bursar.usage.record import RecordCost, RecordExtras, RecordHead, encode_event, encode_record, fingerprint
from bursar.usage.record_parts import extras_of, shown_amount, stored_amount
from bursar.usage.redact import redact_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bursar.pricing.book import PriceBook
    from bursar.pricing.card import RateCard
    from bursar.usage.checks import Receipt
    from bursar.usage.event import UsageEvent


class EventJournal(Protocol):
    """What ingest needs of the journal."""

    def check_room(self) -> None:
        """Refuse work that could not be kept (`DiskFull`, `Overloaded`, `Unavailable`)."""
        ...

    def append(self, records: Sequence[bytes], *, usage_only: bool) -> tuple[int, asyncio.Future[None]]:
        """Give records consecutive seqs; the future is done when all of them are durable."""
        ...


class PriceSnapshots(Protocol):
    """Where rate cards are kept by content hash, before the first event that names one."""

    def save(self, card_id: str, document: str) -> None:
        """Keep a card; saving it again changes nothing."""
        ...


REMEMBERED_COSTS = 10_000
"""Encoded cost fields kept; rate cards are some thousands at most."""


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


@dataclass(slots=True)
class Accepted:
    """The account of one body: every item is either counted as accepted or listed as rejected."""

    single: bool
    count: int = 0
    """How many items were accepted."""
    answers: list[EventAnswer] = field(default_factory=list[EventAnswer])
    """What became of each of them, unless nobody wants to know."""
    rejections: list[Rejection] = field(default_factory=list[Rejection])
    first_seq: int = 0
    """The seq of the first accepted item; the others follow without a gap."""
    tenants: set[str] = field(default_factory=set[str])
    """Whose events were accepted: the caller's, or those that an operator named."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Usage records that are ready for the journal, without a seq; nothing of them is kept yet."""

    records: list[bytes]
    answers: list[EventAnswer]
    """One for each record, in the same order."""
    rejections: list[Rejection]


@dataclass(frozen=True, slots=True)
class AcceptOptions:
    """How one body is to be accepted."""

    idempotency_key: str | None = None
    """Ids of items without one are derived from it and the item's index."""
    admit: Callable[[], Reason | None] = lambda: None
    """Asked once, right before the journal: a named refusal of the whole body, or None."""
    wants_answers: bool = True
    """Whether the caller reads what became of each accepted item of a batch."""
    on_appended: Callable[[int, int], None] | None = None
    """Called with first seq and count once the records have their seqs, before they can be applied."""


@dataclass(slots=True)
class IngestCounters:
    """What came in, by door; read by metrics."""

    accepted: dict[str, int] = field(default_factory=dict[str, int])
    rejected: dict[str, int] = field(default_factory=dict[str, int])
    unpriced: dict[str, int] = field(default_factory=dict[str, int])


@dataclass(slots=True)
class _Request:
    """One body on its way through the door."""

    receipt: Receipt
    idempotency_key: str | None
    accepted: Accepted
    received_micros: int
    wants_answers: bool
    records: list[bytes] = field(default_factory=list[bytes])
    cards: dict[str, RateCard] = field(default_factory=dict["str", "RateCard"])
    heads: dict[str, bytes] = field(default_factory=dict["str", bytes])
    unpriced: int = 0

    def head_for(self, tenant_id: str) -> bytes:
        """The encoded fields that this body's records of a tenant begin with."""
        head = self.heads.get(tenant_id)
        if head is None:
            receipt = self.receipt
            self.accepted.tenants.add(tenant_id)
            head = self.heads[tenant_id] = encode_record(
                RecordHead(
                    received=self.received_micros,
                    tenant_id=tenant_id,
                    key_id=receipt.caller.key_id,
                    door=receipt.door,
                )
            )[1:-1]
        return head


class Ingestor:
    """Accepts events for any caller. Use from one event loop."""

    def __init__(
        self,
        journal: EventJournal,
        book: PriceBook,
        snapshots: PriceSnapshots,
    ) -> None:
        """Rate by this book, keep rate cards in `snapshots`, records in `journal`."""
        self._journal = journal
        self._book = book
        self._snapshots = snapshots
        self._event_ids = EventIds()
        self._saved_cards: set[str] = set()
        self._cost_parts: dict[tuple[str | None, str, str, str | None], bytes] = {}
        self.counters = IngestCounters()

    async def accept(self, items: Items, receipt: Receipt, options: AcceptOptions) -> Accepted:
        """Journal the good items of a body and say what became of each.

        Raises:
            DiskFull, Overloaded, Unavailable: nothing of the body was accepted.
        """
        self._journal.check_room()
        accepted = Accepted(items.single)
        wants_answers = options.wants_answers or items.single
        received = clock.to_micros(receipt.now)
        request = _Request(receipt, options.idempotency_key, accepted, received, wants_answers)
        await self._take_all(items, request)
        refusal = options.admit()
        if refusal is not None:
            accepted.rejections = [Rejection(i, (refusal,)) for i in range(items.count)]
            accepted.answers = []
        elif request.records:
            accepted.count = len(request.records)
            await self._save_cards(request.cards)
            accepted.first_seq, durable = self._journal.append(request.records, usage_only=True)
            if options.on_appended is not None:
                options.on_appended(accepted.first_seq, len(request.records))
            await durable
        self._count(request)
        return accepted

    async def prepare(self, items: Items, receipt: Receipt) -> Prepared:
        """Check, measure and cost items as `accept` does, and journal nothing: corrections begin so."""
        accepted = Accepted(items.single)
        request = _Request(receipt, None, accepted, clock.to_micros(receipt.now), wants_answers=True)
        await self._take_all(items, request)
        await self._save_cards(request.cards)
        return Prepared(request.records, accepted.answers, accepted.rejections)

    async def _take_all(self, items: Items, request: _Request) -> None:
        index = 0
        for batch in items.slices:
            for item in batch:
                self._take(item, index, request)
                index += 1
            if items.count > len(batch):
                await asyncio.sleep(0)

    def _take(self, item: UsageEvent | Refused, index: int, request: _Request) -> None:
        if isinstance(item, Refused):
            request.accepted.rejections.append(Rejection(index, item.reasons, item.event_id))
            return
        try:
            if not check_event(item, request.receipt) and self._prepare(item, index, request):
                return
        except Invalid:
            pass
        reasons = self._all_reasons(item, request.receipt)
        request.accepted.rejections.append(Rejection(index, reasons, item.event_id))

    def _all_reasons(self, event: UsageEvent, receipt: Receipt) -> tuple[Reason, ...]:
        """Everything that is wrong with a refused event, not only what was found first."""
        reasons = [*check_event(event, receipt), *check_json_parts(event, encode_event(event))]
        try:
            reported_picos(event)
        except Invalid as refusal:
            reasons += refusal.reasons
        try:
            measured = measure_usage(event)
            event.cost = None
            cost_event(self._book, event, measured, event.time or receipt.now)
        except Invalid as refusal:
            reasons += refusal.reasons
        return tuple(reasons)

    def _prepare(self, event: UsageEvent, index: int, request: _Request) -> bool:
        """Add the event's record and answer; False or `Invalid` where something is wrong with it."""
        receipt = request.receipt
        measured = measure_usage(event)
        time = event.time
        costed = cost_event(self._book, event, measured, time or receipt.now)
        tenant_id = event.tenant_id or receipt.caller.tenant_id
        micros = clock.to_micros(time) if time else request.received_micros
        # The record says both, so the caller's part needn't; the time is in the fingerprint all the same.
        event.tenant_id = event.time = None
        if event.message is not None:
            event.message = redact_text(event.message)
        content = encode_event(event)
        if check_json_parts(event, content):
            return False
        extras = None if _is_plain(event, measured, costed) else extras_of(event, measured, costed)
        event_id = event.event_id
        if event_id is None:
            event_id = self._id_for(index, request)
            extras = extras or RecordExtras()
            extras.event_id = event_id
        cost_text = stored_amount(costed.picos)
        request.records.append(
            b'{%b,"fingerprint":%d,"time":%d%b%b%b,"event":%b}'
            % (
                request.head_for(tenant_id),
                fingerprint(content, micros if time else None),
                micros,
                _units_part(measured),
                self._cost_part(costed, cost_text),
                b"" if extras is None else _following(encode_record(extras)),
                content,
            )
        )
        if costed.card is None or measured.provider is not None:
            _note_parts(costed, request)
        elif costed.card.id not in self._saved_cards:
            request.cards[costed.card.id] = costed.card
        if request.wants_answers:
            safe = event.event_id is not None or request.idempotency_key is not None
            request.accepted.answers.append(EventAnswer(event_id, safe, _cost_answer(costed, cost_text)))
        return True

    def _id_for(self, index: int, request: _Request) -> str:
        if request.idempotency_key is not None:
            return derived_event_id(request.idempotency_key, index)
        return self._event_ids.make(request.receipt.now)

    def _cost_part(self, costed: Costed, cost_text: str | None) -> bytes:
        """The record's cost fields; all but the amount repeat, so they are encoded once."""
        key = (costed.card.id if costed.card else None, costed.currency, costed.status, costed.reason)
        part = self._cost_parts.get(key)
        if part is None:
            if len(self._cost_parts) >= REMEMBERED_COSTS:
                self._cost_parts.clear()
            part = self._cost_parts[key] = encode_record(
                RecordCost(
                    currency=costed.currency,
                    cost_status=costed.status,
                    cost_reason=costed.reason,
                    rate_card=key[0],
                )
            )[1:-1]
        return b',"cost":"%b",%b' % (cost_text.encode(), part) if cost_text else b"," + part

    async def _save_cards(self, cards: dict[str, RateCard]) -> None:
        for card in cards.values():
            if card.id not in self._saved_cards:
                await asyncio.to_thread(self._snapshots.save, card.id, card.to_json())
                self._saved_cards.add(card.id)

    def _count(self, request: _Request) -> None:
        counters, door = self.counters, request.receipt.door
        accepted = request.accepted
        counters.accepted[door] = counters.accepted.get(door, 0) + accepted.count
        counters.rejected[door] = counters.rejected.get(door, 0) + len(accepted.rejections)
        if accepted.count:
            counters.unpriced[door] = counters.unpriced.get(door, 0) + request.unpriced


def _cost_answer(costed: Costed, cost_text: str | None) -> CostAnswer:
    total = None if cost_text is None else shown_amount(cost_text)
    return CostAnswer(costed.status, costed.currency, total, costed.reason)


def _is_plain(event: UsageEvent, measured: Measured, costed: Costed) -> bool:
    """Whether the record needs nothing of `RecordExtras`."""
    if event.provider is None or event.model is None or event.cost is not None:
        return False
    return measured.source == "totals" or not (measured.provider or measured.custom or parts_of(costed))


def _following(encoded: bytes) -> bytes:
    """The fields of an encoded object, to be put behind other fields."""
    return b"," + encoded[1:-1] if encoded != b"{}" else b""


def _units_part(measured: Measured) -> bytes:
    source = measured.source
    return b"" if source is None else b',"units":%b%b' % (encode_record(measured.units), _SOURCES[source])


_SOURCES = {
    source: b',"units_source":"%b"' % source.encode() for source in ("units", "usage", "totals", "estimated")
}
"""Where units came from, encoded."""


def _note_parts(costed: Costed, request: _Request) -> None:
    """Note what the hot path doesn't: several cards in one event, or none."""
    if costed.picos is None:
        request.unpriced += 1
    if costed.card is not None:
        request.cards[costed.card.id] = costed.card
    for part in parts_of(costed):
        if part.rating.card is not None:
            request.cards[part.rating.card.id] = part.rating.card
