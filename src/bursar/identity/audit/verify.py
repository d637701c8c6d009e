"""Whether a chain is whole: every entry as it was written, none missing, none added, the end not cut.

Walks the entries once and never holds more than one. Found are changed, removed, reordered and inserted
entries, a rewritten stretch and a cut tail, as far as something outside of the store remembers a later
place. Not found is what nobody else has seen: entries removed from the end, or rewritten up to the end,
by somebody who also rewrote the remembered places and the server's log.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bursar.identity.audit.entry import hash_of, read_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from bursar.identity.audit.entry import Head, Words
    from bursar.identity.audit.store import KeptEntry, Remembered

FAULTS_LIMIT = 20
"""Faults told by name; the number of all is told beside them."""
TRIM = "audit.trim"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a chain."""

    number: int
    """The entry where it shows."""
    kind: str
    """`changed`, `missing`, `moved`, `inserted`, `cut`, `rewritten`, `unsigned_trim` or `replaced`."""
    detail: str


@dataclass(slots=True)
class ChainReport:
    """What was found of one chain."""

    owner: str
    chain: str
    entries: int = 0
    last_number: int = 0
    last_hash: str = ""
    trimmed_number: int = 0
    fault_count: int = 0
    faults: list[Fault] = field(default_factory=list["Fault"])

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return self.fault_count == 0

    def note(self, number: int, kind: str, detail: str) -> None:
        """Add a fault; beyond the limit it is only counted."""
        self.fault_count += 1
        if len(self.faults) < FAULTS_LIMIT:
            self.faults.append(Fault(number, kind, detail))


def verify_chain(head: Head, kept: Iterable[KeptEntry], places: Sequence[Remembered] = ()) -> ChainReport:
    """Judge one chain from its entries by number, its head, and what is remembered of it elsewhere."""
    report = ChainReport(head.owner, head.chain, trimmed_number=head.trimmed_number)
    walk = _Walk(head, report, {place.number: place.hash for place in places if place.chain == head.chain})
    for one in kept:
        walk.step(one)
    walk.end()
    report.last_number, report.last_hash = walk.number, walk.hash
    return report


def refuse_replaced(report: ChainReport, places: Iterable[Remembered], since: datetime | None) -> None:
    """Note that another chain stood here after its owner came to be (`since`; None: it always was)."""
    for place in places:
        is_others = place.owner != report.owner or place.chain == report.chain
        if not is_others and (since is None or place.at > since):
            detail = f"another chain stood here, with {place.number} entries ({place.chain})"
            report.note(place.number, "replaced", detail)


class _Walk:
    """One walk along a chain."""

    def __init__(self, head: Head, report: ChainReport, places: dict[int, str]) -> None:
        self._head = head
        self._report = report
        self._places = places
        self._signed: tuple[Any, Any] = (0, "")
        self.number = head.trimmed_number
        self.hash = head.first_hash

    def step(self, one: KeptEntry) -> None:
        """Look at the next entry."""
        self._report.entries += 1
        if one.number != self.number + 1:
            detail = f"entries {self.number + 1} to {one.number - 1} are missing"
            self._report.note(self.number + 1, "missing", detail)
        elif hash_of(self.hash, one.spelled) != one.hash:
            self._report.note(one.number, "changed", "the entry or the one before isn't what it was")
        self._look_at_words(one)
        if self._places.get(one.number, one.hash) != one.hash:
            self._report.note(one.number, "rewritten", "another hash is remembered outside of the store")
        self.number, self.hash = one.number, one.hash

    def end(self) -> None:
        """Look at where the chain ends."""
        head, report = self._head, self._report
        if self.number < head.number:
            report.note(self.number + 1, "cut", f"entries {self.number + 1} to {head.number} are missing")
        elif self.number > head.number:
            report.note(head.number + 1, "inserted", f"the chain ended with entry {head.number}")
        elif self.hash != head.hash:
            report.note(head.number, "changed", "the chain ended with another hash")
        latest = max(self._places, default=0)
        if latest > self.number:
            detail = f"entry {latest} is remembered outside of the store"
            report.note(self.number + 1, "cut", detail)
        if head.trimmed_number and self._signed != (head.trimmed_number, head.trimmed_hash):
            detail = f"no entry says that the first {head.trimmed_number} were removed for their age"
            report.note(head.trimmed_number, "unsigned_trim", detail)

    def _look_at_words(self, one: KeptEntry) -> None:
        try:
            words = read_words(one.spelled)
        except ValueError:
            self._report.note(one.number, "changed", "its words can't be read")
            return
        if (words.owner, words.chain, words.number) != (self._head.owner, self._head.chain, one.number):
            self._report.note(one.number, "moved", f"it was entry {words.number} of {words.chain}")
        shown = (words.at, words.deed.act, words.deed.outcome.value, words.deed.actor.id)
        if shown != (one.at, one.act, one.outcome, one.actor_id):
            self._report.note(one.number, "changed", "it is listed under something else than it says")
        if words.deed.act == TRIM:
            self._signed = _signed_by(words)


def _signed_by(words: Words) -> tuple[Any, Any]:
    """Through which entry a trim says that it removed, and that entry's hash."""
    after: Any = words.deed.after
    return (after.get("through"), after.get("hash")) if isinstance(after, dict) else (0, "")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
