"""What the audit log needs kept: entries that are only ever added, and where each chain ends.

`storage/relational/audit.py` implements it on SQLite and PostgreSQL. Adding is the only way in; what is
old is taken off a chain's beginning, together with an entry that says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - msgspec reads the fields' types
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from bursar.identity.audit.deed import Deed, Outcome
    from bursar.identity.audit.entry import Entry, Head


@dataclass(frozen=True, slots=True)
class AuditAsk:
    """Which entries of one chain are wanted; the latest first."""

    owner: str
    limit: int
    act: str | None = None
    """An act, or with a dot at its end all acts that begin so."""
    outcome: Outcome | None = None
    actor_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    """Half-open: from `since` on, before `until`."""
    before_number: int | None = None


@dataclass(frozen=True, slots=True)
class KeptEntry:
    """An entry as the store has it, whether or not that is what was put there."""

    number: int
    spelled: str
    hash: str
    at: datetime
    act: str
    outcome: str
    actor_id: str


@dataclass(frozen=True, slots=True)
class Remembered:
    """A place in a chain as something outside of the store remembers it."""

    owner: str
    chain: str
    number: int
    hash: str
    at: datetime


class AuditStore(Protocol):
    """Keeps the chains."""

    def append(self, owner: str, deed: Deed, at: datetime) -> Entry:
        """Add one entry to the owner's chain, durable when this returns; concurrent writers take turns.

        Raises:
            NotFound: there is no such tenant.
            Unavailable: the store doesn't answer; nothing was added.
        """
        ...

    def entries(self, ask: AuditAsk) -> Sequence[Entry]:
        """The entries asked for, the latest first, and one more than asked for if there are more."""
        ...

    def heads(self, owner: str | None = None) -> Sequence[Head]:
        """Where the owner's chain ends, or all of them."""
        ...

    def read_chain(self, owner: str) -> AbstractContextManager[tuple[Head | None, Iterator[KeptEntry]]]:
        """A chain as it is at one moment: where it should end, and its entries by number."""
        ...

    def trim(
        self, owner: str, before: datetime, deed_of: Callable[[Head], Deed], at: datetime
    ) -> Entry | None:
        """Remove a chain's oldest entries, those from before `before`, and say so in a new entry.

        `deed_of` is given the head as it will be; one transaction does it all. None where nothing is old.
        """
        ...

    def tenant_since(self, owner: str) -> datetime | None:
        """Since when there is this tenant; None where there is none."""
        ...


class Witness(Protocol):
    """Remembers where chains ended, outside of the store."""

    def remember(self, place: Remembered) -> None:
        """Remember one place; a failure is logged and hinders nothing."""
        ...

    def remembered(self) -> Sequence[Remembered]:
        """The last place of every chain."""
        ...
