"""`/api/v1/billing/exchange-rates`: dated rates, entered one by one or imported, listed, withdrawn.

The tenant is the caller's; an operator may name another, or say `shared=true` for rates of all tenants.
A rate is never changed: entering another one for its day and pair takes its place, and what was entered
before stays in the list of all (`withdrawn=true`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends, Query, Request
from fastapi.concurrency import run_in_threadpool

from bursar import clock
from bursar.errors import Forbidden, Invalid, Reason, UnsupportedMedia
from bursar.identity.audit.noting import note_before
from bursar.identity.caller import Caller, CallerDependency
from bursar.identity.permissions import Permission
from bursar.identity.tenant import NAME_PATTERN
from bursar.pricing.exchange.bodies import (
    RATES_BODY,
    AddedOut,
    RateOut,
    RatesOut,
    read_cursor,
    read_json_rates,
    write_cursor,
)
from bursar.pricing.exchange.rate_files import DEFAULT_BASE, SOURCE_LIMIT, read_rates
from bursar.pricing.exchange.rates import RateEntry, Withdrawal
from bursar.pricing.exchange.store import LIST_DEFAULT, LIST_LIMIT, Author, ExchangeRateStore, RateAsk

REASON_LIMIT = 500
PATH = "/api/v1/billing/exchange-rates"

log = structlog.get_logger()

Shared = Annotated[bool, Query(description="For all tenants; only the operator may say so.")]
Currency = Annotated[str, Query(pattern=r"^[A-Z]{3}$")]
WhyGone = Annotated[
    str,
    Query(
        max_length=REASON_LIMIT,
        pattern=NAME_PATTERN,
        description="Why; it stays with the withdrawal for good.",
    ),
]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which rates a list is to show."""

    currency: Annotated[
        list[Currency] | None, Query(description="Only rates from or to it. Repeat for any of several.")
    ] = None
    start_date: Annotated[date | None, Query(description="The first day.")] = None
    end_date: Annotated[date | None, Query(description="The last day, included.")] = None
    withdrawn: Annotated[bool, Query(description="Also those withdrawn or replaced.")] = False
    cursor: Annotated[str | None, Query(max_length=400, description="`next_cursor` of the page before.")] = (
        None
    )
    limit: Annotated[int, Query(ge=1, le=LIST_LIMIT)] = LIST_DEFAULT

    def ask(self, tenant_id: str) -> RateAsk:
        """The question for the store, which tells by one more whether there is another page."""
        after = read_cursor(self.cursor) if self.cursor else None
        names = tuple(self.currency or ())
        return RateAsk(
            tenant_id, self.start_date, self.end_date, names, self.withdrawn, after, self.limit + 1
        )


def make_router(
    store: ExchangeRateStore,
    caller: Callable[[Permission], Callable[..., Any]],
    now: Callable[[], datetime] = clock.now,
) -> APIRouter:
    """The endpoints; `caller(scope)` is a FastAPI dependency that gives the `Caller` or refuses it."""
    router = APIRouter(tags=["billing"])
    _add_entering(router, store, Depends(caller(Permission.PRICES_WRITE)), now)
    _add_list(router, store, Depends(caller(Permission.PRICES_READ)))
    _add_withdrawal(router, store, Depends(caller(Permission.PRICES_WRITE)), now)
    return router


def _add_entering(
    router: APIRouter,
    store: ExchangeRateStore,
    admin: CallerDependency,
    now: Callable[[], datetime],
) -> None:
    @router.post(PATH, openapi_extra=RATES_BODY)
    async def enter_exchange_rates(
        request: Request,
        base: Annotated[Currency, Query(description="Of a CSV file that has a column per currency.")] = (
            DEFAULT_BASE
        ),
        source: Annotated[str, Query(max_length=SOURCE_LIMIT, description="Who says so; for CSV.")] = "",
        shared: Shared = False,  # noqa: FBT002 - a query parameter
        caller: Caller = admin,
    ) -> AddedOut:
        """Enter rates: all that are sent, or none. Sending the same again changes nothing."""
        owner = _owner(caller, is_shared=shared)
        body, kind = await request.body(), request.headers.get("content-type", "application/json")
        entries = await run_in_threadpool(_read, body, kind, base, source)
        author = Author(caller.key_id, now())
        done = await run_in_threadpool(store.add_rates, owner, entries, author)
        log.info("exchange rates were entered", tenant=owner, key=caller.key_id, added=done.added)
        return AddedOut(added=done.added, unchanged=done.unchanged, shared=owner is None)


def _add_list(router: APIRouter, store: ExchangeRateStore, reader: CallerDependency) -> None:
    @router.get(PATH)
    def list_exchange_rates(wanted: Annotated[_Wanted, Depends()], caller: Caller = reader) -> RatesOut:
        """The rates that count for the tenant, the latest day first: its own and everybody's."""
        found = store.list_rates(wanted.ask(caller.tenant_id))
        shown = found[: wanted.limit]
        return RatesOut(
            items=[RateOut.of(one, for_operator=caller.is_operator) for one in shown],
            next_cursor=write_cursor(shown[-1]) if len(found) > wanted.limit else None,
        )


def _add_withdrawal(
    router: APIRouter,
    store: ExchangeRateStore,
    admin: CallerDependency,
    now: Callable[[], datetime],
) -> None:
    @router.delete(PATH + "/{rate_id}")
    def withdraw_exchange_rate(
        rate_id: str,
        reason: WhyGone,
        shared: Shared = False,  # noqa: FBT002 - a query parameter
        caller: Caller = admin,
    ) -> RateOut:
        """Let a rate not count any more; the one that it replaced counts again. Twice is harmless."""
        owner = _owner(caller, is_shared=shared)
        withdrawal = Withdrawal(now(), caller.key_id, reason.strip())
        kept = store.withdraw_rate(owner, rate_id.replace("\0", "�"), withdrawal)
        before = replace(kept, withdrawn=withdrawal.replaced_by(kept.withdrawn))
        note_before(RateOut.of(before, for_operator=caller.is_operator).model_dump(mode="json"))
        log.info("an exchange rate was withdrawn", tenant=owner, key=caller.key_id, rate=kept.id)
        return RateOut.of(kept, for_operator=caller.is_operator)


def _owner(caller: Caller, *, is_shared: bool) -> str | None:
    if not is_shared:
        return caller.tenant_id
    if not caller.is_operator:
        message = "Only the operator may enter or withdraw rates of all tenants."
        raise Forbidden(message)
    return None


def _read(body: bytes, media_type: str, base: str, source: str) -> list[RateEntry]:
    kind = media_type.partition(";")[0].strip().lower()
    if kind in {"application/json", ""}:
        return read_json_rates(body)
    if kind != "text/csv":
        message = f"Send rates as application/json or text/csv, not as {kind[:80]!r}."
        raise UnsupportedMedia(message)
    try:
        return read_rates(body.decode("utf-8"), base, source)
    except UnicodeDecodeError:
        message = "The file is no UTF-8."
        raise Invalid(message, reasons=(Reason("$", "not_utf8", message),)) from None
