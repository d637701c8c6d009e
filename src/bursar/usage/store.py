"""What any usage store must be able to answer, in the words of usage and not of an engine.

Questions are synchronous and asked from worker threads; whoever asks over HTTP goes through
`AsksQuestions`, which bounds how many run, how long they may take, and ends those that nobody
waits for any more. Every question names its tenant, and no answer holds anything of another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from bursar.usage.changes import MonthSums
    from bursar.usage.export_selection import (
        EventText,
        ExportScope,
        ExportSelection,
        ExportTotals,
        FocusGrain,
        TextForm,
        UsageSum,
        UsageSums,
    )
    from bursar.usage.person import PersonFound
    from bursar.usage.quarantined import QuarantineList, QuarantinePage
    from bursar.usage.query import EventPage, UsageQuery
    from bursar.usage.query_answer import UsageAnswer, UsageRows
    from bursar.usage.ratable_rows import RatableRows
    from bursar.usage.selection import CurrentEvent, Selection, SelectionTotals
    from bursar.usage.stored_event import EarlierRating, EventList, EventVersion, StoredEvent
    from bursar.usage.unpriced_groups import GroupPlace, UnpricedGroup

Answer = TypeVar("Answer")


class ExportQuestions(Protocol):
    """Questions of exports, each about the moment that it names; a piece at a time."""

    def export_totals(self, scope: ExportScope) -> ExportTotals:
        """What a scope comes to at this moment, and which moment that is."""
        ...

    def export_text(self, selection: ExportSelection, form: TextForm, after: int, limit: int) -> EventText:
        """At most `limit` rows behind a position, written; none only where there are no more."""
        ...

    def export_events(self, selection: ExportSelection, after: int) -> UsageSums:
        """Some events of known cost behind a position, each as a sum of its own."""
        ...

    def export_sums(self, selection: ExportSelection, grain: FocusGrain, place: int) -> UsageSums:
        """Sums of the first UTC day from `place` (microseconds) on, but for what only `export_alike` has."""
        ...

    def export_alike(
        self, selection: ExportSelection, grain: FocusGrain, place: int, cards: Collection[str]
    ) -> Iterator[UsageSum]:
        """Of the same day: events of these cards or of several models; alike together, read one by one."""
        ...


class UsageQuestions(ExportQuestions, Protocol):
    """Questions about one moment's state of the store: all asked together see the same events."""

    def answer(self, tenant_id: str, query: UsageQuery) -> UsageAnswer:
        """The figures that a query asks for, with totals over everything it selects."""
        ...

    def rows(self, tenant_id: str, query: UsageQuery) -> UsageRows:
        """The rows alone, at most `query.limit` of them; cheaper where nobody looks at totals."""
        ...

    def list_events(self, tenant_id: str, page: EventPage) -> EventList:
        """One page of single events, newest first."""
        ...

    def history_of(
        self, tenant_id: str, event_id: str, projects: Collection[str] | None = None
    ) -> tuple[EventVersion, ...]:
        """Every version of an event, the oldest first; a voided one's last has ended. Never a scan.

        Only versions in one of the projects, where some are named.
        """
        ...

    def find_event(
        self, tenant_id: str, event_id: str, projects: Collection[str] | None = None
    ) -> StoredEvent | None:
        """The event of this id, or None if this tenant has none in these projects; never a scan."""
        ...

    def find_person(self, tenant_id: str, identifiers: Collection[str]) -> PersonFound:
        """Where a person stands in this tenant's usage; a scan of all of it."""
        ...

    def total_selection(self, tenant_id: str, selection: Selection) -> SelectionTotals:
        """What the selected events come to.

        Raises:
            Invalid: the selection is bounded by an event that isn't there (any more).
        """
        ...

    def last_selected(self, tenant_id: str, selection: Selection) -> str | None:
        """Id of the selected event that was recorded last; None where nothing is selected."""
        ...

    def selected_positions(
        self, tenant_id: str, selection: Selection, after_seq: int, limit: int
    ) -> list[tuple[int, str]]:
        """Position and id of selected events behind a position, in order, at most `limit`."""
        ...

    def earlier_ratings(self, tenant_id: str, event_id: str) -> tuple[EarlierRating, ...]:
        """The ratings that rating runs have replaced, the newest first; never a scan."""
        ...

    @property
    def ratings(self) -> RatingQuestions:
        """What rating again asks."""
        ...

    def list_quarantined(self, tenant_id: str, page: QuarantinePage) -> QuarantineList:
        """One page of records that were accepted and count nowhere, the latest first.

        An empty tenant means records that name none: they couldn't be read. Only the operator may ask so.
        """
        ...

    def current_events(self, tenant_id: str, event_ids: Collection[str]) -> dict[str, CurrentEvent]:
        """Those of the ids whose events count now; never a scan."""
        ...


class RatingQuestions(Protocol):
    """What rating stored events again asks, at the same moment's state."""

    def span(self, tenant_id: str, selection: Selection) -> tuple[int, int] | None:
        """First and last position of the selected events; None where there is none.

        Raises:
            Invalid: the selection is bounded by an event that isn't there (any more).
        """
        ...

    def rows(
        self, tenant_id: str, selection: Selection, span: tuple[int, int], ruled: Collection[str | None] = ()
    ) -> RatableRows:
        """The selected events of these positions (first and last), by columns.

        `ruled` names the service types that have billing rules, which may read any field of an event.
        """
        ...

    def ids_at(self, tenant_id: str, seqs: Collection[int]) -> dict[int, str]:
        """Ids of the events at these positions."""
        ...

    def sums_of_run(self, tenant_id: str, run_id: str) -> list[MonthSums] | None:
        """What a rating run has changed; None where it isn't in force."""
        ...

    def unpriced(
        self, tenant_id: str, selection: Selection, after: GroupPlace | None, limit: int
    ) -> list[UnpricedGroup]:
        """Groups of selected events without a known cost, those with the most events first."""
        ...

    def is_open(self, tenant_id: str, run_id: str) -> bool:
        """Whether ratings of this run wait to come into force."""
        ...


class AsksQuestions(Protocol):
    """Runs questions beside each other, within bounds."""

    async def ask(self, question: Callable[[UsageQuestions], Answer]) -> Answer:
        """What `question` returns; cancelling the awaiting task ends the question too.

        Raises:
            Overloaded: too many questions are waiting already.
            TimedOut: it took longer than the limit.
        """
        ...

    def ask_now(self, question: Callable[[UsageQuestions], Answer]) -> Answer:
        """The same for callers with a thread of their own, such as jobs and the command line."""
        ...
