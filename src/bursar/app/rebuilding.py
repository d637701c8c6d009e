"""A rebuild beside a running server: new stores grow from the journal, catch up, take over.

Meanwhile the server takes events, applies them to the old store and answers from it. The new one has a
share of DuckDB's memory and one thread. When it is close behind, the applier is held between two batches,
the last records are applied, one small file is replaced (`storage/store_files.py`), and the applier goes on
with the new store. Questions that had begun end on the old one. What a crash leaves behind, the next
start removes.
"""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import structlog

from bursar import clock
from bursar.app.derived_stores import apply_journal, open_derived
from bursar.app.usage_stores import refuse_without_room
from bursar.errors import Conflict, DiskFull, Unavailable
from bursar.storage.journal.holding import hold_archive
from bursar.storage.journal.replay import replay_up_to
from bursar.storage.store_files import current_files, make_current, next_files

if TYPE_CHECKING:
    from collections.abc import Callable

    from bursar.app.applier import Applier
    from bursar.app.derived_stores import DerivedStores
    from bursar.app.usage_stores import UsageStores

    Progress = Callable[[str, int], None]

MEMORY_SHARE = 4
"""The new store gets this part of DuckDB's memory, beside what the old one has, until it takes over."""
BITE_BYTES = 32 * 2**20
"""Journal bytes per transaction, about 40,000 events: fits the memory, and ends soon when asked to."""
CLOSE_BEHIND_RECORDS = 5_000
"""Few enough to be applied while the applier is held: about a tenth of a second."""
ROUNDS = 30
"""Each round brings the new store closer. On a server too busy for that it takes over all the same, with a
longer hold: events are accepted as ever, they are only counted later."""
STOP_SECONDS = 2.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild did."""

    records: int
    """Seq of the last record that the new store had when it took over."""
    seconds: float
    held_seconds: float
    """How long the applier was held meanwhile."""


@dataclass(frozen=True, slots=True)
class _Handover:
    """What the applier's thread hands back."""

    replaced: DerivedStores
    records: int
    seconds: float


class Rebuilder:
    """Runs one rebuild at a time over the stores of a running server."""

    def __init__(self, stores: UsageStores, applier: Applier, reserve_bytes: int) -> None:
        """Rebuild these stores, which this applier writes; leave `reserve_bytes` of the disk free."""
        self._stores = stores
        self._applier = applier
        self._reserve_bytes = reserve_bytes
        self._at_work = threading.Lock()
        self._stopping = threading.Event()
        self.completed = 0
        self.held_seconds = 0.0
        """How long the applier was held, over all rebuilds."""

    @property
    def is_at_work(self) -> bool:
        """Whether a rebuild is running."""
        return self._at_work.locked()

    def run(self, progress: Progress) -> Rebuilt:
        """Rebuild in this thread, which takes about as long as applying the whole journal does.

        What `progress` raises ends it. A rebuild that fails changes nothing.

        Raises:
            Conflict: one is running already.
            DiskFull: there is no room for a second store, or none any more.
            Unavailable: the server stops.
            ConfigurationError: the journal is damaged.
        """
        if not self._at_work.acquire(blocking=False):
            message = "A rebuild is running already."
            raise Conflict(message)
        try:
            return self._rebuild(progress)
        finally:
            self._at_work.release()

    def stop(self) -> None:
        """End a running rebuild, within a bound of time, and take no other. Blocks."""
        self._stopping.set()
        self._at_work.acquire(timeout=STOP_SECONDS)

    def _rebuild(self, progress: Progress) -> Rebuilt:
        started = clock.monotonic()
        stores = self._stores
        refuse_without_room(stores.folder, self._reserve_bytes)
        settings = replace(stores.settings, limits=stores.settings.limits.share(MEMORY_SHARE))
        fresh = open_derived(next_files(stores.folder.path), stores.journal, settings)
        try:
            # What is read first and what is read last must be of one and the same archive.
            with hold_archive(stores.folder.journal, "a rebuild"):
                self._catch_up(fresh, progress)
                handover = self._applier.between_batches(lambda: self._take_over(fresh)).result()
        except BaseException:
            fresh.abandon()
            raise
        fresh.database.limit(stores.settings.limits)
        handover.replaced.abandon()
        self.completed += 1
        self.held_seconds += handover.seconds
        found = Rebuilt(handover.records, clock.monotonic() - started, handover.seconds)
        log.info("rebuilt the usage store", **asdict(found))
        return found

    def _catch_up(self, fresh: DerivedStores, progress: Progress) -> None:
        """Apply what the old store has, until the new one is close behind."""
        done = 0
        for _ in range(ROUNDS):
            goal = self._applier.state.applied_seq
            self._apply(fresh, done, goal, progress)
            fresh.compact()
            done = goal
            if self._applier.state.applied_seq - done <= CLOSE_BEHIND_RECORDS:
                return

    def _apply(self, fresh: DerivedStores, after_seq: int, last_seq: int, progress: Progress) -> None:
        def check_and_tell(step: str, records: int) -> None:
            if self._stopping.is_set():
                raise Unavailable("The server is stopping; the rebuild has changed nothing.")
            if self._stores.folder.free_bytes() < self._reserve_bytes:
                raise DiskFull("The rebuild was given up before the disk is full; it has changed nothing.")
            progress(step, records)

        batches = replay_up_to(self._stores.folder.journal, last_seq, after_seq)
        apply_journal(fresh.applier, batches, check_and_tell, BITE_BYTES)

    def _take_over(self, fresh: DerivedStores) -> _Handover:
        """Apply the last records and let the new stores take over, while no batch is applied."""
        started = clock.monotonic()
        # The old store's position is the end of a batch: what follows is applied and told as ever.
        last_seq = self._applier.state.applied_seq
        batches = replay_up_to(self._stores.folder.journal, last_seq, fresh.applied_seq)
        apply_journal(fresh.applier, batches, _say_nothing)
        _make_current(fresh)
        replaced = self._stores.swap(fresh)
        self._applier.write_to(fresh.applier)
        return _Handover(replaced, last_seq, clock.monotonic() - started)


def _make_current(fresh: DerivedStores) -> None:
    try:
        make_current(fresh.files)
    except OSError:
        # It may have failed after the moment that counts; what counts now must be what is used.
        if current_files(fresh.files.folder) != fresh.files:
            raise


def _say_nothing(_step: str, _records: int) -> None:
    pass
