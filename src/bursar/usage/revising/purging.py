"""What jobs need that take data out for good: the journal without it, and a store without its traces.

A record alone makes data invisible. Gone it is when the journal's archive is rewritten and the store is
derived anew from that into fresh files. `app/purging.py` does it over a running server.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from contextlib import AbstractContextManager

    from bursar.scheduling.job import RunContext
    from bursar.usage.revising.author import Author
    from bursar.usage.whose import Whose


@dataclass(frozen=True, slots=True)
class PlacesLeft:
    """Where somebody is still named: records of the journal, rows of the store."""

    places: int
    """Positions; a record and the row that was made of it are one."""
    fields: dict[str, int]
    """In which fields they are, and of how many positions; never what stands there."""


class Purges(Protocol):
    """Takes data out for good. Every step can be repeated after a crash."""

    def alone(self, run: RunContext) -> AbstractContextManager[None]:
        """Hold off every other change of the archive; rewritings are made in the order of their records."""
        ...

    def records_of(self, run_id: str, after_seq: int) -> list[tuple[int, bytes]]:
        """Change records that a run has written behind a place: what a resumed run goes on from."""
        ...

    def purge_removed(self, run: RunContext, seq: int, line: bytes) -> int:
        """Rewrite the journal without what this record removed, and renew the store; lines changed."""
        ...

    def purge_person(
        self, run: RunContext, author: Author, seqs: Sequence[int], identifiers: Collection[str]
    ) -> int:
        """Rewrite the journal without a person, and renew the store; lines changed."""
        ...

    def places_left(
        self, run: RunContext, tenant_id: str, identifiers: Collection[str], through_seq: int
    ) -> PlacesLeft:
        """Where in the journal and in the store one of the identifiers still stands."""
        ...

    def conceal_runs(self, tenant_id: str, identifiers: Collection[str]) -> int:
        """Take the words of the tenant's ended runs away where they hold an identifier; how many runs."""
        ...

    def forget_allocations(self, tenant_id: str, identifiers: Collection[str]) -> int:
        """Take them out of what says who owns and bears what; how many allocations."""
        ...

    def events_of(self, whose: Whose) -> int:
        """How many events the store counts of a tenant or project."""
        ...

    def rows_left(self, run: RunContext, whose: Whose, after_seq: int = 0) -> dict[str, int]:
        """Rows that each table of the store has of a tenant or project, and lines that the journal has.

        What is only a former version of an event that was moved to another project isn't counted.

        Args:
            run: hears how far it is.
            whose: the tenant or project.
            after_seq: of the journal only what lies behind this position is looked at.
        """
        ...

    def aside_of(self, run: RunContext, whose: Whose) -> list[int]:
        """Positions of a project's records in quarantine, as far as they can be read.

        A tenant has none here, for its quarantine goes with it.
        """
        ...
