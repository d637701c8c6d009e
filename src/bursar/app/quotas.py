"""Quotas put together: what is kept of them, what the ledger counts, and the gate at the door."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bursar.storage.duckdb.months import months_used
from bursar.storage.relational.allowances import KEPT_QUOTAS, RelationalAllowances
from bursar.usage.applying import event_key
from bursar.usage.quotas.gate import QuotaGate
from bursar.usage.quotas.register import QuotaRegister

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from bursar.app.applier import Applier
    from bursar.app.usage_stores import UsageStores
    from bursar.storage.journal.writer import JournalWriter
    from bursar.storage.relational.engine import StateEngine
    from bursar.usage.quotas.quota import Month, MonthUse
    from bursar.usage.whose import Whose


@dataclass(frozen=True, slots=True)
class RecordedMonths:
    """What was recorded, as quotas ask for it: implements `Ledger` and `CountsMonths`."""

    stores: UsageStores
    journal: JournalWriter
    applier: Applier

    def uses(
        self, whose: Collection[Whose], months: Collection[Month]
    ) -> Mapping[tuple[Whose, Month], MonthUse]:
        """See `CountsMonths.uses`."""
        return self.count(whose, months)[1]

    def count(
        self, whose: Collection[Whose], months: Collection[Month]
    ) -> tuple[int, Mapping[tuple[Whose, Month], MonthUse]]:
        """See `Ledger.count`."""
        if not whose:
            return 0, {}
        cursor = self.stores.cursor()
        try:
            return months_used(cursor, whose, months)
        finally:
            cursor.close()

    def seen(self, ids: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
        """See `Ledger.seen`."""
        by_key = {event_key(*one): one for one in ids}
        return {by_key[key] for key in self.stores.index.find_all(list(by_key))}

    def wait_applied(self, seq: int, timeout_seconds: float) -> bool:
        """See `Ledger.wait_applied`."""
        return self.applier.wait_applied(seq, timeout_seconds)

    def last_seq(self) -> int:
        """See `Ledger.last_seq`."""
        return self.journal.last_seq


@dataclass(frozen=True, slots=True)
class Quotas:
    """Everything about quotas."""

    register: QuotaRegister
    gate: QuotaGate

    async def keep_fresh(self, now: datetime) -> None:
        """Learn what was changed elsewhere, and count what was let in lately.

        Raises:
            Unavailable: a store doesn't answer.
        """
        await asyncio.to_thread(self.register.quotas.refresh)
        await asyncio.to_thread(self.register.look, now)
        await self.gate.renew()


def open_quotas(engine: StateEngine, stores: UsageStores, journal: JournalWriter, applier: Applier) -> Quotas:
    """Quotas from the state store, counted from the ledger.

    Raises:
        Unavailable: a store doesn't answer.
    """
    months = RecordedMonths(stores, journal, applier)
    gate = QuotaGate(months)
    return Quotas(QuotaRegister(RelationalAllowances(engine, KEPT_QUOTAS), months, gate), gate)
