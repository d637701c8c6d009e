"""The gate: whether a tenant's hard quotas have room for events that are about to be journaled.

As long as there is room for certain, asking takes no more than a look into a dict and a subtraction. Near the
limit, and whenever a month wasn't counted lately, somebody takes a turn of the tenant: the ledger is
counted, and if that doesn't settle it, what is on its way is waited for, so that it is known exactly what is
left and which events are repeats, for these take no room. Then the body's events are let in, in their order,
until nothing is left; the others are refused by name. Use from one event loop.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from bursar import clock
from bursar.errors import Unavailable
from bursar.identity.permissions import Permission
from bursar.usage.quotas.arrivals import arrivals_in, picos_of, sum_up, take_out
from bursar.usage.quotas.quota import Enforcement, Exceeded, Measure, month_of
from bursar.usage.quotas.room import Limited, Wanted

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Generator, Iterable, Mapping, Sequence

    from bursar.identity.caller import Caller
    from bursar.usage.intake import Intake
    from bursar.usage.quotas.arrivals import Arrival
    from bursar.usage.quotas.quota import Month, MonthUse, Quota
    from bursar.usage.quotas.room import Hold
    from bursar.usage.record import UnnumberedLines, UsageLine

SETTLE_SECONDS = 5.0
"""How long an event near the limit waits for those before it to be applied, which takes 0.5 s at most."""
COUNT_AGAIN_SECONDS = 1.0
"""A tenant with nothing left is counted no oftener: whoever goes on sending costs next to nothing."""
_WAIT_STEP_SECONDS = 0.5
_NOBODY: Mapping[str, Limited] = {}


class Ledger(Protocol):
    """What the gate needs to know of what was recorded."""

    def count(self, tenant_id: str, months: Sequence[Month]) -> tuple[int, dict[Month, MonthUse]]:
        """What is recorded of a tenant's months, and up to which position of the journal. From a thread."""
        ...

    def seen(self, ids: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
        """Those of these events (tenant, id) that were recorded before. From a thread."""
        ...

    def wait_applied(self, seq: int, timeout_seconds: float) -> bool:
        """Wait in a thread until everything up to a position counts; False where it takes longer."""
        ...

    def last_seq(self) -> int:
        """The last position that holds a record, or may come to hold one."""
        ...


@dataclass(slots=True)
class Entry:
    """What came of a body at the gate."""

    holds: list[Hold] = field(default_factory=list["Hold"])
    exceeded: Exceeded | None = None
    """The first quota that had no room left for an event."""

    def place(self, last_seq: int) -> None:
        """Its records have their places in the journal, up to this one."""
        for hold in self.holds:
            hold.last_seq = last_seq

    def give_back(self) -> None:
        """Its records were not kept."""
        for hold in self.holds:
            hold.give_back()


class QuotaGate:
    """Lets events in while there is room for them."""

    def __init__(self, ledger: Ledger) -> None:
        """Nobody has quotas yet."""
        self._ledger = ledger
        self.limited: dict[str, Limited] = {}
        """Tenants with hard quotas; only for looking one up."""
        self.refused = 0
        """Events that were refused; read by metrics."""

    def replace(self, quotas: Iterable[Quota]) -> None:
        """Ask these from now on; safe from any thread."""
        hard: dict[str, list[Quota]] = {}
        for quota in quotas:
            if quota.enforcement is Enforcement.HARD:
                hard.setdefault(quota.tenant_id, []).append(quota)
        before = self.limited
        after: dict[str, Limited] = {}
        for tenant_id, its in hard.items():
            known = before.get(tenant_id)
            if known is None:
                after[tenant_id] = Limited(its)
            else:
                after[tenant_id] = known if known.quotas == its else known.with_quotas(its)
        self.limited = after

    def among(self, tenants: Collection[str]) -> Mapping[str, Limited]:
        """Those of these tenants that have hard quotas."""
        limited = self.limited
        if not limited:
            return _NOBODY
        return {one: limited[one] for one in tenants if one in limited}

    def take_one(self, record: UsageLine) -> Hold | None:
        """Hold room for one record, of a tenant with quotas; None where it takes a closer look."""
        limited = self.limited.get(record.tenant_id)
        if limited is None or limited.is_closed:
            return None
        month = month_of(record.time)
        room = limited.rooms.get(month)
        wanted = Wanted(1, picos_of(record, limited))
        return None if room is None or not room.takes(wanted) else limited.hold(month, wanted)

    @asynccontextmanager
    async def letting_in(
        self, intake: Intake, lines: list[UnnumberedLines], limited: Mapping[str, Limited]
    ) -> AsyncGenerator[Entry]:
        """Hold room for a body's records; those without it become rejections.

        What is left is to be journaled before the block is left, without waiting for anything.

        Raises:
            Unavailable: it can't be found out how much is left.
        """
        needs = None if lines else sum_up(intake.records, limited)
        if needs is None:
            arriving = await asyncio.to_thread(lambda: list(arrivals_in((), lines)))
            needs = sum_up([*arriving, *intake.records], limited)
        holds = _hold_all(needs, limited)
        if holds is not None:
            with _kept(Entry(holds)) as entry:
                yield entry
            return
        async with AsyncExitStack() as turns:
            await _take_turns(turns, limited)
            # The quotas may have been changed while this waited for its turn.
            limited = self.among(limited.keys())
            with _kept(await self._look_closely(intake, lines, limited)) as entry:
                yield entry

    async def renew(self) -> None:
        """Count again where something was let in since the last time, so that little is held."""
        for tenant_id, limited in list(self.limited.items()):
            months = tuple({one.month for one in limited.holds})
            if months:
                await self._count(tenant_id, limited, months)
            elif not limited.is_closed:
                # Voids give room back and later ratings take some: what nobody asks for isn't kept.
                limited.rooms.clear()

    async def _look_closely(
        self, intake: Intake, lines: list[UnnumberedLines], limited: Mapping[str, Limited]
    ) -> Entry:
        arriving = await asyncio.to_thread(lambda: list(arrivals_in(intake.records, lines)))
        needs = sum_up(arriving, limited)
        months: dict[str, set[Month]] = {}
        for tenant_id, month in needs:
            months.setdefault(tenant_id, set()).add(month)
        for tenant_id, its in months.items():
            await self._learn(tenant_id, limited[tenant_id], its)
        holds = _hold_all(needs, limited, in_turn=True)
        if holds is not None:
            return Entry(holds)
        ids = [(one.tenant_id, one.id) for one in arriving]
        seen: set[tuple[str, str]] | None = None
        # What is known of a month may be dropped while this waits.
        while seen is None or not all(month in limited[one].rooms for one, month in needs):
            for tenant_id, its in months.items():
                await self._settle(tenant_id, limited[tenant_id], its)
            seen = await asyncio.to_thread(self._ledger.seen, ids)
        entry, refused = _let_in(arriving, limited, seen, intake.receipt.caller)
        if refused:
            self.refused += len(refused)
            reasons = {place: exceeded.reason() for place, exceeded in refused.items()}
            take_out(intake, lines, arriving, reasons)
        return entry

    async def _learn(self, tenant_id: str, limited: Limited, months: Collection[Month]) -> None:
        """Count months, unless they were just now."""
        is_known = all(month in limited.rooms for month in months)
        is_fresh = clock.monotonic() - limited.counted_at < COUNT_AGAIN_SECONDS
        if not (is_known and is_fresh and not limited.holds):
            await self._count(tenant_id, limited, tuple(months))

    async def _settle(self, tenant_id: str, limited: Limited, months: Collection[Month]) -> None:
        """Wait until nothing of the tenant is on its way, and count.

        Raises:
            Unavailable: that takes too long.
        """
        give_up_at = clock.monotonic() + SETTLE_SECONDS
        while limited.holds or not all(month in limited.rooms for month in months):
            if clock.monotonic() > give_up_at:
                message = "How much of the quota is left can't be told yet; nothing was accepted."
                raise Unavailable(message)
            reach = max([limited.since_seq or 0, *(one.last_seq for one in limited.holds)])
            # What was never kept can't be waited for.
            reach = min(reach, self._ledger.last_seq())
            await asyncio.to_thread(self._ledger.wait_applied, reach, _WAIT_STEP_SECONDS)
            await self._count(tenant_id, limited, tuple(months))

    async def _count(self, tenant_id: str, limited: Limited, months: Sequence[Month]) -> None:
        last_seq = self._ledger.last_seq()
        if limited.since_seq is None or limited.since_seq > last_seq:
            limited.since_seq = last_seq
        counted_at = clock.monotonic()
        applied_seq, uses = await asyncio.to_thread(self._ledger.count, tenant_id, months)
        limited.learn(applied_seq, uses)
        limited.counted_at = counted_at


@contextmanager
def _kept(entry: Entry) -> Generator[Entry]:
    """Whatever goes wrong before its records have their places gives the room back."""
    try:
        yield entry
    except BaseException:
        entry.give_back()
        raise


async def _take_turns(turns: AsyncExitStack, limited: Mapping[str, Limited]) -> None:
    try:
        async with asyncio.timeout(SETTLE_SECONDS):
            for tenant_id in sorted(limited):
                await turns.enter_async_context(limited[tenant_id].turn)
    except TimeoutError:
        message = "Too many events wait to hear how much of the quota is left; nothing was accepted."
        raise Unavailable(message) from None


def _hold_all(
    needs: Mapping[tuple[str, Month], Wanted], limited: Mapping[str, Limited], *, in_turn: bool = False
) -> list[Hold] | None:
    """Room for all of it, or None where that isn't certain."""
    for (tenant_id, month), wanted in needs.items():
        one = limited[tenant_id]
        room = one.rooms.get(month)
        if room is None or (one.is_closed and not in_turn) or not room.takes(wanted):
            return None
    return [limited[tenant_id].hold(month, wanted) for (tenant_id, month), wanted in needs.items()]


def _let_in(
    arriving: Sequence[Arrival],
    limited: Mapping[str, Limited],
    seen: Collection[tuple[str, str]],
    caller: Caller,
) -> tuple[Entry, dict[int, Exceeded]]:
    """Take room for each event that isn't a repeat, in order; those that have none, by their place."""
    entry, refused, known = Entry(), dict[int, Exceeded](), set(seen)
    for place, one in enumerate(arriving):
        of = limited.get(one.tenant_id)
        if of is None or (one.tenant_id, one.id) in known:
            continue
        month = month_of(one.time)
        exceeded = of.rooms[month].exceeded(month)
        if exceeded is not None:
            is_cost = exceeded.quota.measure is Measure.COST
            exceeded = replace(exceeded, names_amounts=not is_cost or caller.may(Permission.COST_READ))
            refused[place] = exceeded
            entry.exceeded = entry.exceeded or exceeded
            continue
        known.add((one.tenant_id, one.id))
        entry.holds.append(of.hold(month, Wanted(1, picos_of(one, of))))
    return entry, refused
