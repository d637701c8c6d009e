"""`/api/v1/billing-rules`: what calls of a tenant's services cost, for which provider and model, and when.

A rule is never changed: another one takes its place from its moment on, or it is withdrawn. `…/try` says
what an event would cost, by the tenant's rules or by one that is only tried.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import AwareDatetime

from bursar import clock, ids
from bursar.billing.registered import RecordedRule
from bursar.billing.registry import Author, Registry
from bursar.billing.rules.bodies import RuleIn, RuleOut, RulesOut, TrialAnswer, TrialBody
from bursar.identity.audit.noting import note_before
from bursar.identity.caller import Caller, CallerDependency
from bursar.identity.exact_body import exact_body
from bursar.identity.permissions import Permission
from bursar.identity.tenant import ID_PATTERN
from bursar.pricing.books import PriceBooks
from bursar.pricing.rules.rule import RuleBook
from bursar.usage.bodies import translate_item
from bursar.usage.cost_check import check_all
from bursar.usage.known_services import finder_of

log = structlog.get_logger()

ONE = "/billing-rules/{rule_id}"
TRIED = "tried"
"""The id of a rule that isn't recorded."""
RuleId = Annotated[str, Path(pattern=ID_PATTERN)]
Asked = Annotated[str | None, Query(max_length=256)]


@dataclass(frozen=True, slots=True)
class _Desk:
    """What every endpoint here works with."""

    registry: Registry
    books: PriceBooks
    reader: CallerDependency
    admin: CallerDependency
    now: Callable[[], datetime]


def make_router(
    registry: Registry,
    books: PriceBooks,
    caller: Callable[[Permission], Callable[..., Any]],
    now: Callable[[], datetime] = clock.now,
) -> APIRouter:
    """The endpoints; `caller(scope)` is a FastAPI dependency that gives the `Caller` or refuses it."""
    router = APIRouter(prefix="/api/v1", tags=["billing"])
    desk = _Desk(
        registry,
        books,
        Depends(caller(Permission.SERVICES_READ)),
        Depends(caller(Permission.SERVICES_WRITE)),
        now,
    )
    _add_trial(router, desk)
    _add_reads(router, desk)
    _add_changes(router, desk)
    return router


def _add_trial(router: APIRouter, desk: _Desk) -> None:
    @router.post("/billing-rules/try")
    async def try_billing_rule(
        request: Request, body: TrialBody, caller: Caller = desk.reader
    ) -> TrialAnswer:
        """What an event would cost by a rule, or by those in force; nothing is kept."""
        del body
        exact = exact_body(TrialBody, await request.body())
        return await run_in_threadpool(_try, desk, exact, caller)


def _try(desk: _Desk, trial: TrialBody, caller: Caller) -> TrialAnswer:
    now, event = desk.now(), dict(trial.event)
    prices = desk.books.of(caller.tenant_id)
    find_service = finder_of(desk.registry, caller.tenant_id)
    if trial.rule is not None:
        rule = trial.rule.rule(TRIED, now, caller.key_id)
        prices = prices.with_rules(RuleBook.of([rule]))
        event.setdefault("service_type", rule.service_type)
    return TrialAnswer(event=check_all([translate_item(event, find_service)], prices, find_service, now)[0])


def _add_reads(router: APIRouter, desk: _Desk) -> None:
    @router.get("/billing-rules")
    def list_billing_rules(  # noqa: PLR0913 - one parameter a filter
        service_type: Asked = None,
        provider: Asked = None,
        model: Asked = None,
        at: Annotated[AwareDatetime | None, Query(description="Only those in force then.")] = None,
        *,
        withdrawn: Annotated[bool, Query(description="Withdrawn ones as well.")] = False,
        caller: Caller = desk.reader,
    ) -> RulesOut:
        """The tenant's billing rules in the order of recording, without those in registrations."""
        asked = {"service_type": service_type, "provider": provider, "model": model}

        def is_asked_for(recorded: RecordedRule) -> bool:
            rule = recorded.rule
            fits = all(value in {None, getattr(rule, name)} for name, value in asked.items())
            return fits and (withdrawn or recorded.withdrawn_at is None) and (at is None or rule.holds_at(at))

        found = desk.registry.rules_of(caller.tenant_id)
        return RulesOut(items=[RuleOut.of(one) for one in found if is_asked_for(one)])

    @router.get(ONE)
    def get_billing_rule(rule_id: RuleId, caller: Caller = desk.reader) -> RuleOut:
        """One billing rule, withdrawn ones too."""
        return RuleOut.of(desk.registry.rule(caller.tenant_id, rule_id))


def _add_changes(router: APIRouter, desk: _Desk) -> None:
    @router.post("/billing-rules", status_code=HTTPStatus.CREATED)
    async def add_billing_rule(request: Request, body: RuleIn, caller: Caller = desk.admin) -> RuleOut:
        """Record a billing rule: it counts at once, for events of its time."""
        exact = exact_body(RuleIn, await request.body())
        by = Author(caller.tenant_for(body.tenant_id), caller.key_id, desk.now())
        rule = exact.rule(ids.make_id("rul"), by.now, by.key_id)
        made = await run_in_threadpool(desk.registry.add_rule, rule, by)
        log.info("a billing rule was recorded", tenant=by.tenant_id, key=by.key_id, rule=rule.id)
        return RuleOut.of(made)

    @router.delete(ONE)
    def withdraw_billing_rule(rule_id: RuleId, caller: Caller = desk.admin) -> RuleOut:
        """Let a rule count no more, whatever an event's time; what it has rated keeps its cost."""
        by = Author(caller.tenant_id, caller.key_id, desk.now())
        note_before(RuleOut.of(desk.registry.rule(by.tenant_id, rule_id)).model_dump(mode="json"))
        made = desk.registry.withdraw_rule(rule_id, by)
        log.info("a billing rule was withdrawn", tenant=by.tenant_id, key=by.key_id, rule=rule_id)
        return RuleOut.of(made)
