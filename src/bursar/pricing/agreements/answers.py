"""What the endpoints of overrides, aliases and billing settings answer: records with their trail.

What clients send is in `bodies.py`.
"""

from __future__ import annotations

import shlex
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from bursar.clock import rfc3339
from bursar.described import describe_fields
from bursar.money import format_decimal
from bursar.pricing.agreements.bodies import WEEKDAYS, Weekday
from bursar.pricing.agreements.override import AliasSaid, Override, OverrideKind
from bursar.pricing.exchange.bodies import WithdrawalOut
from bursar.pricing.week_words import clock_text

if TYPE_CHECKING:
    from decimal import Decimal

    from bursar.pricing.agreements.left_out import LeftOut
    from bursar.pricing.agreements.override import AgreedPrice
    from bursar.pricing.agreements.store import TermRecord
    from bursar.pricing.choices import PricingChoices


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, json_schema_extra=describe_fields)


class SettingsOut(_Answer):
    """How a tenant's costs are told."""

    tenant_id: str
    reporting_currency: str | None
    """Answers about costs also give a total in it; null where the tenant chose none."""
    exchange_rate_days: int
    """How many days old an exchange rate may be."""
    trusted_providers: list[str]
    """Providers whose own figure of a cost counts before the price book's."""

    @classmethod
    def of(cls, tenant_id: str, choices: PricingChoices) -> SettingsOut:
        """The choices as they are shown."""
        return cls(
            tenant_id=tenant_id,
            reporting_currency=choices.reporting_currency,
            exchange_rate_days=choices.rate_days,
            trusted_providers=sorted(choices.trusted_providers),
        )


class AgreedPriceOut(_Answer):
    """What so many of a unit cost."""

    price: str
    """Decimal string."""
    per: int
    minimum: str | None


class RecordedOut(_Answer):
    """What was recorded before and falls under it: its cost stays until it is re-priced."""

    events: int | None
    """How many; null where that isn't known."""
    advice: str


class WarningOut(_Answer):
    """Something that may not be meant."""

    code: str
    """`units_without_rate`: the list prices these units, and what was agreed on is in another currency."""
    message: str
    units: list[str]
    models: list[str]
    """As `provider/model`."""

    @classmethod
    def of(cls, left: LeftOut) -> WarningOut:
        """What is told of units without a rate."""
        return cls(
            code="units_without_rate",
            message=left.message,
            units=list(left.units),
            models=list(left.models),
        )


class OverrideOut(_Answer):
    """An override with its trail."""

    id: str
    kind: OverrideKind
    provider: str | None
    model: str | None
    project_id: str | None
    valid_from: datetime
    valid_to: datetime | None
    currency: str
    prices: dict[str, AgreedPriceOut]
    percent: str | None
    factor: str | None
    amount: str | None
    service_tier: str | None
    batch: bool
    speed: str | None
    region: str | None
    context_over: int | None
    context_upto: int | None
    hours: str | None
    weekdays: list[Weekday] | None
    note: str
    recorded_at: datetime
    created_by: str
    withdrawn: WithdrawalOut | None
    recorded: RecordedOut | None = None
    """Told when it is added or withdrawn."""
    warnings: list[WarningOut] = []
    """Told when it is added: units of known models that have no rate with it."""

    @classmethod
    def of(cls, record: TermRecord, recorded: RecordedOut | None = None) -> OverrideOut:
        """The record as it is shown."""
        said = Override.from_json(record.document)
        return cls(
            id=record.id,
            kind=said.kind,
            provider=said.provider,
            model=said.model,
            project_id=said.project_id,
            valid_from=said.valid_from,
            valid_to=said.valid_to,
            currency=said.currency,
            prices={price.unit: _shown_price(price) for price in said.prices},
            percent=_text(said.percent),
            factor=_text(said.factor),
            amount=_text(said.amount),
            service_tier=said.service_tier,
            batch=said.batch,
            speed=said.speed,
            region=said.region,
            context_over=said.context_over,
            context_upto=said.context_upto,
            hours=None if said.hours is None else "-".join(map(clock_text, said.hours)),
            weekdays=None if said.weekdays is None else [WEEKDAYS[day] for day in said.weekdays],
            note=said.note,
            recorded_at=record.recorded_at,
            created_by=record.created_by,
            withdrawn=WithdrawalOut.of(record.withdrawn),
            recorded=recorded,
        )


class OverridesOut(_Answer):
    """One page of overrides, in the order recorded."""

    items: list[OverrideOut]
    next_cursor: str | None


class AliasOut(_Answer):
    """An alias with its trail."""

    id: str
    alias: str
    to_model: str
    to_provider: str | None
    provider: str | None
    project_id: str | None
    valid_from: datetime | None
    valid_to: datetime | None
    note: str
    recorded_at: datetime
    created_by: str
    withdrawn: WithdrawalOut | None
    recorded: RecordedOut | None = None
    """Told when it is added or withdrawn."""

    @classmethod
    def of(cls, record: TermRecord, recorded: RecordedOut | None = None) -> AliasOut:
        """The record as it is shown."""
        said = AliasSaid.from_json(record.document)
        return cls(
            id=record.id,
            alias=said.alias,
            to_model=said.to_model,
            to_provider=said.to_provider,
            provider=said.provider,
            project_id=said.project_id,
            valid_from=said.valid_from,
            valid_to=said.valid_to,
            note=said.note,
            recorded_at=record.recorded_at,
            created_by=record.created_by,
            withdrawn=WithdrawalOut.of(record.withdrawn),
            recorded=recorded,
        )


class AliasesOut(_Answer):
    """One page of aliases, in the order recorded."""

    items: list[AliasOut]
    next_cursor: str | None


def recorded_advice(since: datetime | None, until: datetime | None, project_id: str | None) -> str:
    """How to re-price what was recorded before, in a sentence."""
    words = ["--window all"] if since is None and until is None else []
    words += [f"--from {rfc3339(since)}"] if since else []
    words += [f"--to {rfc3339(until)}"] if until else []
    words += [f"--filter {shlex.quote(f'project_id={project_id}')}"] if project_id else []
    return (
        "Usage recorded before keeps its cost until it is re-priced:"
        f" `bursar reprice {' '.join(words)} --dry-run` shows the difference."
    )


def _shown_price(price: AgreedPrice) -> AgreedPriceOut:
    return AgreedPriceOut(price=format_decimal(price.price), per=price.per, minimum=_text(price.minimum))


def _text(number: Decimal | None) -> str | None:
    return None if number is None else format_decimal(number)
