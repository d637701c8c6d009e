"""Finding out what is left: the ledger is counted, and what is on its way there is waited for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from bursar import clock
from bursar.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from bursar.usage.quotas.quota import Month, MonthUse
    from bursar.usage.quotas.room import Limited
    from bursar.usage.whose import Whose

    MonthsOf = Mapping[Limited, Collection[Month]]
    """The months that are asked about, of tenants and projects."""

SETTLE_SECONDS = 5.0
"""How long an event near the limit waits for those before it to be applied, which takes 0.5 s at most."""
COUNT_AGAIN_SECONDS = 1.0
"""What has nothing left is counted no oftener: whoever goes on sending costs next to nothing."""
_WAIT_STEP_SECONDS = 0.5


class Ledger(Protocol):
    """What the gate needs to know of what was recorded."""

    def count(
        self, whose: Collection[Whose], months: Collection[Month]
    ) -> tuple[int, Mapping[tuple[Whose, Month], MonthUse]]:
        """What is recorded of these months, and up to which position of the journal. From a thread."""
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


async def count(ledger: Ledger, asked: MonthsOf) -> None:
    """Learn what is left of these months, all by one count of the ledger."""
    if not asked:
        return
    last_seq = ledger.last_seq()
    for one in asked:
        if one.since_seq is None or one.since_seq > last_seq:
            one.since_seq = last_seq
    counted_at = clock.monotonic()
    every = {month for months in asked.values() for month in months}
    applied_seq, uses = await asyncio.to_thread(ledger.count, [one.whose for one in asked], every)
    for one, months in asked.items():
        one.learn(applied_seq, {month: uses[one.whose, month] for month in months})
        one.counted_at = counted_at


async def learn(ledger: Ledger, asked: MonthsOf) -> None:
    """Count months, but those that were just now."""

    def is_known(one: Limited, months: Collection[Month]) -> bool:
        is_fresh = clock.monotonic() - one.counted_at < COUNT_AGAIN_SECONDS
        return is_fresh and not one.holds and all(month in one.rooms for month in months)

    await count(ledger, {one: months for one, months in asked.items() if not is_known(one, months)})


async def settle(ledger: Ledger, asked: MonthsOf) -> None:
    """Wait until nothing is on its way, and count.

    Raises:
        Unavailable: that takes too long.
    """
    give_up_at = clock.monotonic() + SETTLE_SECONDS
    while waiting := {one: months for one, months in asked.items() if not is_settled(one, months)}:
        if clock.monotonic() > give_up_at:
            message = "How much of the quota is left can't be told yet; nothing was accepted."
            raise Unavailable(message)
        reach = max(
            seq for one in waiting for seq in (one.since_seq or 0, *(it.last_seq for it in one.holds))
        )
        # What was never kept can't be waited for.
        reach = min(reach, ledger.last_seq())
        await asyncio.to_thread(ledger.wait_applied, reach, _WAIT_STEP_SECONDS)
        await count(ledger, waiting)


def is_settled(limited: Limited, months: Collection[Month]) -> bool:
    """Whether nothing is on its way, and what is left of these months is known."""
    return not limited.holds and all(month in limited.rooms for month in months)
