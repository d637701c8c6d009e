"""What is asked and answered about quotas, those of tenants and those of projects alike."""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bursar.described import describe_fields
from bursar.identity.bodies import Strict
from bursar.money import format_picos
from bursar.usage.quotas.quota import Enforcement, KeptQuota, Measure, MonthUse

_FOUR_PLACES = Decimal("0.0001")


class QuotaIn(Strict):
    """A quota for every month from now on, those that have begun among them."""

    limit: Annotated[
        str, Field(pattern=r"^[0-9]{1,18}(\.[0-9]{1,12})?$", examples=["1000000", "2500.00"])
    ] = Field(description="Events, or an amount of money, as a decimal string.")
    enforcement: Enforcement = Field(
        description="`hard` refuses new events at the limit, `soft` only tells that it was reached."
    )
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = Field(
        default=None,
        description="Of a cost; the tenant's reporting currency or else USD if absent. Costs in others"
        " don't count.",
    )


class QuotaOut(BaseModel):
    """A quota, and how much of it is used."""

    model_config = ConfigDict(frozen=True, json_schema_extra=describe_fields)

    measure: Measure
    limit: str
    """Decimal string: events, or an amount."""
    currency: str | None
    """Of a cost; null for events."""
    enforcement: Enforcement
    used: str
    """Decimal string: what is recorded of the month, as a query over it says."""
    left: str
    """0 where nothing is left."""
    share: str | None
    """Used by limit, to four places, rounded down; null where the limit is 0."""
    state: str
    """`within`, or `exceeded` once the limit is reached."""
    unpriced_events: int
    """Of the month: events whose cost isn't known, so that it can't count."""
    not_counted: dict[str, str]
    """Of a cost: what was spent in other currencies."""
    set_at: datetime

    @classmethod
    def of(cls, kept: KeptQuota, use: MonthUse) -> QuotaOut:
        """The quota as it is shown."""
        quota, used = kept.quota, use.of(kept.quota)
        is_cost = quota.measure is Measure.COST
        shown = format_picos if is_cost else str
        share = (Decimal(used) / quota.limit).quantize(_FOUR_PLACES, ROUND_DOWN) if quota.limit else None
        others = {name: format_picos(picos) for name, picos in use.picos.items() if name != quota.currency}
        return cls(
            measure=quota.measure,
            limit=shown(quota.limit),
            currency=quota.currency,
            enforcement=quota.enforcement,
            used=shown(used),
            left=shown(max(0, quota.limit - used)),
            share=None if share is None else str(share),
            state="exceeded" if used >= quota.limit else "within",
            unpriced_events=use.unpriced_events,
            not_counted=others if is_cost else {},
            set_at=kept.set_at,
        )


class QuotasOut(BaseModel):
    """The quotas on a month of a tenant or a project; one on cost is shown to whoever may see costs."""

    model_config = ConfigDict(frozen=True, json_schema_extra=describe_fields)

    tenant_id: str
    project_id: str | None
    """The one project that they are on; null: all of the tenant."""
    month: str
    resets_at: datetime
    """When the next month begins, in UTC."""
    items: list[QuotaOut]
    next_cursor: None = None
    """Always null: there is one page."""
