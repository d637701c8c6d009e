"""How an endpoint tells the audit log what it alone knows: one call, wherever the endpoint lives.

That is what a change replaced, and who wants to get in. What was asked and what came of it are known
without (`app/audited.py`). Outside of a request a note is dropped.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Account:
    """Whose account somebody tried to get into who didn't."""

    tenant_id: str
    user_id: str
    why: str
    """What was wrong, in a word; answers don't tell."""
    is_bounded: bool
    """Whether this can happen a few times only before the account is locked."""
    word: str | None = None
    """The act's word, where it is a thing of its own."""


@dataclass(slots=True)
class Note:
    """What an endpoint said while it worked."""

    before: Any = None
    asked: Any = None
    progress: Callable[[], dict[str, Any]] | None = None
    """Says how far a stream has come."""
    target: str | None = None
    account: Account | None = None


_note: ContextVar[Note | None] = ContextVar("audit note", default=None)


def open_note() -> Note:
    """An empty note that whatever runs in this context from here on writes into."""
    note = Note()
    _note.set(note)
    return note


def note_asked(asked: object) -> None:
    """Say what is asked for at an open door, as JSON-like values without secrets."""
    note = _note.get()
    if note is not None:
        note.asked = asked


def note_account(account: Account) -> None:
    """Say whose account was tried."""
    note = _note.get()
    if note is not None:
        note.account = account


def note_before(before: object, target: str | None = None) -> None:
    """Say what is about to be replaced or removed, as JSON-like values, and by which id it is known."""
    note = _note.get()
    if note is not None:
        note.before = before
        note.target = target or note.target


def note_progress(progress: Callable[[], dict[str, Any]]) -> None:
    """Say how to learn how much of a stream there was, once it has ended; JSON-like values."""
    note = _note.get()
    if note is not None:
        note.progress = progress
