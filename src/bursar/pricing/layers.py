"""From the rows and terms that hold to the rates of one card: list prices, and a customer's terms on them.

The order of arithmetic is fixed. A contract price replaces the list price of its unit; then the
discount, the markup and the multiplier are exact factors on every rate; then the fee is added to the
request. Nothing is rounded here: a line is rounded once, when a quantity is billed (`card.py`).

A card has one currency, the contract's where there is one. A unit that only a price in another
currency covers has no rate; and where list and contract speak different currencies, what the list
would have charged is left out, not mixed.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, assert_never

from bursar.money import PICOS_PER_UNIT, format_decimal
from bursar.pricing.card import AppliedTerm, Rate
from bursar.pricing.price_units import TOKEN_UNITS
from bursar.pricing.rows import USD
from bursar.pricing.terms import ContractPrice, Discount, Markup, Multiplier, RequestFee
from bursar.pricing.unit_prices import least_steps, rows_by_unit, step_price

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bursar.pricing.rows import PriceRow
    from bursar.pricing.seasons import Layers, Plan
    from bursar.pricing.terms import Adjustment

SEVERAL_CURRENCIES = "prices_in_several_currencies"
FEE_CURRENCY = "fee_in_another_currency"

Rates = dict[str, Rate]
PriceList = dict[str, "PriceRow"]
"""Price unit to the row that holds."""


@dataclass(frozen=True, slots=True)
class PricedBand:
    """The rates for prompts of one size, and what they were made of."""

    currency: str
    rates: Rates
    rows: Mapping[str, PriceRow]
    """The row behind each rate; a free model has none, and a fee by itself."""
    terms: tuple[AppliedTerm, ...] = ()
    list_rates: Rates | None = None
    """What the list charges, where terms applied and it is known in the same currency."""

    def has_listed_tokens(self) -> bool:
        """Whether a price of tokens is the list's: then a region's surcharge is in it."""
        return any(unit in TOKEN_UNITS and not row.is_contracted for unit, row in self.rows.items())


def price_band(plan: Plan, layers: Layers, context_tokens: int) -> PricedBand | str:
    """The rates for prompts of this size, or the reason why there are none.

    Reasons besides those of `rating.py`: `prices_in_several_currencies` where neither list nor contract
    agrees with itself, `fee_in_another_currency`.
    """
    listed = _price_list(layers.listed, context_tokens)
    contracted = _price_list(layers.contracted, context_tokens)
    if layers.reason is not None and not contracted:
        return layers.reason
    currencies = {row.currency for row in (contracted or listed).values()} or {USD}
    if len(currencies) > 1:
        return SEVERAL_CURRENCIES
    (currency,) = currencies
    fees = (term for term in layers.adjustments if isinstance(term, RequestFee))
    if any(fee.currency != currency for fee in fees):
        return FEE_CURRENCY
    return _price(plan, layers, (listed, contracted), currency)


def _price_list(rows: Iterable[PriceRow], context_tokens: int) -> PriceList:
    """The rows for prompts of this size; of several for a price unit the first."""
    found: PriceList = {}
    for row in rows:
        if row.holds_for_prompt(context_tokens):
            found.setdefault(row.unit, row)
    return found


def _price(plan: Plan, layers: Layers, lists: tuple[PriceList, PriceList], currency: str) -> PricedBand:
    listed, contracted = lists
    unknown = plan.offer.model.unknown_units
    rows = {
        unit: row
        for unit, row in rows_by_unit({**listed, **contracted}, unknown).items()
        if row.currency == currency
    }
    free = layers.reason is None and plan.offer.model.is_free and not listed
    steps = _steps_of(plan, rows, free=free)
    terms = _terms_applied(plan, rows.values(), layers.adjustments)
    if not terms:
        return PricedBand(currency, _rates_of(steps, rows), rows)
    for term in layers.adjustments:
        steps = _adjusted(steps, term)
    list_rates = None
    if layers.reason is None and all(row.currency == currency for row in listed.values()):
        own = rows_by_unit(listed, unknown)
        list_rates = _rates_of(_steps_of(plan, own, free=free), own)
    return PricedBand(currency, _rates_of(steps, rows), rows, terms, list_rates)


def _steps_of(plan: Plan, rows: Mapping[str, PriceRow], *, free: bool) -> dict[str, Fraction]:
    """What a step of each unit costs before terms; a region's surcharge is on list prices of tokens."""
    steps = {unit: Fraction(0) for unit in sorted(TOKEN_UNITS)} if free else {}
    for unit, row in rows.items():
        price = step_price(row, unit)
        if unit in TOKEN_UNITS and not row.is_contracted:
            price *= plan.surcharge.factor
        steps[unit] = price
    return steps


def _adjusted(steps: dict[str, Fraction], term: Adjustment) -> dict[str, Fraction]:
    """The prices of steps after one term."""
    match term:
        case Discount():
            factor = 1 - Fraction(term.percent) / 100
        case Markup():
            factor = 1 + Fraction(term.percent) / 100
        case Multiplier():
            factor = Fraction(term.factor)
        case RequestFee():
            fee = Fraction(term.amount) * PICOS_PER_UNIT
            return {**steps, "requests": steps.get("requests", Fraction(0)) + fee}
        case ContractPrice():
            return steps
        case _ as never:
            assert_never(never)
    return {unit: price * factor for unit, price in steps.items()}


def _rates_of(steps: Mapping[str, Fraction], rows: Mapping[str, PriceRow]) -> Rates:
    return {
        unit: Rate(price.numerator, price.denominator, least_steps(rows[unit], unit) if unit in rows else 0)
        for unit, price in steps.items()
    }


def _terms_applied(
    plan: Plan, rows: Iterable[PriceRow], adjustments: Iterable[Adjustment]
) -> tuple[AppliedTerm, ...]:
    """What a card says of the terms behind it: contract prices by their ids, then the others as applied."""
    used = {row.source for row in rows if row.is_contracted}
    contracts = [term for term in plan.terms if isinstance(term, ContractPrice) and term.source in used]
    contracts.sort(key=lambda term: term.id)
    return tuple(
        AppliedTerm(term.id, _kind_of(term), describe_term(term)) for term in (*contracts, *adjustments)
    )


def _kind_of(term: Adjustment) -> str:
    return str(type(term).__struct_config__.tag)


def describe_term(term: Adjustment) -> str:
    """A term's amount as a reader would write it: `12 %`, `× 1.5`, `2 USD per 1000000 input_tokens`."""
    match term:
        case Discount() | Markup():
            return f"{format_decimal(term.percent)} %"
        case Multiplier():
            return f"× {format_decimal(term.factor)}"
        case RequestFee():
            return f"{format_decimal(term.amount)} {term.currency} a request"
        case ContractPrice():
            return f"{format_decimal(term.price)} {term.currency} per {term.per} {term.unit}"
        case _ as never:
            assert_never(never)
