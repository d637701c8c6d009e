"""Month summaries over HTTP: `/api/v1/billing/summaries`, `…/{month}/finalise`, `/api/v1/billing/estimate`.

Months are those of UTC, as `2026-10`. Amounts are decimal strings in their own currency; events without
a known cost are counted and are in no amount.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from bursar import clock
from bursar.billing.months.bill import UNPRICED, LineKey, Sums, Total, add_bills, rows_of, totals_of
from bursar.billing.months.month import BillingState, Month
from bursar.billing.months.summary import Months, MonthSummary
from bursar.described import describe_fields
from bursar.identity.bodies import PLAIN_TEXT, Strict
from bursar.identity.caller import Caller, CallerDependency
from bursar.identity.permissions import Permission
from bursar.money import format_picos
from bursar.usage.partial import Partial
from bursar.usage.revising.author import REASON_LIMIT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bursar.billing.months.estimate import Estimate

PAGE_LIMIT = 500
PAGE_DEFAULT = 24

MonthName = Annotated[str, Path(pattern=r"^\d{4}-\d{2}$", examples=["2026-10"])]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, json_schema_extra=describe_fields)


class CurrencyTotalOut(_Answer):
    """What a month comes to in one currency."""

    currency: str
    usage: str | None
    """The month's own events; null where the cost of none of them is known."""
    corrections: str
    """What changed in earlier, closed months; may be negative."""
    total: str | None
    """Both together; null where neither is known."""
    events: int
    unpriced_events: int
    """Among `events`: their cost isn't known and is in no amount."""


class LineOut(_Answer):
    """One line of a bill."""

    service_type: str | None
    provider: str | None
    model: str | None
    project_id: str | None
    currency: str
    cost_status: str
    events: int
    amount: str | None
    """Null where the cost isn't known."""


class CorrectionOut(_Answer):
    """What changed in an earlier month since it was billed."""

    month: str
    lines: list[LineOut]


class DeletedOut(_Answer):
    """What was billed in one currency for projects that were deleted since."""

    currency: str
    events: int
    amount: str


class MonthOut(_Answer):
    """A month and what it comes to."""

    month: str
    state: BillingState
    starts: datetime
    ends: datetime
    closes_at: datetime
    """When the schedule closes it: some days after its end (`BURSAR_BILLING_GRACE_DAYS`)."""
    closed_at: datetime | None
    closed_by: str | None
    """The key that finalised it; null where the schedule did, or nobody yet."""
    reason: str | None
    hash: str | None
    """Of a closed month's figures; they change only when a project is deleted with its data."""
    totals: list[CurrencyTotalOut]
    deleted: list[DeletedOut]
    """Of a closed month: what was billed for projects that were deleted since; in no total and no line."""
    partial: Partial | None
    """Where retention took part of a month before it was closed: from when on its figures are complete."""

    @classmethod
    def of(cls, summary: MonthSummary) -> MonthOut:
        """A summary without its lines."""
        return cls(**_head(summary))


class MonthDetailOut(MonthOut):
    """A month, line by line."""

    lines: list[LineOut]
    corrections: list[CorrectionOut]

    @classmethod
    def of(cls, summary: MonthSummary) -> MonthDetailOut:
        """A summary with all its lines."""
        corrections = [
            CorrectionOut(month=str(month), lines=_lines(bill)) for month, bill in summary.corrections.items()
        ]
        return cls(**_head(summary), lines=_lines(summary.lines), corrections=corrections)


class MonthListOut(_Answer):
    """Months, the latest first."""

    items: list[MonthOut]
    next_cursor: str | None


class EstimateOut(_Answer):
    """What the current month may come to in one currency."""

    currency: str
    so_far: str
    to_come: str
    total: str
    method: str
    basis_days: int
    """Complete days that it is made from."""


class EstimatesOut(_Answer):
    """How the current month may end."""

    month: str
    items: list[EstimateOut]
    """Empty before a single day with a known cost is complete: nothing can be said yet."""
    unpriced_events: int
    """Events of the month so far whose cost isn't known: in no amount."""


class FinaliseIn(Strict):
    """Why a month is closed now."""

    reason: str | None = Field(default=None, max_length=REASON_LIMIT, pattern=PLAIN_TEXT)


class FinalisedOut(_Answer):
    """The months that were closed by the call, the earliest first; none where they were closed already."""

    closed: list[str]
    month: MonthDetailOut


def make_router(
    months: Months,
    caller: Callable[[Permission], Callable[..., Any]],
    now: Callable[[], datetime] = clock.now,
) -> APIRouter:
    """The endpoints; `caller(scope)` is a FastAPI dependency that gives the `Caller` or refuses it."""
    router = APIRouter(prefix="/api/v1/billing", tags=["billing"])
    _add_reading(router, months, Depends(caller(Permission.BILLING_READ)), now)
    _add_finalising(router, months, Depends(caller(Permission.BILLING_WRITE)), now)
    return router


def _add_reading(
    router: APIRouter,
    months: Months,
    reader: CallerDependency,
    now: Callable[[], datetime],
) -> None:
    @router.get("/summaries")
    def list_months(
        caller: Caller = reader,
        cursor: Annotated[str | None, Query(pattern=r"^\d{4}-\d{2}$")] = None,
        limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = PAGE_DEFAULT,
    ) -> MonthListOut:
        """What each month comes to, the latest first."""
        found = months.overview(caller.tenant_id, now())
        if cursor is not None:
            before = Month.parse(cursor)
            found = [one for one in found if one.month < before]
        page = [MonthOut.of(one) for one in found[:limit]]
        return MonthListOut(items=page, next_cursor=page[-1].month if len(found) > limit else None)

    @router.get("/summaries/{month}")
    def get_month(month: MonthName, caller: Caller = reader) -> MonthDetailOut:
        """One month line by line, with its corrections of earlier ones."""
        return MonthDetailOut.of(months.summary(caller.tenant_id, Month.parse(month), now()))

    @router.get("/estimate")
    def estimate(caller: Caller = reader) -> EstimatesOut:
        """What the current month may come to, from what its days have cost so far."""
        moment = now()
        found = months.estimates(caller.tenant_id, moment)
        return EstimatesOut(
            month=str(Month.of(moment)),
            items=[_estimate(one) for one in found.by_currency],
            unpriced_events=found.unpriced_events,
        )


def _add_finalising(
    router: APIRouter,
    months: Months,
    admin: CallerDependency,
    now: Callable[[], datetime],
) -> None:
    @router.post("/summaries/{month}/finalise")
    def finalise_month(month: MonthName, body: FinaliseIn, caller: Caller = admin) -> FinalisedOut:
        """Close a month that is over, and those before it, for good. What comes later is a correction."""
        asked, moment = Month.parse(month), now()
        closed = months.finalise(caller.tenant_id, asked, (caller.key_id, body.reason), moment)
        return FinalisedOut(
            closed=[str(closing.month) for closing in closed],
            month=MonthDetailOut.of(months.summary(caller.tenant_id, asked, moment)),
        )


def _head(summary: MonthSummary) -> dict[str, Any]:
    closing = summary.closing
    return {
        "month": str(summary.month),
        "state": summary.state,
        "starts": summary.month.start,
        "ends": summary.month.end,
        "closes_at": summary.closes_at,
        "closed_at": closing.closed_at if closing else None,
        "closed_by": closing.closed_by if closing else None,
        "reason": closing.reason if closing else None,
        "hash": closing.hash if closing else None,
        "totals": _totals(summary),
        "deleted": [
            DeletedOut(currency=one.currency, events=one.events, amount=one.amount)
            for one in (closing.deleted if closing else ())
        ],
        "partial": Partial(summary.partial_since, "rollups_expired") if summary.partial_since else None,
    }


def _totals(summary: MonthSummary) -> list[CurrencyTotalOut]:
    usage = {total.currency: total for total in totals_of(summary.lines)}
    changes = {total.currency: total for total in totals_of(add_bills(summary.corrections.values()))}
    return [
        _total(currency, usage.get(currency, Total(currency, 0, 0, 0)), changes.get(currency))
        for currency in sorted({*usage, *changes})
    ]


def _total(currency: str, own: Total, change: Total | None) -> CurrencyTotalOut:
    is_unknown = bool(own.events) and own.events == own.unpriced_events
    corrected = change.picos if change else 0
    return CurrencyTotalOut(
        currency=currency,
        usage=None if is_unknown else format_picos(own.picos),
        corrections=format_picos(corrected),
        total=None if is_unknown and change is None else format_picos(own.picos + corrected),
        events=own.events,
        unpriced_events=own.unpriced_events,
    )


def _lines(bill: Mapping[LineKey, Sums]) -> list[LineOut]:
    return [
        LineOut(
            **row.key._asdict(),
            events=row.events,
            amount=None if row.key.cost_status == UNPRICED else row.amount,
        )
        for row in rows_of(bill)
    ]


def _estimate(one: Estimate) -> EstimateOut:
    return EstimateOut(
        currency=one.currency,
        so_far=format_picos(one.picos_so_far),
        to_come=format_picos(one.picos_to_come),
        total=format_picos(one.picos),
        method=one.method,
        basis_days=one.basis_days,
    )
