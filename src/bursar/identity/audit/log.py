"""The audit log as the rest of Bursar uses it: announce an act, conclude it, record one, verify, trim.

An act is announced before it is carried out. If that can't be written down, it isn't carried out. So
whatever a crash leaves, an act that was done has an entry. The last place of each chain is also told to
the server's log and to a witness outside of the store.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from bursar import clock
from bursar.errors import NotFound
from bursar.identity.audit.deed import BURSAR, Deed, Outcome
from bursar.identity.audit.entry import PLATFORM
from bursar.identity.audit.store import Remembered
from bursar.identity.audit.verify import TRIM, ChainReport, refuse_replaced, verify_chain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from bursar.identity.audit.entry import Entry, Head
    from bursar.identity.audit.store import AuditAsk, AuditStore, Witness

log = structlog.get_logger()


class AuditLog:
    """Writes and reads the chains; safe to use from any thread."""

    def __init__(self, store: AuditStore, witness: Witness, now: Callable[[], datetime] = clock.now) -> None:
        """Keep the entries in `store`, and let `witness` remember where the chains end."""
        self._store = store
        self._witness = witness
        self._now = now

    def record(self, owner: str, deed: Deed) -> int:
        """Add one entry to the chain of a tenant or of the platform; answers its number.

        It is durable when this returns.

        Raises:
            NotFound: there is no such tenant.
            Unavailable: the store doesn't answer; nothing was recorded.
        """
        return self._tell(self._store.append(owner, deed, self._now()))

    def record_own(self, deed: Deed) -> int:
        """As `record`, to the platform's chain."""
        return self.record(PLATFORM, deed)

    def entries(self, ask: AuditAsk) -> Sequence[Entry]:
        """See `AuditStore.entries`."""
        return self._store.entries(ask)

    def verify(self, owner: str | None = None) -> list[ChainReport]:
        """What is found of the owner's chain, or of all of them; a chain that is gone is a fault as well.

        Raises:
            Unavailable: the store doesn't answer.
        """
        places = [one for one in self._witness.remembered() if owner in {None, one.owner}]
        owners = [owner] if owner else self._owners(places)
        return [self._verify_one(one, [place for place in places if place.owner == one]) for one in owners]

    def trim(self, before: datetime) -> int:
        """Remove entries from before that moment, from every chain; answers how many went.

        Raises:
            Unavailable: the store doesn't answer; chains that were trimmed already stay so.
        """
        removed = 0
        for head in self._store.heads():
            with suppress(NotFound):  # the tenant was deleted meanwhile, its chain with it
                entry = self._store.trim(head.owner, before, _trimming, self._now())
                if entry is not None:
                    self._tell(entry)
                    removed += entry.words.deed.after["through"] - head.trimmed_number
        return removed

    def _owners(self, places: Sequence[Remembered]) -> list[str]:
        owners = {head.owner for head in self._store.heads()}
        # A tenant that was deleted took its chain along.
        kept = {one.owner for one in places if one.owner not in owners and self._should_be(one)}
        return sorted(owners | kept)

    def _should_be(self, place: Remembered) -> bool:
        since = self._store.tenant_since(place.owner)
        return place.owner == PLATFORM or (since is not None and place.at > since)

    def _verify_one(self, owner: str, places: Sequence[Remembered]) -> ChainReport:
        with self._store.read_chain(owner) as (head, kept):
            report = ChainReport(owner, "") if head is None else verify_chain(head, kept, places)
        refuse_replaced(report, places, self._store.tenant_since(owner))
        return report

    def _tell(self, entry: Entry) -> int:
        words = entry.words
        place = Remembered(words.owner, words.chain, words.number, entry.hash, words.at)
        self._witness.remember(place)
        log.info(
            "audit",
            owner=words.owner,
            chain=words.chain,
            number=words.number,
            hash=entry.hash,
            act=words.deed.act,
            outcome=words.deed.outcome.value,
        )
        return words.number


def _trimming(head: Head) -> Deed:
    after = {"through": head.trimmed_number, "hash": head.trimmed_hash}
    return Deed(TRIM, Outcome.DONE, BURSAR, after=after)
