"""What a view shows: a body for JSON and the same as CSV, made only when it is wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from bursar.usage.store import UsageQuestions


@dataclass(frozen=True, slots=True)
class Shown:
    """An answer, ready to be written in either form."""

    body: Any
    """One of the answer dataclasses; what is in it is JSON's own kinds only."""
    as_csv: Callable[[], str]
    events: int | None = None
    """How many single events it hands out; None where it shows sums."""


class View(Protocol):
    """A question with its parameters read."""

    def answer(self, store: UsageQuestions) -> Shown:
        """Ask, and shape the answer; runs in a worker thread."""
        ...
