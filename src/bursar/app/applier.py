"""The applier: one thread that follows the journal's durable mark and applies what it finds.

It is the only writer of the usage store. Work that fails is retried with growing pauses, from the
same position, while the journal goes on accepting; `/ready` and the metrics show the lag. Requests
that want to know the outcome of their items wait in `watches.py`. Other work that no batch may run beside
(compaction, a new store) comes in by `between_batches`; short steps of compaction it makes by itself.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import structlog

from bursar import clock
from bursar.app.errands import Errands
from bursar.app.watches import Watches
from bursar.errors import ConfigurationError, Unavailable
from bursar.storage.duckdb.connection import ROW_GROUP_ROWS
from bursar.storage.journal.batches import batch_of
from bursar.tracing import span
from bursar.usage.applying import Applied, whole_groups

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from bursar.storage.duckdb.apply import DuckDBApplier
    from bursar.storage.journal.reader import JournalReader
    from bursar.storage.journal.writer import DurableMark
    from bursar.usage.applying import RecordBatch

BATCH_BYTES = 128 * 2**20
"""Journal bytes applied in one transaction at most, about 150,000 events. A backlog is taken in large
bites: DuckDB writes whole row groups past its write-ahead log. Without a backlog a batch is what came in
since the last one."""
GATHER_SECONDS = 0.05
"""How long single posts may gather before they are applied."""
LONGEST_GATHER_SECONDS = 0.4
"""How long a steady stream may gather, which leaves as much of the promised second for applying. A batch
costs some 15 ms however small it is: 57 µs of CPU per event by the thousand, 24 by 6,000, 15 by 30,000."""
ENOUGH_RECORDS = 32_768
"""A batch gathers no longer once it has this many: two whole row groups, and larger ones gain little."""
RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
TIDY_AGAIN_SECONDS = 30.0
"""How long compaction rests after it failed."""
LONG_HOLD_SECONDS = 0.5
"""Half of what is promised from received to queryable: longer holds are logged."""
LOOK_EVERY_SECONDS = 60.0
"""It is woken for all that there is to do; this is for the case that it wasn't."""
CATCH_UP_SECONDS = 3.0
"""A stopping server begins no batch after this long; the next start applies what is left."""
_STOP_SECONDS = 6.0

Result = TypeVar("Result")

log = structlog.get_logger()


@dataclass(slots=True)
class ApplierState:
    """What the applier did and how it is; read by health and metrics."""

    applied_seq: int = 0
    totals: Applied = field(default_factory=Applied)
    batches: int = 0
    seconds: float = 0.0
    held_seconds: float = 0.0
    """How long errands and compaction have held batches up."""
    errors: int = 0
    failing: str | None = None
    """The last error, while work is being retried."""
    behind_since: float | None = None
    """When (monotonic) the oldest unapplied work became durable; None when nothing waits."""


class Applier:
    """Runs the applying thread. Start and stop it from an event loop."""

    def __init__(
        self,
        store: DuckDBApplier,
        reader: JournalReader,
        mark: Callable[[], DurableMark],
        tell_delay: Callable[[float], None] | None = None,
    ) -> None:
        """Apply from the reader to the store, up to the journal's durable mark.

        `tell_delay` hears of each batch how many seconds its oldest record took from durable to queryable.
        """
        self._store = store
        self._reader = reader
        self._mark = mark
        self._wake = threading.Event()
        self._stopping = False
        self._stop_at = 0.0
        self._tidy_at = 0.0
        self._applied_at = 0.0
        self._failures = 0
        """In a row; the pause before the next attempt grows with them."""
        self._tell_delay = tell_delay
        self._thread = threading.Thread(target=self._run, name="applier", daemon=True)
        self._rest: list[RecordBatch] = []
        """Read already, but left for the next batch."""
        self.watches = Watches()
        self._errands = Errands()
        self._moved = threading.Condition()
        self._has_ended = False
        position = store.position()
        self.state = ApplierState(applied_seq=position[1] if position else 0)

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start applying."""
        self._thread.start()
        self.notify()

    def notify(self) -> None:
        """Say that the durable mark has moved; safe from any thread."""
        if self.state.behind_since is None:
            self.state.behind_since = clock.monotonic()
        self._wake.set()

    def between_batches(self, work: Callable[[], Result]) -> Future[Result]:
        """Run `work` on the applier's thread, while no batch is being applied; safe from any thread.

        What it raises is in the future and stops nothing else. Applying waits meanwhile, so be quick.

        Raises:
            Unavailable: the applier has stopped. (The future says so where it stops before the work.)
        """
        future = self._errands.hand_over(work)
        self._wake.set()
        return future

    def write_to(self, store: DuckDBApplier) -> None:
        """Go on with another store, which must be where this one is. Only from `between_batches`."""
        self._store = store

    def wait_applied(self, seq: int, timeout_seconds: float) -> bool:
        """Wait in a thread until everything up to `seq` is applied; False where it takes longer.

        Raises:
            Unavailable: the applier has stopped before that.
        """
        with self._moved:
            self._moved.wait_for(lambda: self.state.applied_seq >= seq or self._has_ended, timeout_seconds)
            if self._has_ended and self.state.applied_seq < seq:
                raise Unavailable("The server is stopping; the next start applies what is left.")
            return self.state.applied_seq >= seq

    async def stop(self) -> None:
        """Apply what is durable, within a bound, and end the thread; the journal keeps the rest."""
        self._stop_at = clock.monotonic() + CATCH_UP_SECONDS
        self._stopping = True
        self._wake.set()
        await asyncio.to_thread(self._thread.join, _STOP_SECONDS)

    def _run(self) -> None:
        try:
            self._follow()
        finally:
            self._reader.close()
            self._errands.close()
            with self._moved:
                self._has_ended = True
                self._moved.notify_all()

    def _follow(self) -> None:
        while True:
            self._wake.wait(LOOK_EVERY_SECONDS)
            self._wake.clear()
            self._run_errands()
            try:
                self._apply_all()
                self._note_success()
            except Exception as error:  # noqa: BLE001 - of any kind, and `_note_failure` logs it
                # It may pass (a full disk, most often). The journal keeps the records, and the store what was
                # committed; a thread that ended would leave the ledger accepting what nobody ever sees.
                self._note_failure(error)
                if not self._stopping:
                    threading.Event().wait(RETRY_SECONDS[min(self._failures, len(RETRY_SECONDS)) - 1])
                    self._recover_store()
                    self._wake.set()
            if self._stopping:
                return

    def _note_failure(self, error: Exception) -> None:
        self._failures += 1
        self.state.errors += 1
        self.state.failing = f"{type(error).__name__}: {error}"
        self._reader.rewind(self.state.applied_seq)
        self._rest = []
        self.watches.spoil()
        # Where it came from is told once, not with every retry.
        log.error(
            "applying failed; it will be retried",
            error=self.state.failing,
            exc_info=self._failures == 1 and error,
        )

    def _note_success(self) -> None:
        self._failures = 0
        self.state.failing = None

    def _recover_store(self) -> None:
        try:
            self._store.recover()
        except Exception as error:  # noqa: BLE001 - as when applying: it may work the next time
            message = "the usage store can't be used yet; it will be retried"
            log.warning(message, error=f"{type(error).__name__}: {error}")

    def _apply_all(self) -> None:
        gather = True
        while True:
            mark = self._mark()
            if self.state.applied_seq >= mark.last_seq:
                self.state.behind_since = None
                if self._stopping or not self._tidy():
                    return
                self._run_errands()
                continue
            if self._stopping and clock.monotonic() > self._stop_at:
                return
            if gather:
                mark = self._gathered(mark)
            gather = self._apply_some(mark) < BATCH_BYTES
            self._run_errands()
            if self._mark().last_seq - self.state.applied_seq < ENOUGH_RECORDS:
                self._tidy()

    def _tidy(self) -> bool:
        """Take one short step of compaction; False where nothing is due, or the last one failed."""
        started = clock.monotonic()
        if started < self._tidy_at:
            return False
        try:
            return self._store.compactor.step()
        except Exception as error:  # noqa: BLE001 - nothing depends on it, and the next batch tells more
            self._tidy_at = clock.monotonic() + TIDY_AGAIN_SECONDS
            log.warning("compaction failed; it will be retried", error=f"{type(error).__name__}: {error}")
            self._recover_store()
            return False
        finally:
            self._note_held("compaction", started)

    def _run_errands(self) -> None:
        started = clock.monotonic()
        self._errands.run()
        self._note_held("errands", started)

    def _note_held(self, cause: str, started: float) -> None:
        seconds = clock.monotonic() - started
        self.state.held_seconds += seconds
        if seconds > LONG_HOLD_SECONDS:
            log.warning("no batch was applied for a while", cause=cause, seconds=round(seconds, 3))

    def _gathered(self, mark: DurableMark) -> DurableMark:
        """The mark once it is worth a batch, has stopped moving, or somebody waits for the outcome.

        After a pause there is nothing to wait for: what came first is applied at once.
        """
        started = clock.monotonic()
        if started - self._applied_at > LONGEST_GATHER_SECONDS:
            return mark
        while not self._stopping and mark.last_seq - self.state.applied_seq < ENOUGH_RECORDS:
            before = mark.last_seq
            threading.Event().wait(GATHER_SECONDS)
            mark = self._mark()
            waited = clock.monotonic() - started
            if mark.last_seq == before or self.watches or waited >= LONGEST_GATHER_SECONDS:
                break
        return mark

    def _apply_some(self, mark: DurableMark) -> int:
        """Apply the next records; returns their size in bytes."""
        started = clock.monotonic()
        batches = self._take(mark)
        if not batches:
            message = f"The journal has no record between {self.state.applied_seq} and {mark.last_seq}."
            raise ConfigurationError(message)
        with span("applier.apply", batches=len(batches)):
            applied = self._store.apply(batches)
        # Said here too: under load there may be no moment at which nothing is left to apply.
        self._note_success()
        state = self.state
        state.totals.add(applied)
        with self._moved:
            state.applied_seq = batches[-1].last_seq
            self._moved.notify_all()
        state.batches += 1
        self._applied_at = clock.monotonic()
        state.seconds += self._applied_at - started
        if self._tell_delay is not None and state.behind_since is not None:
            self._tell_delay(self._applied_at - state.behind_since)
        if self._mark().last_seq > state.applied_seq:
            state.behind_since = started
        self.watches.tell(applied.repeats, state.applied_seq)
        state.totals.repeats.clear()
        return sum(len(batch.payload) for batch in batches)

    def _take(self, mark: DurableMark) -> list[RecordBatch]:
        """The next records: whole row groups, unless there are fewer or somebody waits for them.

        A part of a row group goes through DuckDB's write-ahead log, and the next checkpoint writes it and
        its neighbours anew: 3 µs of CPU and 40 bytes of the file per event.
        """
        batches = [*self._rest, *map(batch_of, self._reader.read(mark, BATCH_BYTES))]
        self._rest = []
        if not self.watches and not self._stopping:
            batches, self._rest = whole_groups(batches, ROW_GROUP_ROWS)
        return batches
