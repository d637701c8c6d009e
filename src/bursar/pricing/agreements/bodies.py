"""What clients send to the endpoints of overrides, aliases and billing settings; `answers.py` has the rest.

Bodies are strict: a field that isn't known is refused by name. What can't be agreed on is told in
`faults.py`, all of it at once.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from bursar.identity.bodies import PLAIN_TEXT, Moment, Strict
from bursar.identity.tenant import NAME_PATTERN
from bursar.pricing.agreements.override import (
    AgreedPrice,
    AliasSaid,
    Override,
    OverrideKind,
    agreed_price,
)
from bursar.pricing.choices import DAYS_LIMIT, PricingChoices
from bursar.pricing.match import plain_provider
from bursar.pricing.rows import TOKENS_LIMIT, USD

PROVIDERS_LIMIT = 100
NOTE_LIMIT = 500

Provider = Annotated[str, Field(max_length=128, pattern=NAME_PATTERN)]
Model = Annotated[str, Field(max_length=256, pattern=NAME_PATTERN)]
ProjectId = Annotated[str, Field(max_length=256, pattern=NAME_PATTERN)]
Note = Annotated[str, Field(max_length=NOTE_LIMIT, pattern=PLAIN_TEXT)]
UnitName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", examples=["EUR"])]
Tokens = Annotated[int, Field(ge=0, le=TOKENS_LIMIT)]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Hours = Annotated[
    str,
    Field(
        pattern=r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$",
        examples=["16:30-00:30"],
        description="Only calls between these times of the UTC day; they may run over midnight.",
    ),
]


class PriceIn(Strict):
    """A price for so many of a unit."""

    price: Decimal
    per: int | None = Field(
        default=None, description="As price pages quote the unit if absent: 1,000,000 tokens, 3,600 seconds."
    )
    minimum: Decimal | None = Field(default=None, description="The least quantity billed, in whole units.")
    custom: bool = Field(default=False, description="A unit of one's own, which the price book doesn't know.")


class OverrideIn(Strict):
    """What was agreed: prices, or a change of all prices that the patterns fit."""

    kind: OverrideKind
    provider: Provider | None = Field(default=None, description="In any spelling that events may use.")
    model: Model | None = Field(
        default=None, description="`*` stands for any text; the name called, or the entry of the book."
    )
    project_id: ProjectId | None = Field(default=None, description="Only usage of this project.")
    valid_from: Moment
    valid_to: Moment | None = Field(default=None, description="The first moment at which it holds no longer.")
    currency: Currency = USD
    prices: dict[UnitName, Decimal | PriceIn] = Field(
        default_factory=dict[str, "Decimal | PriceIn"],
        description="Of a contract: by unit, such as `input_tokens`, `output_tokens`, `cache_read_tokens`.",
        examples=[{"input_tokens": "1.10", "output_tokens": "8.80"}],
    )
    percent: Decimal | None = Field(default=None, description="Of a discount (up to 100) or markup.")
    factor: Decimal | None = Field(default=None, description="Of a multiplier.")
    amount: Decimal | None = Field(default=None, description="Of a fee: for each request.")
    service_tier: Annotated[str, Field(max_length=128, pattern=NAME_PATTERN)] | None = None
    batch: bool = False
    speed: Annotated[str, Field(max_length=128, pattern=NAME_PATTERN)] | None = None
    region: Annotated[str, Field(max_length=128, pattern=NAME_PATTERN)] | None = None
    context_over: Tokens | None = Field(default=None, description="Only prompts of more tokens.")
    context_upto: Tokens | None = Field(default=None, description="Only prompts of up to so many tokens.")
    hours: Hours | None = None
    weekdays: list[Weekday] | None = Field(default=None, description="Only these days, in UTC.")
    note: Note = ""

    def said(self) -> Override:
        """The override as it is checked and kept."""
        return Override(
            kind=self.kind,
            project_id=self.project_id,
            provider=self.provider,
            model=self.model,
            valid_from=self.valid_from,
            valid_to=self.valid_to,
            currency=self.currency,
            prices=tuple(_price_of(unit, price) for unit, price in sorted(self.prices.items())),
            percent=self.percent,
            factor=self.factor,
            amount=self.amount,
            service_tier=self.service_tier,
            batch=self.batch,
            speed=self.speed,
            region=self.region,
            context_over=self.context_over,
            context_upto=self.context_upto,
            hours=None if self.hours is None else _seconds_of(self.hours),
            weekdays=None if self.weekdays is None else tuple(sorted(map(WEEKDAYS.index, self.weekdays))),
            note=self.note,
        )


class NewAlias(Strict):
    """A name of one's own for a model: a deployment, a fine-tune, an inference profile."""

    alias: Model = Field(description="The name as calls give it, in any case.")
    to_model: Model = Field(description="The model that it stands for, by any of its names.")
    to_provider: Provider | None = Field(default=None, description="The one that the call names if absent.")
    provider: Provider | None = Field(default=None, description="Only calls that name this provider.")
    project_id: ProjectId | None = None
    valid_from: Moment | None = None
    valid_to: Moment | None = None
    note: Note = ""

    def said(self) -> AliasSaid:
        """The alias as it is checked and kept."""
        return AliasSaid(**self.model_dump())


class SettingsIn(Strict):
    """What a tenant chooses; null and absent leave it to the default."""

    reporting_currency: Currency | None = None
    exchange_rate_days: Annotated[int, Field(ge=0, le=DAYS_LIMIT)] | None = None
    trusted_providers: Annotated[list[Provider], Field(max_length=PROVIDERS_LIMIT)] = Field(
        default_factory=list[str]
    )

    def choices(self) -> PricingChoices:
        """The choices as they are kept."""
        trusted = frozenset(map(plain_provider, self.trusted_providers))
        return PricingChoices(self.reporting_currency, self.exchange_rate_days, trusted)


def _price_of(unit: str, said: Decimal | PriceIn) -> AgreedPrice:
    if isinstance(said, Decimal):
        return agreed_price(unit, said)
    return agreed_price(unit, said.price, said.per, said.minimum, is_custom=said.custom)


def _seconds_of(hours: str) -> tuple[int, int]:
    start, end = (int(text[:2]) * 3600 + int(text[3:]) * 60 for text in hours.split("-"))
    return start, end
