"""From charges as they are written (`charge_bodies.py`) to values that bill, with every reason why not.

`shown_billing` is the way back: what it writes can be sent again and means the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from bursar.errors import Invalid, Reason
from bursar.money import format_decimal
from bursar.pricing.rules.charge import Charge, SimpleCharge, Sum
from bursar.pricing.rules.expression import FaultyExpression, parse_expression
from bursar.pricing.rules.flat import Flat
from bursar.pricing.rules.formula import RATE, Formula
from bursar.pricing.rules.multiply import NOTHING, Multiply
from bursar.pricing.rules.package import Package
from bursar.pricing.rules.percentage import Percentage
from bursar.pricing.rules.selection import DEFAULT_FIELD, STANDARD, Rates
from bursar.pricing.rules.tiered import Graduated, Tier, Volume
from bursar.usage.field_names import canonical_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from bursar.billing.charge_bodies import BillingIn, ChargeIn, TierIn


class Billing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A charge, its currency and when it holds."""

    currency: str
    charge: Charge
    minimum_charge: Decimal | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None


def read_billing(body: BillingIn, place: str = "") -> Billing:
    """What a body says, as values.

    Args:
        body: as it was sent.
        place: how the names of its fields begin in the reasons, such as `billing_config.`.

    Raises:
        Invalid: with every reason why it can't be.
    """
    reading = _Reading(body, place)
    charge = reading.read()
    if body.valid_from and body.valid_to and body.valid_to <= body.valid_from:
        reading.refuse("valid_to", "out_of_range", "it must lie after valid_from")
    if reading.reasons or charge is None:
        raise Invalid("The billing was refused.", reasons=tuple(reading.reasons))
    minimum = body.minimum_charge
    return Billing(
        currency=body.currency,
        charge=charge,
        minimum_charge=None if minimum is None else _plain(minimum),
        valid_from=body.valid_from,
        valid_to=body.valid_to,
    )


def shown_billing(billing: Billing) -> dict[str, Any]:
    """What can be sent again for the same billing; decimals as strings."""
    plain: dict[str, Any] = msgspec.to_builtins(billing)
    charge = plain.pop("charge")
    return {**_shown_charge(charge), **plain}


def _shown_charge(charge: dict[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in charge.items() if name not in {"rates", "free", "parts"}}
    rates = charge.get("rates")
    if rates is not None:
        shown["rates"] = rates["by_name"]
        if "field" in rates:
            shown["rate_field"] = rates["field"]
    if "free" in charge:
        shown["free_units"] = charge["free"]
    if "parts" in charge:
        shown["parts"] = [_shown_charge(part) for part in charge["parts"]]
    return shown


_UNIT_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_RATES = frozenset({"rate", "rates", "rate_field"})
_COUNTED = frozenset({"kind", "unit", "free_units"})
_ALLOWED: dict[str, frozenset[str]] = {
    "multiply": _COUNTED | _RATES | {"per"},
    "graduated": _COUNTED | {"tiers", "tiered_rates"},
    "volume": _COUNTED | {"tiers", "tiered_rates"},
    "package": _COUNTED | _RATES | {"size"},
    "percentage": _COUNTED | _RATES,
    "flat": _RATES | {"kind"},
    "sum": _RATES | {"kind", "parts", "units", "unit"},
    "expression": _RATES | {"kind", "expression"},
}
"""Which fields mean something for each kind of charge."""
_CHARGE_FIELDS = frozenset[str]().union(*_ALLOWED.values())


@dataclass(slots=True)
class _Reading:
    """One charge on its way to a value, and what is wrong with it."""

    body: ChargeIn
    place: str
    reasons: list[Reason] = field(default_factory=list[Reason])

    def refuse(self, name: str, code: str, text: str) -> None:
        """Note a reason."""
        where = f"{self.place}{name}"
        self.reasons.append(Reason(where, code, f"{where}: {text}."))

    def read(self) -> Charge | None:
        """The charge, or None with reasons."""
        body = self.body
        kind: str = "expression" if body.kind == "custom" else body.kind
        allowed = _ALLOWED[kind]
        if body.tiered_rates is not None and kind == "multiply":
            # The replaced system graduates whatever has tiers, and leaves its rate aside.
            kind = "graduated"
            allowed = _ALLOWED[kind] | {"rate"}
        for name in sorted((body.model_fields_set & _CHARGE_FIELDS) - allowed):
            self.refuse(name, "not_for_kind", f"a charge of kind '{kind}' has no such field")
        charge = self._sum() if kind == "sum" else self._simple(kind)
        return None if self.reasons else charge

    def _simple(self, kind: str) -> SimpleCharge | None:
        readers: dict[str, Callable[[], SimpleCharge | None]] = {
            "multiply": self._multiply,
            "graduated": lambda: Graduated(unit=self._unit(), tiers=self._tiers(), free=self._free()),
            "volume": lambda: Volume(unit=self._unit(), tiers=self._tiers(), free=self._free()),
            "package": self._package,
            "percentage": lambda: Percentage(unit=self._unit(), rates=self._rates(), free=self._free()),
            "flat": lambda: Flat(rates=self._rates()),
            "expression": self._formula,
        }
        return readers[kind]()

    def _multiply(self) -> Multiply:
        return Multiply(unit=self._unit(), rates=self._rates(), per=self.body.per, free=self._free())

    def _package(self) -> Package:
        size = self.body.size
        if not size:
            self.refuse("size", "required", "say how many units a package has, more than 0")
        return Package(
            unit=self._unit(), size=_plain(size or Decimal(1)), rates=self._rates(), free=self._free()
        )

    def _formula(self) -> Formula | None:
        body = self.body
        if body.expression is None:
            self.refuse("expression", "required", "say what is to be worked out")
            return None
        try:
            names = parse_expression(body.expression).names
        except FaultyExpression as fault:
            self.refuse("expression", fault.code, str(fault))
            return None
        for name in sorted(names):
            if (own := canonical_name(name)) != name:
                self.refuse("expression", "other_name", f"'{name}' is called '{own}' here")
        has_rates = body.rate is not None or body.rates is not None
        if (RATE in names) != has_rates:
            text = "an expression that says 'rate' has 'rate' or 'rates' beside it, and no other has"
            self.refuse("expression", "rate_mismatch", text)
        return Formula(expression=body.expression, rates=self._rates() if has_rates else None)

    def _sum(self) -> Sum | None:
        body = self.body
        if body.parts is not None:
            return self._sum_of_parts(body.parts)
        names = body.units or ([body.unit] if body.unit is not None else [])
        if not names:
            self.refuse("parts", "required", "say what is added up: parts, or units at one rate")
        rates = self._rates()
        return Sum(parts=tuple(Multiply(unit=self._unit_name(name, "units"), rates=rates) for name in names))

    def _sum_of_parts(self, parts: list[ChargeIn]) -> Sum:
        for name in ("units", "unit", "rate", "rates", "rate_field"):
            if getattr(self.body, name) is not None:
                self.refuse(name, "not_for_kind", "a sum of parts has its rates and units in the parts")
        charges: list[SimpleCharge] = []
        for index, part in enumerate(parts):
            reading = _Reading(part, f"{self.place}parts.{index}.")
            charge = reading.read()
            if isinstance(charge, Sum):
                reading.refuse("kind", "nested", "a part can't be a sum itself")
            elif charge is not None:
                charges.append(charge)
            self.reasons += reading.reasons
        return Sum(parts=tuple(charges))

    def _unit(self) -> str:
        if self.body.unit is None:
            self.refuse("unit", "required", "say what is counted")
            return ""
        return self._unit_name(self.body.unit, "unit")

    def _unit_name(self, name: str, place: str) -> str:
        own = canonical_name(name)
        if not _UNIT_NAME.fullmatch(own):
            text = "what is counted has a name of lower-case letters, digits and underscores"
            self.refuse(place, "invalid_value", text)
        return own

    def _free(self) -> Decimal:
        free = self.body.free_units
        return _plain(free) if free else NOTHING

    def _rates(self) -> Rates:
        body = self.body
        if (body.rate is None) == (body.rates is None):
            self.refuse("rate", "required", "say either 'rate' or 'rates'")
        if body.rates is None:
            if body.rate_field is not None:
                self.refuse("rate_field", "not_for_kind", "one rate needs no field that chooses it")
            return Rates({STANDARD: _plain(body.rate or NOTHING)})
        by_name = {name: _plain(rate) for name, rate in body.rates.items()}
        if len(by_name) == 1 and STANDARD in by_name and body.rate_field is None:
            return Rates(by_name)
        return Rates(by_name, body.rate_field or DEFAULT_FIELD)

    def _tiers(self) -> tuple[Tier, ...]:
        body = self.body
        if (body.tiers is None) == (body.tiered_rates is None):
            self.refuse("tiers", "required", "say which tiers there are, once")
        tiers = body.tiers or (body.tiered_rates.tiers if body.tiered_rates else [])
        self._check_bounds(tiers)
        return tuple(
            Tier(_plain(tier.rate), None if tier.up_to is None else _plain(tier.up_to)) for tier in tiers
        )

    def _check_bounds(self, tiers: list[TierIn]) -> None:
        below = Decimal(0)
        for index, tier in enumerate(tiers):
            if tier.begins is not None and tier.begins != below:
                text = f"a tier begins where the one before ends, at {format_decimal(below)}"
                self.refuse(f"tiers.{index}.from", "gap", text)
            if tier.up_to is None and index < len(tiers) - 1:
                self.refuse(f"tiers.{index}.up_to", "required", "only the last tier has no end")
            elif tier.up_to is not None and tier.up_to <= below:
                self.refuse(f"tiers.{index}.up_to", "out_of_order", "bounds must ascend")
            below = below if tier.up_to is None else tier.up_to
        if tiers and tiers[-1].up_to is not None:
            text = "the last tier must have no end, or what lies beyond had no price"
            self.refuse(f"tiers.{len(tiers) - 1}.up_to", "bounded", text)


def _plain(number: Decimal) -> Decimal:
    """The same number in one spelling, so that equal charges have equal cards."""
    return Decimal(format_decimal(number))
