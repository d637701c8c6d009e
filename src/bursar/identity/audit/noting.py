"""How an endpoint tells the audit log what it alone knows: one call, wherever the endpoint lives.

That is what a change replaced, and who wants to get in. What was asked and what came of it are known
without (`app/audited.py`). Outside of a request a note is dropped.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Note:
    """What an endpoint said while it worked."""

    before: Any = None
    asked: Any = None
    target: str | None = None


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


def note_before(before: object, target: str | None = None) -> None:
    """Say what is about to be replaced or removed, as JSON-like values, and by which id it is known."""
    note = _note.get()
    if note is not None:
        note.before = before
        note.target = target or note.target
