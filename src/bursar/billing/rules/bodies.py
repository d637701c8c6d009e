"""What clients send to and get from `/api/v1/billing-rules`: rules, and events to try them with."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from bursar.billing.charge_bodies import BillingIn
from bursar.billing.charge_reading import Billing, read_billing, shown_billing
from bursar.billing.services.bodies import ServiceType  # noqa: TC001 - pydantic reads it
from bursar.described import describe_fields
from bursar.identity.bodies import Strict
from bursar.pricing.rules.rule import BillingRule
from bursar.usage.cost_check import Check

if TYPE_CHECKING:
    from bursar.billing.registered import RecordedRule

Scoped = Annotated[str, Field(min_length=1, max_length=256)]


class RuleIn(BillingIn):
    """A billing rule to record."""

    service_type: ServiceType
    provider: Scoped | None = Field(
        default=None,
        validation_alias=AliasChoices("provider", "service_provider"),
        description="Only for this provider; for all if absent.",
    )
    model: Scoped | None = Field(
        default=None,
        validation_alias=AliasChoices("model", "model_or_tier"),
        description="Only for this model; for all if absent.",
    )
    tenant_id: str | None = Field(default=None, description="The credential's own; an operator may name any.")

    def rule(self, rule_id: str, recorded_at: datetime, recorded_by: str) -> BillingRule:
        """The same as a value.

        Raises:
            Invalid: with every reason why it can't be.
        """
        billing = read_billing(self)
        return BillingRule(
            id=rule_id,
            service_type=self.service_type,
            provider=self.provider,
            model=self.model,
            currency=billing.currency,
            charge=billing.charge,
            minimum_charge=billing.minimum_charge,
            valid_from=billing.valid_from,
            valid_to=billing.valid_to,
            recorded_at=recorded_at,
            recorded_by=recorded_by,
        )


class TrialBody(Strict):
    """An event, and a rule that needn't be recorded."""

    event: dict[str, Any] = Field(description="As for POST /api/v1/events; nothing of it is kept.")
    rule: RuleIn | None = Field(default=None, description="Instead of the tenant's own rules, if given.")


class RuleOut(BaseModel):
    """A billing rule, and whether it still counts."""

    model_config = ConfigDict(frozen=True, json_schema_extra=describe_fields)

    id: str
    service_type: str
    provider: str | None
    model: str | None
    billing: dict[str, Any]
    """What it charges, as it can be sent again beside `service_type`; decimals are strings."""
    currency: str
    valid_from: datetime | None
    valid_to: datetime | None
    recorded_at: datetime
    recorded_by: str
    """The key that recorded it."""
    withdrawn_at: datetime | None
    withdrawn_by: str | None

    @classmethod
    def of(cls, recorded: RecordedRule) -> RuleOut:
        """A recorded rule as it is shown."""
        rule = recorded.rule
        return cls(
            id=rule.id,
            service_type=rule.service_type,
            provider=rule.provider,
            model=rule.model,
            billing=shown_billing(
                Billing(
                    currency=rule.currency,
                    charge=rule.charge,
                    minimum_charge=rule.minimum_charge,
                    valid_from=rule.valid_from,
                    valid_to=rule.valid_to,
                )
            ),
            currency=rule.currency,
            valid_from=rule.valid_from,
            valid_to=rule.valid_to,
            recorded_at=rule.recorded_at,
            recorded_by=rule.recorded_by,
            withdrawn_at=recorded.withdrawn_at,
            withdrawn_by=recorded.withdrawn_by,
        )


class RulesOut(BaseModel):
    """Billing rules in the order in which they were recorded."""

    items: list[RuleOut]
    next_cursor: str | None = Field(default=None, description="Always null: a list is whole.")


class TrialAnswer(BaseModel):
    """What an event would cost."""

    event: Check
