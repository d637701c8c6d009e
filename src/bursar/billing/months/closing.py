"""A closed month: its figures as they were, and the corrections of earlier months that it took up.

Closings are kept for good and never changed, but for lines of projects that are deleted with their data:
those become nameless sums of what was billed for them. What a closed month comes to now, less all that
was billed for it, is what the earliest month that isn't closed has to correct; when that one closes, it
says so in its own closing. So every event is billed once, however late it comes and however often it is
re-priced.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import msgspec

from bursar.billing.months.bill import BillRow, Sums, add_bills, bill_of, rows_of
from bursar.billing.months.month import Month
from bursar.money import format_picos, parse_picos
from bursar.pricing.documents import content_hash

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bursar.billing.months.bill import Bill

DOCUMENT_VERSION = 1

ClosedBy = tuple[str | None, str | None]
"""The key that finalised a month and why; both None where the schedule closed it."""


class DeletedSums(msgspec.Struct, frozen=True, array_like=True):
    """What was billed in one currency for projects that were deleted since."""

    currency: str
    events: int
    amount: str


class ClosedFigures(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a closing writes down."""

    v: int
    month: str
    lines: list[BillRow]
    corrections: dict[str, list[BillRow]]
    """By the earlier month that they are about."""
    partial_since: datetime | None = None
    """Absent where the lines are all that there was."""
    deleted: list[DeletedSums] = []
    """By currency: lines and corrections that were here until their project was deleted."""


@dataclass(frozen=True, slots=True)
class Closing:
    """That a tenant's month was closed, by whom, and with which figures."""

    tenant_id: str
    month: Month
    closed_at: datetime
    closed_by: str | None
    """The key that finalised it; None where the schedule did."""
    reason: str | None
    lines: Bill
    corrections: dict[Month, Bill]
    hash: str
    """Of the document that says all this."""
    partial_since: datetime | None = None
    """What came before this moment of the month had expired, and is in no line."""
    deleted: tuple[DeletedSums, ...] = ()
    """What was billed for projects that were deleted since; in no line and no correction."""

    @classmethod
    def read(cls, tenant_id: str, closed_at: datetime, by: ClosedBy, text: str) -> Closing:
        """The closing that a document says.

        Raises:
            msgspec.DecodeError: it says none.
        """
        figures = msgspec.json.decode(text, type=ClosedFigures)
        return cls(
            tenant_id,
            Month.parse(figures.month),
            closed_at,
            by[0],
            by[1],
            bill_of(figures.lines),
            {Month.parse(month): bill_of(rows) for month, rows in figures.corrections.items()},
            content_hash(text.encode()),
            figures.partial_since,
            tuple(figures.deleted),
        )

    def names(self, project_id: str) -> bool:
        """Whether some line or correction is of this project."""
        return any(
            key.project_id == project_id for bill in (self.lines, *self.corrections.values()) for key in bill
        )

    def without(self, project_id: str) -> str:
        """The document of this closing without a project's lines: their sums stay, by currency."""
        lines, gone = _parted(self.lines, project_id)
        parted = {month: _parted(bill, project_id) for month, bill in self.corrections.items()}
        before = {one.currency: Sums(one.events, parse_picos(one.amount)) for one in self.deleted}
        for key, sums in add_bills((gone, *(away for _, away in parted.values()))).items():
            events, picos = before.get(key.currency, Sums(0, 0))
            before[key.currency] = Sums(events + sums.events, picos + sums.picos)
        return write_figures(
            self.month,
            lines,
            {month: kept for month, (kept, _) in parted.items() if kept},
            self.partial_since,
            [DeletedSums(one, before[one].events, format_picos(before[one].picos)) for one in sorted(before)],
        )


def _parted(bill: Bill, project_id: str) -> tuple[Bill, Bill]:
    """The lines of other projects, and those of this one."""
    gone = {key: sums for key, sums in bill.items() if key.project_id == project_id}
    return {key: sums for key, sums in bill.items() if key not in gone}, gone


def write_figures(
    month: Month,
    lines: Bill,
    corrections: Mapping[Month, Bill],
    partial_since: datetime | None = None,
    deleted: Sequence[DeletedSums] = (),
) -> str:
    """The document of a closing, the same for the same figures."""
    figures = ClosedFigures(
        v=DOCUMENT_VERSION,
        month=str(month),
        lines=rows_of(lines),
        corrections={str(about): rows_of(corrections[about]) for about in sorted(corrections)},
        partial_since=partial_since,
        deleted=list(deleted),
    )
    return msgspec.json.encode(figures).decode()


class ClosingStore(Protocol):
    """Keeps closings; every call is about one tenant."""

    def closings(self, tenant_id: str) -> tuple[Closing, ...]:
        """All of them, the earliest month first."""
        ...

    def close(self, tenant_id: str, month: Month, at: datetime, by: ClosedBy, text: str) -> bool:
        """Keep a closing (`write_figures`), on disk when this returns; False where there was one already.

        Raises:
            NotFound: there is no such tenant.
        """
        ...

    def forget(self, tenant_id: str) -> int:
        """Remove all closings of a tenant whose usage is gone; how many."""
        ...

    def forget_project(self, tenant_id: str, project_id: str) -> int:
        """Take a project whose usage is gone out of the tenant's closings; in how many it was."""
        ...


def billed_by_month(closings: Iterable[Closing]) -> dict[Month, Bill]:
    """All that was billed for each month so far: its own figures and every correction taken up since."""
    parts: dict[Month, list[Bill]] = defaultdict(list)
    for closing in closings:
        parts[closing.month].append(closing.lines)
        for month, correction in closing.corrections.items():
            parts[month].append(correction)
    return {month: add_bills(bills) for month, bills in parts.items()}
