"""What the kept book needs of a store; `storage/relational/price_book.py` implements it for two engines.

A store only adds. An update is one transaction: it is there as a whole or not at all, and only if it
is based on the latest one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bursar.pricing.keeping.kept import (
        EndedRow,
        KeptBook,
        PriceUpdate,
        SourceState,
        UpdateHead,
    )
    from bursar.pricing.keeping.update import Plan


class PriceStore(Protocol):
    """Keeps the book's rows, entries and updates."""

    def latest(self) -> int:
        """The number of the latest update; 0 where there is none."""
        ...

    def load(self, known_at: datetime | None = None) -> KeptBook:
        """The book as it is known, now or as it was at a moment.

        Raises:
            Unavailable: the store doesn't answer.
        """
        ...

    def append(self, head: UpdateHead, plan: Plan, based_on: int) -> PriceUpdate:
        """Keep an update, whole or not at all.

        Raises:
            BookMoved: the latest update isn't the one that the plan is based on.
            Unavailable: the store doesn't answer.
        """
        ...

    def updates(self, limit: int, before: int | None = None) -> Sequence[PriceUpdate]:
        """Updates, the latest first, behind a number."""
        ...

    def sources(self) -> Sequence[SourceState]:
        """The latest version of each source, and how many rows each has brought."""
        ...

    def history(self, provider: str, model: str) -> Sequence[EndedRow]:
        """Every row that a model ever had, in the order in which they were recorded."""
        ...
