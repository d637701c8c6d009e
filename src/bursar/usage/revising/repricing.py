"""Re-pricing: events that are stored are rated by the prices of now, first to look, then as a rating run.

A job goes through the selected events in windows of positions, writes the ratings that change as `rates`
records, which change nothing, and at the end one `commit`, by which all of them come into force at once.
A run that died before that begins anew; one whose commit is durable has nothing left to do. Events that
came in after somebody looked stay out, for the selection is bounded.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from bursar import clock
from bursar.errors import Unavailable
from bursar.scheduling.job import RunStopped, Stopped
from bursar.usage.changes import (
    ABANDON,
    COMMIT,
    RATES,
    RATING_RUN,
    RATINGS_PER_RECORD,
    MonthSums,
    RatedAs,
    RatingRunRecord,
)
from bursar.usage.costing import parts_of
from bursar.usage.query_reader import read_json_scene
from bursar.usage.ratable_rows import windows_of
from bursar.usage.record import encode_record
from bursar.usage.revising.author import WAIT_SECONDS, Author, read_reason, wait_until_applied
from bursar.usage.revising.price_changes import PriceChanges
from bursar.usage.revising.ratable import RatesAgain
from bursar.usage.selection import Selection, selection_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bursar.pricing.books import PriceBooks
    from bursar.pricing.cards import Card
    from bursar.scheduling.job import RunContext
    from bursar.scheduling.run import Run
    from bursar.usage.asked import Asked
    from bursar.usage.change_log import ChangeLog
    from bursar.usage.query_reader import Asker
    from bursar.usage.revising.ratable import RatedAgain
    from bursar.usage.store import AsksQuestions

REPRICE_JOB = "reprice"
SHARES_PER_RECORD = 2**20
"""Bytes of shares in one record at most, but for its last event: an answer may list hundreds of models."""
RECORDS_AHEAD = 8
"""Records of ratings that may be durable and not yet applied."""
DONE_SECONDS = 1.0
"""How long one question whether a run's commit is in force may wait for what is durable to be applied."""
ABANDON_SECONDS = 5.0
"""How long a run's end may wait to see whether ratings of it wait."""
_CERTAIN = frozenset({Stopped.SHUTDOWN, Stopped.LOST})


@dataclass(frozen=True, slots=True)
class RepriceAsk:
    """What a request to re-price says."""

    selection: Selection
    reason: str
    dry_run: bool


def read_reprice(asked: Asked, asker: Asker) -> RepriceAsk:
    """The re-pricing that a JSON body asks for; a look only, unless `dry_run` is false.

    Raises:
        Invalid: with every reason.
    """
    reason, dry_run, up_to = asked.text("reason"), asked.take("dry_run"), asked.text("up_to_event")
    scene = read_json_scene(asked, asker, "all")
    if dry_run is not None and not isinstance(dry_run, bool):
        asked.refuse("dry_run", "wrong_type", "dry_run is true or false.")
    is_dry = dry_run is not False
    checked = asked.collect(lambda: read_reason(reason)) if reason or not is_dry else ""
    found = asked.collect(lambda: Selection(scene.window, scene.filters, up_to_event=up_to))
    asked.finish()
    return RepriceAsk(found or Selection(scene.window), checked or "", is_dry)


def reprice_parameters(ask: RepriceAsk) -> dict[str, Any]:
    """What the job is given."""
    return {"selection": ask.selection.as_json(), "reason": ask.reason, "dry_run": ask.dry_run}


class Cards:
    """Keeps rate cards before the journal names them."""

    def __init__(self, load: Callable[[str], str | None], save: Callable[[str, str], None]) -> None:
        """`save` is durable when it returns, and does nothing for a card that is kept already."""
        self.load = load
        self._save = save
        self._kept: set[str] = set()

    def keep(self, cards: Mapping[str, Card]) -> None:
        """Keep these."""
        for card_id, card in cards.items():
            if card_id not in self._kept:
                self._save(card_id, card.to_json())
                self._kept.add(card_id)


@dataclass(slots=True)
class _Chunk:
    """Ratings that make one record."""

    seqs: list[int] = field(default_factory=list[int])
    picos: list[int | None] = field(default_factory=list["int | None"])
    ratings: list[int] = field(default_factory=list[int])
    parts: dict[str, msgspec.Raw] = field(default_factory=dict[str, msgspec.Raw])
    cards: dict[str, Card] = field(default_factory=dict[str, "Card"])
    kinds: dict[RatedAs, int] = field(default_factory=dict["RatedAs", int])
    share_bytes: int = 0

    @property
    def is_full(self) -> bool:
        """Whether these are as many as one record may have."""
        return len(self.seqs) >= RATINGS_PER_RECORD or self.share_bytes >= SHARES_PER_RECORD

    def take(self, one: RatedAgain) -> None:
        rating = one.rating
        kind = RatedAs(
            rating.currency,
            rating.status.value,
            rating.reason,
            rating.card.id if rating.card else None,
            one.provider,
        )
        self.seqs.append(one.seq)
        self.picos.append(rating.picos)
        self.ratings.append(self.kinds.setdefault(kind, len(self.kinds)))
        if rating.card is not None:
            self.cards[rating.card.id] = rating.card
        if one.parts is not None:
            shares = msgspec.json.encode(one.parts)
            self.parts[str(one.seq)] = msgspec.Raw(shares)
            self.share_bytes += len(shares)
        for part in parts_of(rating):
            if part.rating.card is not None:
                self.cards[part.rating.card.id] = part.rating.card


@dataclass(slots=True)
class _Writer:
    """Journals the ratings of one run."""

    run: RunContext
    author: Author
    changes: ChangeLog
    cards: Cards
    written: int = 0
    """Records."""
    last_seq: int = 0
    _chunk: _Chunk = field(default_factory=_Chunk)
    _under_way: deque[int] = field(default_factory=deque[int])

    def take(self, one: RatedAgain) -> bool:
        """Take up a rating that changes; True where a record is full."""
        self._chunk.take(one)
        return self._chunk.is_full

    def flush(self, as_of: int, done: int) -> None:
        """Journal what was taken up, of the state at `as_of`."""
        chunk, self._chunk = self._chunk, _Chunk()
        if not chunk.seqs:
            return
        self.cards.keep(chunk.cards)
        # Of a tenant that was deleted meanwhile no run is left, and this one ends here.
        self.run.save(dict(self.run.saved or {}))
        self._append(
            step=RATES,
            number=self.written,
            as_of=as_of,
            seqs=chunk.seqs,
            picos=chunk.picos,
            ratings=chunk.ratings,
            kinds=list(chunk.kinds),
            parts=chunk.parts or None,
        )
        self.written += 1
        self._under_way.append(self.last_seq)
        if len(self._under_way) > RECORDS_AHEAD:
            wait_until_applied(self.changes, self._under_way.popleft(), self.run, "rating", done)

    def commit(self) -> None:
        """Let the ratings come into force; what is durable then is waited for, whoever cancels."""
        self._append(step=COMMIT, number=self.written)
        _wait_whoever_cancels(self.changes, self.last_seq, self.run, "coming into force")

    def _append(self, **fields: Any) -> None:  # noqa: ANN401 - the record's own fields
        head = self.author.head(RATING_RUN, clock.now())
        self.last_seq = self.changes.append([encode_record(RatingRunRecord(**head, **fields))])


@dataclass(frozen=True, slots=True)
class RepriceWork:
    """The work of the job `reprice`."""

    changes: ChangeLog
    questions: AsksQuestions
    books: PriceBooks
    cards: Cards

    def __call__(self, run: RunContext) -> Mapping[str, Any]:
        """Rate what is selected, and let it come into force unless it is a dry run."""
        author, selection = Author.of_run(run), selection_of(run.parameters["selection"])
        wait = _wait_whoever_cancels if _may_be_committed(run) else wait_until_applied
        wait(self.changes, self.changes.durable_seq, run, "catching up")
        in_force = self._sums(author.tenant_id, run.run_id)
        if in_force is not None:
            return _result(_told(run), in_force)
        writer = None if run.parameters["dry_run"] else _Writer(run, author, self.changes, self.cards)
        version = self.books.book.version
        found = self._rate(run, author.tenant_id, selection, writer)
        shown = self._shown(author, selection, found)
        shown |= {"dry_run": writer is None, "reason": author.reason, "prices": version}
        if writer is None or not writer.written:
            return _result(shown, [])
        run.save({"result": shown})
        writer.commit()
        return _result(shown, self._sums(author.tenant_id, run.run_id) or [])

    def done(self, run: Run) -> Mapping[str, Any] | None:
        """The result of a run that nobody works on, where its ratings came into force; else None.

        Raises:
            Unavailable: its commit may be durable and isn't applied yet.
        """
        if not _may_be_committed(run):
            return None
        if not self.changes.wait_applied(self.changes.durable_seq, DONE_SECONDS):
            message = f"Whether the ratings of run '{run.id}' come into force is known in a moment."
            raise Unavailable(message)
        in_force = self._sums(run.tenant_id or "", run.id)
        return None if in_force is None else _result(_told(run), in_force)

    def abandon(self, run: Run) -> None:
        """Let nobody wait for the ratings of a run that has ended without coming into force."""
        tenant_id = run.tenant_id or ""
        if run.parameters.get("dry_run", True):
            return
        # What it journaled last may not be applied yet. What is left all the same, the next run removes.
        self.changes.wait_applied(self.changes.durable_seq, ABANDON_SECONDS)
        if self.questions.ask_now(lambda store: store.ratings.is_open(tenant_id, run.id)):
            author = Author(tenant_id, run.asked_by or "schedule", str(run.parameters["reason"]), run.id)
            record = RatingRunRecord(**author.head(RATING_RUN, clock.now()), step=ABANDON)
            self.changes.append([encode_record(record)])

    def _rate(
        self, run: RunContext, tenant_id: str, selection: Selection, writer: _Writer | None
    ) -> PriceChanges:
        """Rate all events of the selection, and journal the ratings that change."""
        found, done = PriceChanges(), 0
        prices = self.books.of(tenant_id)
        again = RatesAgain(prices, self.cards.load)
        first, last = self._span(tenant_id, selection)
        for window in windows_of((first, last)):
            # In percent: how far apart a tenant's events lie tells how much others write.
            run.progress("rating", 100 * (window[0] - first) // (last + 1 - first), 100)
            rows = self.questions.ask_now(
                lambda store, span=window: store.ratings.rows(tenant_id, selection, span, prices.ruled)
            )
            for one in again.rate(rows):
                found.take(one)
                if one.is_changed and writer is not None and writer.take(one):
                    writer.flush(rows.as_of, done)
            done += len(rows.seqs)
            if writer is not None:
                writer.flush(rows.as_of, done)
        return found

    def _span(self, tenant_id: str, selection: Selection) -> tuple[int, int]:
        found = self.questions.ask_now(lambda store: store.ratings.span(tenant_id, selection))
        return (1, 0) if found is None else found

    def _shown(self, author: Author, selection: Selection, found: PriceChanges) -> dict[str, Any]:
        tenant_id, seqs = author.tenant_id, found.sampled
        ids = self.questions.ask_now(lambda store: store.ratings.ids_at(tenant_id, seqs))
        return {**found.shown(ids), "up_to_event": selection.up_to_event}

    def _sums(self, tenant_id: str, run_id: str) -> list[MonthSums] | None:
        return self.questions.ask_now(lambda store: store.ratings.sums_of_run(tenant_id, run_id))


def _may_be_committed(run: Run | RunContext) -> bool:
    """Whether an attempt of this run came as far as its commit: what it is going to tell is saved before."""
    return "result" in (run.saved or {})


def _told(run: Run | RunContext) -> dict[str, Any]:
    return dict((run.saved or {}).get("result", {}))


def _wait_whoever_cancels(changes: ChangeLog, seq: int, run: RunContext, step: str) -> None:
    """Wait as long as it takes for what may have come into force, cancelled or not.

    Raises:
        RunStopped: the server stops, or another process has the run.
    """
    while not changes.wait_applied(seq, WAIT_SECONDS):
        try:
            run.progress(step, 0)
        except RunStopped as stopped:
            if stopped.why in _CERTAIN:
                raise


def _result(shown: dict[str, Any], in_force: list[MonthSums]) -> dict[str, Any]:
    """The run's result with what came into force: less than was rated where events changed since."""
    return {**shown, "applied": sum(one.events_after for one in in_force)}
