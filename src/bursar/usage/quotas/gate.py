"""The gate: whether hard quotas have room for events that are about to be journaled.

An event needs room in its tenant's quotas and in those of its project. As long as there is room for certain,
asking takes no more than a look into a dict and a subtraction for each. Near a limit, and whenever a month
wasn't counted lately, the body is looked at more closely (`closer_look.py`): the ledger is counted, and if
that doesn't settle it, what is on its way is waited for, so that it is known exactly what is left and which
events are repeats, for these take no room. Then the body's events are let in, in their order, until nothing
is left; the others are refused by name. Use from one event loop.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from bursar.usage.quotas.arrivals import arrivals_in, limits_on, picos_of, sum_up
from bursar.usage.quotas.closer_look import CloserLook
from bursar.usage.quotas.entry import Entry, hold_all, unsure_of
from bursar.usage.quotas.quota import Enforcement, month_of
from bursar.usage.quotas.room import Limited, TenantLimits, Wanted
from bursar.usage.quotas.settling import count

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Generator, Iterable, Mapping

    from bursar.usage.intake import Intake
    from bursar.usage.quotas.quota import Month, Quota
    from bursar.usage.quotas.settling import Ledger
    from bursar.usage.record import UnnumberedLines, UsageLine

_NOBODY: Mapping[str, TenantLimits] = {}
_NO_LIMITS = TenantLimits(None, {})


class QuotaGate:
    """Lets events in while there is room for them."""

    def __init__(self, ledger: Ledger) -> None:
        """Nobody has quotas yet."""
        self._ledger = ledger
        self.limited: dict[str, TenantLimits] = {}
        """Tenants that have hard quotas, or projects with some; only for looking one up."""
        self.refused = 0
        """Events that were refused; read by metrics."""

    def replace(self, quotas: Iterable[Quota]) -> None:
        """Ask these from now on; safe from any thread."""
        hard: dict[str, dict[str | None, list[Quota]]] = {}
        for quota in quotas:
            if quota.enforcement is Enforcement.HARD:
                hard.setdefault(quota.tenant_id, {}).setdefault(quota.project_id, []).append(quota)
        before = self.limited
        self.limited = {
            tenant_id: _limits_by(its, before.get(tenant_id, _NO_LIMITS)) for tenant_id, its in hard.items()
        }

    def among(self, tenants: Collection[str]) -> Mapping[str, TenantLimits]:
        """Those of these tenants that have hard quotas, or projects with some."""
        limited = self.limited
        if not limited:
            return _NOBODY
        return {one: limited[one] for one in tenants if one in limited}

    def take_one(self, record: UsageLine) -> Entry | None:
        """Hold room for one record, of a tenant with quotas; None where it takes a closer look."""
        limits = self.limited.get(record.tenant_id)
        if limits is None:
            return None
        month, its = month_of(record.time), limits_on(record, limits)
        needs = {(one, month): Wanted(1, picos_of(record, one)) for one in its}
        return None if unsure_of(needs) else Entry(hold_all(needs))

    @asynccontextmanager
    async def letting_in(self, intake: Intake, lines: list[UnnumberedLines]) -> AsyncGenerator[Entry]:
        """Hold room for a body's records; those without it become rejections.

        What is left is to be journaled before the block is left, without waiting for anything.

        Raises:
            Unavailable: it can't be found out how much is left.
        """
        encoded = await asyncio.to_thread(lambda: list(arrivals_in((), lines))) if lines else []
        needs = sum_up([*encoded, *intake.records], self.among(intake.tenants))
        if not unsure_of(needs):
            with _kept(Entry(hold_all(needs))) as entry:
                yield entry
            return
        arriving = await asyncio.to_thread(lambda: list(arrivals_in(intake.records, lines)))
        look = CloserLook(self._ledger, self.among, intake, lines, arriving)
        async with AsyncExitStack() as turns:
            with _kept(await look.let_in(turns)) as entry:
                self.refused += entry.refused
                yield entry

    async def renew(self) -> None:
        """Count again where something was let in since the last time, so that little is held."""
        busy: dict[Limited, set[Month]] = {}
        for limits in self.limited.values():
            for one in (*limits.on(None), *limits.projects.values()):
                if one.holds:
                    busy[one] = {hold.month for hold in one.holds}
                elif not one.is_closed:
                    # Voids give room back and later ratings take some: what nobody asks for isn't kept.
                    one.rooms.clear()
        await count(self._ledger, busy)


def _limits_by(quotas: Mapping[str | None, list[Quota]], before: TenantLimits) -> TenantLimits:
    own = quotas.get(None)
    return TenantLimits(
        None if own is None else _limited_by(own, before.own),
        {
            project_id: _limited_by(its, before.projects.get(project_id))
            for project_id, its in quotas.items()
            if project_id is not None
        },
    )


def _limited_by(quotas: list[Quota], known: Limited | None) -> Limited:
    if known is None:
        return Limited(quotas)
    return known if known.quotas == quotas else known.with_quotas(quotas)


@contextmanager
def _kept(entry: Entry) -> Generator[Entry]:
    """Whatever goes wrong before its records have their places gives the room back."""
    try:
        yield entry
    except BaseException:
        entry.give_back()
        raise
