"""A closer look at a body that may not have room: it is found out exactly what is left, and for which events.

It takes turns. Whoever has the turn of a tenant or a project waits until nothing of it is on its way, so that
nobody else can take of what is left. Nothing is held while this waits, and only those are closed of which it
isn't certain that there is room for what the others let in, projects before their tenant: a project that has
nothing left keeps nobody waiting but its own events. Where one more has to be closed, all begins anew.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bursar import clock
from bursar.errors import Unavailable
from bursar.identity.permissions import Permission
from bursar.usage.quotas.arrivals import limits_on, picos_of, sum_up, take_out
from bursar.usage.quotas.entry import Entry, hold_all, unsure_of
from bursar.usage.quotas.quota import Measure, month_of
from bursar.usage.quotas.room import Wanted
from bursar.usage.quotas.settling import SETTLE_SECONDS, is_settled, learn, settle

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from contextlib import AsyncExitStack

    from bursar.identity.caller import Caller
    from bursar.usage.intake import Intake
    from bursar.usage.quotas.arrivals import Arrival
    from bursar.usage.quotas.quota import Exceeded, Month
    from bursar.usage.quotas.room import Limited, Room, TenantLimits
    from bursar.usage.quotas.settling import Ledger, MonthsOf
    from bursar.usage.record import UnnumberedLines
    from bursar.usage.whose import Whose

    Ids = Collection[tuple[str, str]]
    """Of events: tenant and id."""


@dataclass(slots=True)
class Plan:
    """Which events of a body are let in."""

    needs: dict[tuple[Limited, Month], Wanted] = field(
        default_factory=lambda: defaultdict[tuple["Limited", "Month"], Wanted](Wanted)
    )
    """Of those that are."""
    refused: dict[int, Exceeded] = field(default_factory=dict[int, "Exceeded"])
    """The quota that had nothing left for each of the others, by place."""


@dataclass(frozen=True, slots=True)
class CloserLook:
    """One body of which it isn't certain that all of it has room."""

    ledger: Ledger
    among: Callable[[Collection[str]], Mapping[str, TenantLimits]]
    """Those of some tenants that have hard quotas, as they are now."""
    intake: Intake
    lines: list[UnnumberedLines]
    arriving: Sequence[Arrival]
    """Everything in the body."""

    async def let_in(self, turns: AsyncExitStack) -> Entry:
        """Hold room for events, in their order; those without it become rejections.

        Nobody else takes of what was closed before `turns` are left.

        Raises:
            Unavailable: it can't be found out how much is left.
        """
        give_up_at = clock.monotonic() + SETTLE_SECONDS
        closed: set[Whose] = set()
        while True:
            limits = self._limits()
            held = [one for whose in closed if (one := _find(limits, whose))]
            await _take_turns(turns, held, give_up_at)
            found = await self._decide(held)
            if isinstance(found, Entry):
                return found
            closed |= found
            await turns.aclose()

    async def _decide(self, held: Sequence[Limited]) -> Entry | set[Whose]:
        """What came of the body, or what else has to be closed before that can be told."""
        asked = _months_of(sum_up(self.arriving, self._limits()), held)
        await learn(self.ledger, asked)
        needs = sum_up(self.arriving, self._limits())
        unsure = unsure_of(needs, held)
        if not unsure:
            return Entry(hold_all(needs))
        if unsure.isdisjoint(held):
            return _next_to_close(unsure)
        seen = await self._settle(asked)
        limits = self._limits()
        if any(_find(limits, one.whose) is not one for one in held):
            # Quotas were changed while this waited: it has the turn of what isn't asked any more.
            return set()
        plan = _plan(self.arriving, limits, seen, held)
        unsure = {one for one in unsure_of(plan.needs, held) if one not in held}
        return _next_to_close(unsure) if unsure else self._enter(plan)

    async def _settle(self, asked: MonthsOf) -> Ids:
        """Wait until nothing is on its way; the events that were recorded before."""
        ids = [(one.tenant_id, one.id) for one in self.arriving]
        seen: Ids | None = None
        # What is known of a month may be dropped while this waits.
        while seen is None or not all(is_settled(one, months) for one, months in asked.items()):
            await settle(self.ledger, asked)
            seen = await asyncio.to_thread(self.ledger.seen, ids)
        return seen

    def _enter(self, plan: Plan) -> Entry:
        entry = Entry(hold_all(plan.needs), refused=len(plan.refused))
        if plan.refused:
            caller = self.intake.receipt.caller
            told = {place: _told_to(caller, exceeded) for place, exceeded in plan.refused.items()}
            entry.exceeded = next(iter(told.values()))
            reasons = {place: exceeded.reason() for place, exceeded in told.items()}
            take_out(self.intake, self.lines, self.arriving, reasons)
        return entry

    def _limits(self) -> Mapping[str, TenantLimits]:
        return self.among(self.intake.tenants)


def _find(limits: Mapping[str, TenantLimits], whose: Whose) -> Limited | None:
    of = limits.get(whose.tenant_id)
    return None if of is None else of.of(whose)


def _months_of(needs: Iterable[tuple[Limited, Month]], held: Collection[Limited]) -> MonthsOf:
    months: dict[Limited, set[Month]] = {}
    for one, month in needs:
        if one in held:
            months.setdefault(one, set()).add(month)
    return months


def _next_to_close(unsure: Collection[Limited]) -> set[Whose]:
    """Projects first: when it is known what they let in, their tenant may have room for certain."""
    of_projects = {one.whose for one in unsure if one.whose.project_id is not None}
    return of_projects or {one.whose for one in unsure}


async def _take_turns(turns: AsyncExitStack, held: Iterable[Limited], give_up_at: float) -> None:
    """Wait for the turns of all of them, which everybody takes in one order: a tenant's is held least."""
    in_order = sorted(held, key=lambda one: _order(one.whose))
    try:
        async with asyncio.timeout(max(0.0, give_up_at - clock.monotonic())):
            for one in in_order:
                await turns.enter_async_context(one.turn)
    except TimeoutError:
        message = "Too many events wait to hear how much of the quota is left; nothing was accepted."
        raise Unavailable(message) from None


def _order(whose: Whose) -> tuple[str, bool, str]:
    return whose.tenant_id, whose.project_id is None, whose.project_id or ""


def _plan(
    arriving: Sequence[Arrival], limited: Mapping[str, TenantLimits], seen: Ids, held: Collection[Limited]
) -> Plan:
    """Which events have room where it is known exactly, in order; repeats need none."""
    plan, known = Plan(), set(seen)
    rooms: dict[tuple[Limited, Month], Room] = {}
    for place, one in enumerate(arriving):
        limits = limited.get(one.tenant_id)
        if limits is None or (one.tenant_id, one.id) in known:
            continue
        month, its = month_of(one.time), limits_on(one, limits)
        for of in its:
            if of in held and (of, month) not in rooms:
                rooms[of, month] = of.rooms[month].copy()
        asked = [rooms[of, month] for of in its if of in held]
        exceeded = next((found for room in asked if (found := room.exceeded(month))), None)
        if exceeded is not None:
            plan.refused[place] = exceeded
            continue
        known.add((one.tenant_id, one.id))
        for of in its:
            picos = picos_of(one, of)
            plan.needs[of, month].add(picos)
            if of in held:
                rooms[of, month].take(Wanted(1, picos))
    return plan


def _told_to(caller: Caller, exceeded: Exceeded) -> Exceeded:
    """What of it this caller is told."""
    quota = exceeded.quota
    is_told = quota.measure is not Measure.COST or caller.may_in(Permission.COST_READ, quota.project_id)
    return replace(exceeded, names_amounts=is_told)
