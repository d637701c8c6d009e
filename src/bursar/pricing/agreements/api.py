"""`/api/v1/prices/overrides`, `/api/v1/prices/aliases` and `/api/v1/billing/settings`.

The tenant is the caller's; an operator may name another. What is agreed on is never changed: it is
withdrawn, with a reason, and something else is agreed on. A change counts at once for what is recorded
from now on; what was recorded before keeps its cost until somebody re-prices it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from bursar import clock, ids
from bursar.identity.audit.noting import note_before
from bursar.identity.caller import Caller, CallerDependency
from bursar.identity.exact_body import exact_body
from bursar.identity.page import Position, read_cursor, write_cursor
from bursar.identity.permissions import Permission
from bursar.identity.retries import answered_again
from bursar.identity.tenant import NAME_PATTERN
from bursar.pricing.agreements.answers import (
    AliasesOut,
    AliasOut,
    OverrideOut,
    OverridesOut,
    RecordedOut,
    SettingsOut,
    WarningOut,
    recorded_advice,
)
from bursar.pricing.agreements.bodies import NewAlias, OverrideIn, SettingsIn
from bursar.pricing.agreements.faults import refuse_alias, refuse_clash, refuse_override
from bursar.pricing.agreements.left_out import LeftOut
from bursar.pricing.agreements.override import (
    ALIAS_KIND,
    OVERRIDE_KINDS,
    AliasSaid,
    Override,
    OverrideKind,
)
from bursar.pricing.agreements.store import LIST_DEFAULT, LIST_LIMIT, AgreementStore, TermAsk, TermRecord
from bursar.pricing.choices import PricingChoices
from bursar.pricing.exchange.rates import Withdrawal

REASON_LIMIT = 500
OVERRIDES, ALIASES = "/prices/overrides", "/prices/aliases"

log = structlog.get_logger()

Said = Override | AliasSaid
CountRecorded = Callable[[str, Said], Awaitable[int | None]]
"""How many events a tenant recorded that fall under something agreed on; None where nobody knows."""
RetryKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="Sent again with the same body it adds nothing, and answers 200.",
    ),
]
WhyGone = Annotated[
    str,
    Query(
        max_length=REASON_LIMIT,
        pattern=NAME_PATTERN,
        description="Why; it stays for good.",
    ),
]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which part of a list is to be shown."""

    project_id: Annotated[str | None, Query(max_length=256, pattern=NAME_PATTERN)] = None
    withdrawn: Annotated[bool, Query(description="Also those that are withdrawn.")] = False
    cursor: Annotated[str | None, Query(max_length=400, description="`next_cursor` of the page before.")] = (
        None
    )
    limit: Annotated[int, Query(ge=1, le=LIST_LIMIT)] = LIST_DEFAULT

    def ask(self, tenant_id: str, kinds: tuple[str, ...]) -> TermAsk:
        """The question for the store, which tells by one more whether there is another page."""
        place = read_cursor(self.cursor) if self.cursor else None
        after = None if place is None else (place.created_at, place.id)
        return TermAsk(tenant_id, kinds, self.project_id, self.withdrawn, after, self.limit + 1)


@dataclass(frozen=True, slots=True)
class AgreementDesk:
    """What every endpoint here works with."""

    store: AgreementStore
    changed: Callable[[str], None]
    """Called with the tenant after each change: it counts when this returns."""
    choices_of: Callable[[str], PricingChoices]
    count_recorded: CountRecorded
    left_out: Callable[[str, Override, datetime], Sequence[LeftOut]]
    """What an override of the tenant's leaves without a rate, at this moment."""
    now: Callable[[], datetime] = clock.now

    async def add(
        self, caller: Caller, said: Said, key: str | None, response: Response
    ) -> tuple[TermRecord, RecordedOut]:
        """Keep what was agreed; 200 instead of 201 where it was kept already."""
        kind = said.kind.value if isinstance(said, Override) else ALIAS_KIND
        prefix = "alias" if isinstance(said, AliasSaid) else "ovr"
        record = TermRecord(
            ids.make_id(prefix) if key is None else _derived_id(prefix, caller.tenant_id, key),
            caller.tenant_id,
            kind,
            said.project_id,
            said.to_json(),
            self.now(),
            caller.key_id,
        )
        kept, is_new = await run_in_threadpool(
            self.store.add_term, record, lambda others: refuse_clash(record, others)
        )
        if is_new:
            await run_in_threadpool(self.changed, caller.tenant_id)
            log.info(
                "a price was agreed on", tenant=caller.tenant_id, key=caller.key_id, id=kept.id, kind=kind
            )
        else:
            response.status_code = HTTPStatus.OK
        return kept, await self.recorded(caller.tenant_id, said)

    async def withdraw(
        self, caller: Caller, kinds: tuple[str, ...], record_id: str, reason: str
    ) -> TermRecord:
        """Let a record not count any more, from now on."""
        withdrawal = Withdrawal(self.now(), caller.key_id, reason.strip())
        plain_id = record_id.replace("\0", "�")
        kept = await run_in_threadpool(
            self.store.withdraw_term, caller.tenant_id, kinds, plain_id, withdrawal
        )
        await run_in_threadpool(self.changed, caller.tenant_id)
        note_before(_told(replace(kept, withdrawn=withdrawal.replaced_by(kept.withdrawn))))
        log.info("an agreement was withdrawn", tenant=caller.tenant_id, key=caller.key_id, id=kept.id)
        return kept

    async def recorded(self, tenant_id: str, said: Said) -> RecordedOut:
        """What was recorded before and falls under it."""
        now = self.now()
        since = said.valid_from
        until = None if said.valid_to is None or said.valid_to > now else said.valid_to
        advice = recorded_advice(since, until, said.project_id)
        if since is not None and since >= now:
            return RecordedOut(events=0, advice="Nothing that was recorded falls under it.")
        return RecordedOut(events=await self.count_recorded(tenant_id, said), advice=advice)


def make_router(desk: AgreementDesk, caller: Callable[[Permission], Callable[..., Any]]) -> APIRouter:
    """The endpoints; `caller(scope)` is a FastAPI dependency that gives the `Caller` or refuses it.

    Include it before the router of `/api/v1/prices/{provider}/{model}`, which takes longer paths too.
    """
    router = APIRouter(prefix="/api/v1")
    reader, admin = Depends(caller(Permission.PRICES_READ)), Depends(caller(Permission.PRICES_WRITE))
    _add_overrides(router, desk, reader, admin)
    _add_aliases(router, desk, reader, admin)
    _add_settings(
        router, desk, Depends(caller(Permission.BILLING_READ)), Depends(caller(Permission.BILLING_WRITE))
    )
    return router


def _add_overrides(
    router: APIRouter, desk: AgreementDesk, reader: CallerDependency, admin: CallerDependency
) -> None:
    @router.post(
        "/prices",
        status_code=HTTPStatus.CREATED,
        responses=answered_again(OverrideOut),
        tags=["prices"],
    )
    async def add_override(
        request: Request, body: OverrideIn, response: Response, key: RetryKey = None, caller: Caller = admin
    ) -> OverrideOut:
        """Agree on prices: a contract's own, a discount, a markup, a multiplier or a fee, with dates."""
        del body
        said = exact_body(OverrideIn, await request.body()).said()
        refuse_override(said)
        added = OverrideOut.of(*await desk.add(caller, said, key, response))
        left = await run_in_threadpool(desk.left_out, caller.tenant_id, said, desk.now())
        return added.model_copy(update={"warnings": [WarningOut.of(one) for one in left]})

    @router.get(OVERRIDES, tags=["prices"])
    def list_overrides(
        wanted: Annotated[_Wanted, Depends()],
        kind: Annotated[OverrideKind | None, Query()] = None,
        caller: Caller = reader,
    ) -> OverridesOut:
        """The tenant's overrides, in the order recorded."""
        kinds = OVERRIDE_KINDS if kind is None else (kind.value,)
        found = desk.store.list_terms(wanted.ask(caller.tenant_id, kinds))
        items = [OverrideOut.of(one) for one in found[: wanted.limit]]
        return OverridesOut(items=items, next_cursor=_next(found, wanted.limit))

    @router.delete(OVERRIDES + "/{override_id}", tags=["prices"])
    async def withdraw_override(override_id: str, reason: WhyGone, caller: Caller = admin) -> OverrideOut:
        """Withdraw an override: it counts no longer from now on. Twice is harmless."""
        kept = await desk.withdraw(caller, OVERRIDE_KINDS, override_id, reason)
        return OverrideOut.of(kept, await desk.recorded(caller.tenant_id, Override.from_json(kept.document)))


def _add_aliases(
    router: APIRouter, desk: AgreementDesk, reader: CallerDependency, admin: CallerDependency
) -> None:
    @router.post(ALIASES, status_code=HTTPStatus.CREATED, responses=answered_again(AliasOut), tags=["prices"])
    async def add_alias(
        body: NewAlias, response: Response, key: RetryKey = None, caller: Caller = admin
    ) -> AliasOut:
        """Say which model a name of one's own stands for: a deployment, a fine-tune, a profile."""
        said = body.said()
        refuse_alias(said)
        return AliasOut.of(*await desk.add(caller, said, key, response))

    @router.get(ALIASES, tags=["prices"])
    def list_aliases(wanted: Annotated[_Wanted, Depends()], caller: Caller = reader) -> AliasesOut:
        """The tenant's aliases, in the order recorded."""
        found = desk.store.list_terms(wanted.ask(caller.tenant_id, (ALIAS_KIND,)))
        items = [AliasOut.of(one) for one in found[: wanted.limit]]
        return AliasesOut(items=items, next_cursor=_next(found, wanted.limit))

    @router.delete(ALIASES + "/{alias_id}", tags=["prices"])
    async def withdraw_alias(alias_id: str, reason: WhyGone, caller: Caller = admin) -> AliasOut:
        """Withdraw an alias: the name stands for nothing from now on. Twice is harmless."""
        kept = await desk.withdraw(caller, (ALIAS_KIND,), alias_id, reason)
        return AliasOut.of(kept, await desk.recorded(caller.tenant_id, AliasSaid.from_json(kept.document)))


def _add_settings(
    router: APIRouter, desk: AgreementDesk, reader: CallerDependency, admin: CallerDependency
) -> None:
    @router.get("/billing/settings", tags=["billing"])
    def get_billing_settings(caller: Caller = reader) -> SettingsOut:
        """In which currency the tenant's costs are told, and whose figures it trusts."""
        return SettingsOut.of(caller.tenant_id, desk.choices_of(caller.tenant_id))

    @router.put("/billing/settings", tags=["billing"])
    def put_billing_settings(body: SettingsIn, caller: Caller = admin) -> SettingsOut:
        """Choose the reporting currency, and which providers' own figures count before the book's."""
        before = SettingsOut.of(caller.tenant_id, desk.choices_of(caller.tenant_id))
        note_before(before.model_dump(mode="json"))
        desk.store.choose(caller.tenant_id, body.choices())
        desk.changed(caller.tenant_id)
        log.info("billing settings were chosen", tenant=caller.tenant_id, key=caller.key_id)
        return SettingsOut.of(caller.tenant_id, desk.choices_of(caller.tenant_id))


def _told(record: TermRecord) -> dict[str, Any]:
    """A record as the audit log keeps it."""
    gone = record.withdrawn
    return {
        "kind": record.kind,
        "project_id": record.project_id,
        "said": json.loads(record.document),
        "withdrawn": None if gone is None else clock.rfc3339(gone.at),
    }


def _derived_id(prefix: str, tenant_id: str, key: str) -> str:
    digest = hashlib.blake2b(f"{tenant_id}\n{prefix}\n{key}".encode(), digest_size=12)
    return f"{prefix}_{digest.hexdigest()}"


def _next(found: list[TermRecord], limit: int) -> str | None:
    if len(found) <= limit:
        return None
    last = found[limit - 1]
    return write_cursor(Position(last.recorded_at, last.id))
