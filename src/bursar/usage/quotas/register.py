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
    from bursar.usage.whose import Whose

LOOK_EVERY_SECONDS = 30.0
"""How often it is looked which quotas were reached, for log and metrics: one query for all of them."""

log = structlog.get_logger()


class CountsMonths(Protocol):
    """Knows what is recorded."""

    def uses(
        self, whose: Collection[Whose], months: Collection[Month]
    ) -> Mapping[tuple[Whose, Month], MonthUse]:
        """What is recorded of these months of tenants and projects. From a thread."""
        ...


class QuotaRegister:
    """Knows the quotas of every tenant and project; safe to call from any thread."""

    def __init__(self, store: AllowanceStore[KeptQuota], counts: CountsMonths, gate: QuotaGate) -> None:
        """Read what `store` keeps, and tell the gate."""
        self._counts = counts
        self._gate = gate
        self._look_at = 0.0
        self._told: set[tuple[Whose, Measure, Month]] = set()
        self.standing: Mapping[str, int] = {"within": 0, "exceeded": 0}
        """How many of all quotas have something left this month, and how many have not."""
        self.quotas = Allowances(store, self._hear)

    def of(self, whose: Whose) -> list[KeptQuota]:
        """The quotas of a tenant itself, or of a project."""
        return [one for one in self.quotas.of(whose.tenant_id) if one.quota.whose == whose]

    def on(self, whose: Whose, measure: Measure) -> KeptQuota | None:
        """The one of these on a measure; None where there is none."""
        return self.quotas.on(whose.tenant_id, (whose.project_id, measure))

    def use_of(self, whose: Whose, month: Month) -> MonthUse:
        """What is recorded of a month."""
        return self._counts.uses((whose,), (month,))[whose, month]

    def look(self, now: datetime) -> None:
        """Log each quota once that was reached this month, if it is time to look."""
        if clock.monotonic() < self._look_at:
            return
        self._look_at = clock.monotonic() + LOOK_EVERY_SECONDS
        kept, month = self.quotas.known, month_of(clock.to_micros(now))
        uses = self._counts.uses({one.quota.whose for one in kept}, (month,))
        standing = Counter({"within": 0, "exceeded": 0})
        for one in kept:
            quota = one.quota
            used = uses[quota.whose, month].of(quota)
            standing["exceeded" if used >= quota.limit else "within"] += 1
            place = (quota.whose, quota.measure, month)
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
