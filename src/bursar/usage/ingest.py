"""The one door: every source's events become records (`intake.py`) and are journaled here.

`Ingestor.accept` takes the items of one body and answers when the good ones are durable. It never
half-accepts: an item is either in the journal with its cost, or refused with every reason. Counting
an id only once is the applier's work, behind the journal.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from bursar.errors import BursarError, Reason
from bursar.usage.intake import EventAnswer, Intake, OfTenants, RecordMaker, Rejection, take_plain
from bursar.usage.quotas.arrivals import arrivals_in, take_out
from bursar.usage.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from bursar.errors import RateLimited
    from bursar.pricing.books import PriceBooks
    from bursar.pricing.cards import Card
    from bursar.usage.bodies import Items
    from bursar.usage.checks import Receipt
    from bursar.usage.event import UsageEvent
    from bursar.usage.known_services import Services
    from bursar.usage.quotas.gate import QuotaGate
    from bursar.usage.quotas.quota import Exceeded
    from bursar.usage.record import UnnumberedLines, UsageLine
    from bursar.usage.tracking import NamedToken

    JudgeTokens = Callable[[Mapping[int, NamedToken]], Awaitable[Mapping[int, RateLimited]]]

WHOLE_ITEMS = 1_000
"""Bodies of up to so many items are taken in one turn of the event loop, 4 ms on a 2-core machine. Several
that took turns would push each other out of the processor's cache: 6 % more time for each event."""


class EventJournal(Protocol):
    """What ingest needs of the journal."""

    def check_room(self, owner: str = "") -> None:
        """Refuse a tenant's work that could not be kept (`DiskFull`, `Overloaded`, `Unavailable`)."""
        ...

    def append_usage(self, records: Sequence[UsageLine], owner: str = "") -> tuple[int, asyncio.Future[None]]:
        """Give a tenant's records consecutive seqs; the future is done when all of them are durable."""
        ...

    def append_lines(
        self, parts: Sequence[UnnumberedLines], owner: str = ""
    ) -> tuple[int, asyncio.Future[None]]:
        """Like `append_usage`, for records that are encoded already."""
        ...

    def append_one(self, record: UsageLine, when_durable: Callable[[BursarError | None], None]) -> None:
        """Give a record the next seq; told when it is durable, or why it never will be."""
        ...


class PriceSnapshots(Protocol):
    """Where rate cards are kept by content hash, before the first event that names one."""

    def save(self, card_id: str, document: str) -> None:
        """Keep a card; saving it again changes nothing."""
        ...


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
    limited: RateLimited | None = None
    """Of the tracking token that has to wait longest, where events were refused for that."""
    exceeded: Exceeded | None = None
    """The quota that had no room left, where events were refused for that."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Usage records that are ready for the journal, without a seq; nothing of them is kept yet."""

    records: list[UsageLine]
    answers: list[EventAnswer]
    """One for each record, in the same order."""
    rejections: list[Rejection]


# Made for every request: frozen would set each field at ten times the cost.
@dataclass(slots=True)
class AcceptOptions:
    """How one body is to be accepted."""

    idempotency_key: str | None = None
    """Ids of items without one are derived from it and the item's index."""
    admit: Callable[[], Reason | None] = lambda: None
    """Asked once, right before the journal: a named refusal of the whole body, or None."""
    wants_answers: bool = True
    """Whether the caller reads what became of each accepted item of a batch."""
    is_within_quotas: bool = True
    """What Bursar itself has to book is never refused for a quota; it counts against them all the same."""
    on_appended: Callable[[int, int], None] | None = None
    """Called with first seq and count once the records have their seqs, before they can be applied."""


@dataclass(slots=True)
class IngestCounters:
    """What came in, by door; read by metrics."""

    accepted: dict[str, int] = field(default_factory=dict[str, int])
    rejected: dict[str, int] = field(default_factory=dict[str, int])
    unpriced: dict[str, int] = field(default_factory=dict[str, int])

    def add(self, door: str, accepted: int, rejected: int = 0, unpriced: int = 0) -> None:
        """Count a body that came in by this door."""
        self.accepted[door] = self.accepted.get(door, 0) + accepted
        self.rejected[door] = self.rejected.get(door, 0) + rejected
        if accepted:
            self.unpriced[door] = self.unpriced.get(door, 0) + unpriced


class Ingestor:
    """Accepts events for any caller. Use from one event loop."""

    def __init__(
        self,
        journal: EventJournal,
        books: PriceBooks,
        snapshots: PriceSnapshots,
        of_tenants: OfTenants | None = None,
    ) -> None:
        """Rate by these books, keep rate cards in `snapshots`, records in `journal`.

        Events of registered services are checked; a tracking token that one names must be of the tenant;
        what the tenant's privacy rules say is taken out.
        """
        self._journal = journal
        self.gate: QuotaGate | None = None
        """Stops events that have no room in quotas of their tenant or project; None lets all pass."""
        self.judge_tokens: JudgeTokens | None = None
        """Counts events that name tracking tokens, by their places; None where these aren't limited."""
        self._snapshots = snapshots
        self._maker = RecordMaker(books, of_tenants)
        self._saved_cards: set[str] = set()
        self.turns = Turns()
        """Shared by everything that works on large bodies."""
        self.counters = IngestCounters()

    async def accept(self, items: Items, receipt: Receipt, options: AcceptOptions) -> Accepted:
        """Journal the good items of a body and say what became of each.

        Raises:
            DiskFull, Overloaded, Unavailable: nothing of the body was accepted.
        """
        self._journal.check_room(receipt.caller.tenant_id)
        intake = Intake(
            self._maker, receipt, options.idempotency_key, wants_answers=options.wants_answers or items.single
        )
        lines = await self._take_all(items, intake)
        accepted = Accepted(items.single)
        refusal = options.admit()
        if refusal is not None:
            accepted.rejections = [Rejection(i, (refusal,)) for i in range(items.count)]
        else:
            accepted.rejections = intake.rejections
            if intake.records or intake.encoded:
                await self._save_cards(intake)
                await self._count_tokens(intake, lines, accepted)
                await self._keep_within_quotas(intake, lines, accepted, options)
        self.counters.add(receipt.door, accepted.count, len(accepted.rejections), intake.unpriced)
        return accepted

    def take_at_once(
        self, event: UsageEvent, receipt: Receipt, when_durable: Callable[[BursarError | None], None]
    ) -> EventAnswer | None:
        """Journal a single event without waiting for anything; its answer, or None where that can't be.

        None says that nothing was kept, for `accept` has to wait or to say why. The event is used up.

        Args:
            event: sent by itself, without an idempotency key.
            receipt: who sent it, when and by which door.
            when_durable: called once it is on disk, or with the error that kept it from there.

        Raises:
            DiskFull, Overloaded, Unavailable: the journal takes nothing.
        """
        self.turns.posts += 1
        cards: dict[str, Card] = {}
        is_tracked = event.tracking_token is not None
        if is_tracked and self.judge_tokens is not None:
            return None
        taken, redacted = take_plain(event, self._maker, receipt, cards), None
        if taken is None:
            intake = Intake(self._maker, receipt, cards=cards)
            taken, redacted = _take_carefully(event, intake), intake.redacted
        if taken is None or not self._saved_cards.issuperset(cards):
            return None
        record, answer = taken
        token_id = event.tracking_token_id if is_tracked else None

        def settle(failure: BursarError | None) -> None:
            self.turns.posts += 1
            if failure is None:
                self.counters.add(receipt.door, 1, unpriced=int(record.cost is None))
                if redacted:
                    self._maker.privacy.note(redacted)
                if token_id is not None:
                    self._maker.tokens.note_use(record.tenant_id, token_id, 1, receipt.now)
            when_durable(failure)

        return answer if self._has_appended(record, settle) else None

    def _has_appended(self, record: UsageLine, settle: Callable[[BursarError | None], None]) -> bool:
        """Journal a record; False where it takes a closer look whether quotas have room for it."""
        gate = self.gate
        if gate is None or record.tenant_id not in gate.limited:
            self._journal.append_one(record, settle)
            return True
        entry = gate.take_one(record)
        if entry is None:
            return False

        def settle_held(failure: BursarError | None) -> None:
            if failure is not None:
                entry.give_back()
            settle(failure)

        try:
            self._journal.append_one(record, settle_held)
        except BaseException:
            entry.give_back()
            raise
        entry.place(record.seq)
        return True

    @property
    def services(self) -> Services:
        """Where to learn which services are registered."""
        return self._maker.services

    async def prepare(self, items: Items, receipt: Receipt) -> Prepared:
        """Check, measure and cost items as `accept` does, and journal nothing: corrections begin so."""
        intake = Intake(self._maker, receipt)
        turn = self.turns.of_large_body()
        for part in items.slices:
            intake.take(part)
            if items.count > WHOLE_ITEMS:
                await turn.end()
        await self._save_cards(intake)
        self._maker.privacy.note(intake.redacted)
        return Prepared(intake.records, intake.answers, intake.rejections)

    async def _take_all(self, items: Items, intake: Intake) -> list[UnnumberedLines]:
        """Make records of all items; those of large bodies are encoded, a slice in each turn of the loop."""
        lines: list[UnnumberedLines] = []
        turn = self.turns.of_large_body()
        if items.count > WHOLE_ITEMS:
            # It was just taken apart, which took as long as some slices.
            await turn.end()
        for part in items.slices:
            intake.take(part)
            if items.count > WHOLE_ITEMS:
                if intake.records:
                    lines.append(intake.encode())
                await turn.end()
        return lines

    async def _count_tokens(self, intake: Intake, lines: list[UnnumberedLines], accepted: Accepted) -> None:
        """Turn records whose tracking token came too often into rejections."""
        if self.judge_tokens is None or not intake.tracked:
            return
        refused = await self.judge_tokens(intake.tracked)
        if refused:
            accepted.limited = max(refused.values(), key=lambda one: one.retry_after_seconds)
            reasons = {
                place: Reason("tracking_token", one.code, one.detail) for place, one in refused.items()
            }
            take_out(intake, lines, list(arrivals_in(intake.records, lines)), reasons)

    async def _keep_within_quotas(
        self, intake: Intake, lines: list[UnnumberedLines], accepted: Accepted, options: AcceptOptions
    ) -> None:
        """Journal the records for which there is room; the others become rejections."""
        if not (intake.records or lines):
            return
        if self.gate is None or not (options.is_within_quotas and self.gate.among(intake.tenants)):
            await self._keep(intake, self._append(intake, lines, accepted, options))
            return
        async with self.gate.letting_in(intake, lines) as entry:
            accepted.exceeded = entry.exceeded
            if not (intake.records or lines):
                return
            durable = self._append(intake, lines, accepted, options)
            entry.place(accepted.first_seq + accepted.count - 1)
        try:
            await self._keep(intake, durable)
        except BursarError:
            entry.give_back()
            raise

    def _append(
        self, intake: Intake, lines: list[UnnumberedLines], accepted: Accepted, options: AcceptOptions
    ) -> asyncio.Future[None]:
        """Give the records their places in the journal, all at once; waits for nothing."""
        accepted.count = len(intake.records) + intake.encoded
        accepted.answers = intake.answers
        accepted.tenants = intake.tenants
        sender = intake.receipt.caller.tenant_id
        if lines:
            every = [*lines, intake.encode()] if intake.records else lines
            accepted.first_seq, durable = self._journal.append_lines(every, sender)
        else:
            accepted.first_seq, durable = self._journal.append_usage(intake.records, sender)
        # They are lines of the journal now, and need not be held until the disk has them.
        intake.records.clear()
        lines.clear()
        if options.on_appended is not None:
            options.on_appended(accepted.first_seq, accepted.count)
        return durable

    async def _keep(self, intake: Intake, durable: asyncio.Future[None]) -> None:
        """Returns when what was appended is durable."""
        await durable
        if intake.redacted:
            self._maker.privacy.note(intake.redacted)
        for named, count in Counter(intake.tracked.values()).items():
            self._maker.tokens.note_use(named.tenant_id, named.id, count, intake.receipt.now)

    async def _save_cards(self, intake: Intake) -> None:
        for card in intake.cards.values():
            if card.id not in self._saved_cards:
                await asyncio.to_thread(self._snapshots.save, card.id, card.to_json())
                self._saved_cards.add(card.id)


def _take_carefully(event: UsageEvent, intake: Intake) -> tuple[UsageLine, EventAnswer] | None:
    intake.take_carefully(event, 0)
    return None if intake.rejections else (intake.records[0], intake.answers[0])
