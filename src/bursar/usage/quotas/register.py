"""Which quotas there are, and how far they are used: for the doors, for answers, for the log."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Protocol

import structlog

from bursar import clock
from bursar.identity.allowances import Allowances
from bursar.usage.quotas.quota import Exceeded, month_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from bursar.identity.allowances import AllowanceStore
    from bursar.usage.quotas.gate import QuotaGate
    from bursar.usage.quotas.quota import KeptQuota, Measure, Month, MonthUse

LOOK_EVERY_SECONDS = 30.0
"""How often it is looked which quotas were reached, for log and metrics: one query for all tenants."""

log = structlog.get_logger()


class CountsMonths(Protocol):
    """Knows what is recorded."""

    def uses(self, tenants: Collection[str], months: Sequence[Month]) -> Mapping[tuple[str, Month], MonthUse]:
        """What is recorded of these tenants' months. From a thread."""
        ...


class QuotaRegister:
    """Knows every tenant's quotas; safe to call from any thread."""

    def __init__(self, store: AllowanceStore[KeptQuota], counts: CountsMonths, gate: QuotaGate) -> None:
        """Read what `store` keeps, and tell the gate."""
        self._counts = counts
        self._gate = gate
        self._look_at = 0.0
        self._told: set[tuple[str, Measure, Month]] = set()
        self.standing: Mapping[str, int] = {"within": 0, "exceeded": 0}
        """How many quotas of all tenants have something left this month, and how many have not."""
        self.quotas = Allowances(store, self._hear)

    def use_of(self, tenant_id: str, month: Month) -> MonthUse:
        """What is recorded of a tenant's month."""
        return self._counts.uses((tenant_id,), (month,))[tenant_id, month]

    def look(self, now: datetime) -> None:
        """Log each quota once that was reached this month, if it is time to look."""
        if clock.monotonic() < self._look_at:
            return
        self._look_at = clock.monotonic() + LOOK_EVERY_SECONDS
        kept, month = self.quotas.known, month_of(clock.to_micros(now))
        tenants = {one.tenant_id for one in kept}
        uses = self._counts.uses(tenants, (month,))
        standing = Counter({"within": 0, "exceeded": 0})
        for one in kept:
            quota = one.quota
            used = uses[quota.tenant_id, month].of(quota)
            standing["exceeded" if used >= quota.limit else "within"] += 1
            place = (quota.tenant_id, quota.measure, month)
            if used < quota.limit:
                # It may be reached once more, after it was raised.
                self._told.discard(place)
            elif place not in self._told:
                self._told.add(place)
                log.warning(
                    "a quota is used up",
                    tenant=quota.tenant_id,
                    enforcement=quota.enforcement.value,
                    **Exceeded(quota, month, used).told(),
                )
        self._told = {one for one in self._told if one[2] == month}
        self.standing = standing

    def _hear(self, kept: Sequence[KeptQuota]) -> None:
        self._gate.replace(one.quota for one in kept)
        self._look_at = 0.0
