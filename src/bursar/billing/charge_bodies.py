"""Charges as people write them, in registrations and billing rules: one flat object with a `kind`.

The names that the replaced usage tracking system gave to the same things are understood. What goes together
is checked where they are read into values (`charge_reading.py`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AliasChoices, ConfigDict, Field

from bursar.identity.bodies import Moment, Strict
from bursar.money import AMOUNT_LIMIT_PICOS, PICOS_PER_UNIT
from bursar.units import QUANTITY_LIMIT

Kind = Literal[
    "multiply", "sum", "graduated", "volume", "package", "percentage", "flat", "expression", "custom"
]
LIST_LIMIT = 50
"""Tiers, rates or parts of one charge."""
NAME_PATTERN = r"^[A-Za-z_][A-Za-z0-9_.-]*$"

Price = Annotated[Decimal, Field(ge=0, le=AMOUNT_LIMIT_PICOS // PICOS_PER_UNIT, decimal_places=18)]
Amount = Annotated[Decimal, Field(ge=0, lt=AMOUNT_LIMIT_PICOS // PICOS_PER_UNIT, decimal_places=12)]
Quantity = Annotated[Decimal, Field(ge=0, le=QUANTITY_LIMIT, decimal_places=6)]
FieldName = Annotated[str, Field(pattern=NAME_PATTERN, max_length=64)]
RateName = Annotated[str, Field(min_length=1, max_length=64)]


class TierIn(Strict):
    """A stretch of quantities and its rate."""

    model_config = ConfigDict(populate_by_name=True)

    rate: Price = Field(description="For each unit in it.")
    up_to: Quantity | None = Field(
        default=None,
        validation_alias=AliasChoices("up_to", "to"),
        description="Included; absent in the last tier.",
    )
    begins: Quantity | None = Field(
        default=None, validation_alias="from", description="Where the tier before ends; may be left out."
    )


class TiersIn(Strict):
    """Tiers as the replaced system wraps them."""

    tiers: Annotated[list[TierIn], Field(min_length=1, max_length=LIST_LIMIT)]


class ChargeIn(Strict):
    """What is charged for an event."""

    model_config = ConfigDict(populate_by_name=True)

    kind: Kind = Field(default="multiply", validation_alias=AliasChoices("kind", "calculation_method"))
    unit: FieldName | None = Field(
        default=None,
        validation_alias=AliasChoices("unit", "billing_unit"),
        description="What is counted: `pages`, `tokens`, `minutes`, `requests`, …, or the service's field.",
    )
    units: Annotated[list[FieldName], Field(min_length=1, max_length=LIST_LIMIT)] | None = Field(
        default=None, description="Of kind `sum`: all of these are counted at the same rate."
    )
    rate: Price | None = Field(
        default=None,
        validation_alias=AliasChoices("rate", "rate_per_unit", "price", "percent", "amount"),
        description="For each unit; the price of a package, the percentage, the flat amount.",
    )
    rates: Annotated[dict[RateName, Price], Field(min_length=1, max_length=LIST_LIMIT)] | None = Field(
        default=None, description="Rates by name; events that name none have the one called `standard`."
    )
    rate_field: FieldName | None = Field(
        default=None, description="Which field of an event names its rate; `service_tier` if absent."
    )
    per: Annotated[int, Field(ge=1, le=QUANTITY_LIMIT)] = Field(
        default=1, description="The rate is for so many units."
    )
    size: Quantity | None = Field(
        default=None,
        validation_alias=AliasChoices("size", "package_size"),
        description="Of a package.",
    )
    tiers: Annotated[list[TierIn], Field(min_length=1, max_length=LIST_LIMIT)] | None = None
    tiered_rates: TiersIn | None = None
    free_units: Quantity | None = Field(default=None, description="So many of each event cost nothing.")
    expression: Annotated[str, Field(min_length=1, max_length=500)] | None = Field(
        default=None, validation_alias=AliasChoices("expression", "calculation_expression")
    )
    parts: Annotated[list[ChargeIn], Field(min_length=1, max_length=LIST_LIMIT)] | None = Field(
        default=None, description="Of kind `sum`."
    )


class BillingIn(ChargeIn):
    """What is charged for an event, and from when to when."""

    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "USD"
    minimum_charge: Amount | None = Field(default=None, description="An event costs so much at least.")
    valid_from: Moment | None = Field(
        default=None, validation_alias=AliasChoices("valid_from", "effective_from")
    )
    valid_to: Moment | None = Field(
        default=None,
        validation_alias=AliasChoices("valid_to", "effective_until"),
        description="Exclusive.",
    )
