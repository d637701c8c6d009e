"""Deeds and chains of the audit log as tests need them: valid, and different only where it matters."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from bursar.identity.audit.deed import Actor, Deed, Outcome
from bursar.identity.audit.entry import Head, Words, hash_of, new_head, spell
from bursar.identity.audit.store import KeptEntry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bursar.identity.audit.store import Remembered

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def a_deed(act: str = "key.create", outcome: Outcome = Outcome.DONE, **rest: Any) -> Deed:  # noqa: ANN401 - fields
    """A deed of a key."""
    return Deed(act, outcome, Actor("key", "key_1"), **rest)


def a_chain(owner: str, deeds: Sequence[Deed]) -> tuple[Head, list[KeptEntry]]:
    """A whole chain of these deeds, a second apart, as a store has it."""
    head, kept = new_head(owner), list[KeptEntry]()
    for number, deed in enumerate(deeds, 1):
        words = Words(head.chain, owner, number, NOON + timedelta(seconds=number), deed)
        one = kept_of(words, head.hash)
        kept.append(one)
        head = replace(head, number=number, hash=one.hash)
    return head, kept


def kept_of(words: Words, hash_before: str) -> KeptEntry:
    """An entry as a store has it."""
    spelled, deed = spell(words), words.deed
    hash_ = hash_of(hash_before, spelled)
    return KeptEntry(words.number, spelled, hash_, words.at, deed.act, deed.outcome.value, deed.actor.id)


class Places:
    """A witness that remembers in memory."""

    def __init__(self) -> None:
        self.places: dict[str, Remembered] = {}

    def remember(self, place: Remembered) -> None:
        """See `Witness.remember`."""
        self.places[place.chain] = place

    def remembered(self) -> Sequence[Remembered]:
        """See `Witness.remembered`."""
        return list(self.places.values())
