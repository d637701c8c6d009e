"""What can't be agreed on: numbers out of range, kinds that say too little or too much, and overlaps.

All that is wrong with one override is said at once. Two contract prices never hold for the same thing at
the same time, so no order decides what is owed; of adjustments a later one takes the place of an earlier.
"""

from __future__ import annotations

from decimal import Decimal
from difflib import get_close_matches
from typing import TYPE_CHECKING

import msgspec

from bursar.errors import Conflict, Invalid, Reason
from bursar.pricing.agreements.override import (
    ALIAS_KIND,
    AgreedPrice,
    AliasSaid,
    Override,
    OverrideKind,
    adjustments_of,
)
from bursar.pricing.match import plain_provider
from bursar.pricing.price_units import PRICE_UNITS
from bursar.pricing.rows import overlapping_rows, row_faults
from bursar.pricing.terms import ContractPrice

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from bursar.pricing.agreements.store import TermRecord
    from bursar.pricing.rows import PriceRow

PLACES_LIMIT = 20
"""Decimal places and digits before the point of any number that is agreed on."""
PER_LIMIT = 10**12
AMOUNT_LIMIT = Decimal(10**6)
PERCENT_LIMIT = Decimal(10**6)
UNITS_LIMIT = 64
_NUMBERS = {
    OverrideKind.DISCOUNT: ("percent", Decimal(100)),
    OverrideKind.MARKUP: ("percent", PERCENT_LIMIT),
    OverrideKind.MULTIPLIER: ("factor", PERCENT_LIMIT),
    OverrideKind.FEE: ("amount", AMOUNT_LIMIT),
}
"""The one number that each kind holds, and its most."""
_CONDITIONS = (
    "service_tier",
    "batch",
    "speed",
    "region",
    "context_over",
    "context_upto",
    "hours",
    "weekdays",
)
_EVERYTHING = "*"
_ANY_PRICE = AgreedPrice("input_tokens", Decimal(1), 1)


def refuse_override(said: Override) -> None:
    """Let only an override pass that can be agreed on.

    Raises:
        Invalid: with every reason.
    """
    reasons = [*_kind_faults(said), *_time_faults(said.valid_from, said.valid_to)]
    if said.kind is OverrideKind.CONTRACT:
        reasons += _contract_faults(said)
    if reasons:
        detail = "The override was refused: " + " ".join(reason.message for reason in reasons)
        raise Invalid(detail, reasons=tuple(reasons))


def refuse_alias(said: AliasSaid) -> None:
    """Let only an alias pass that means something.

    Raises:
        Invalid: with every reason.
    """
    reasons = [*_time_faults(said.valid_from, said.valid_to)]
    if "*" in said.alias:
        message = "An alias is a whole name, no pattern; overrides take patterns."
        reasons.append(Reason("alias", "invalid_value", message))
    same_provider = said.to_provider is None or (
        said.provider is not None and plain_provider(said.provider) == plain_provider(said.to_provider)
    )
    if said.alias.strip().lower() == said.to_model.strip().lower() and same_provider:
        reasons.append(Reason("to_model", "same_name", "The alias and the model are the same name."))
    if reasons:
        detail = "The alias was refused: " + " ".join(reason.message for reason in reasons)
        raise Invalid(detail, reasons=tuple(reasons))


def refuse_clash(record: TermRecord, others: Sequence[TermRecord]) -> None:
    """Let only a record pass that doesn't hold for the same thing and time as another one.

    Raises:
        Conflict: another one does; it is named.
    """
    clash = _alias_clash(record, others) if record.kind == ALIAS_KIND else _override_clash(record, others)
    if clash is not None:
        what, other = clash
        message = (
            f"{what} holds for the same thing at the same time: {other.id}. Withdraw it first, or choose"
            " dates that don't overlap."
        )
        raise Conflict(message, reasons=(Reason("valid_from", "overlaps", message),))


def _kind_faults(said: Override) -> Iterator[Reason]:
    wanted, most = _NUMBERS.get(said.kind, ("prices", AMOUNT_LIMIT))
    for name in ("percent", "factor", "amount", "prices"):
        given: object = getattr(said, name)
        is_given = given is not None and given != ()
        if name == wanted and not is_given:
            yield Reason(name, "required", f"A {said.kind} needs {name}.")
        elif name != wanted and is_given:
            yield Reason(name, "not_of_this_kind", f"A {said.kind} has no {name}.")
    number = getattr(said, wanted)
    if isinstance(number, Decimal):
        yield from _number_faults(wanted, number, most)
    if said.kind is not OverrideKind.CONTRACT:
        for name in _CONDITIONS:
            if getattr(said, name) not in {None, False}:
                text = f"Only a contract has conditions; a {said.kind} holds for every call that it fits."
                yield Reason(name, "not_of_this_kind", text)


def _number_faults(field: str, number: Decimal, most: Decimal) -> Iterator[Reason]:
    exponent = number.as_tuple().exponent
    if not number.is_finite() or not 0 <= number <= most:
        yield Reason(field, "out_of_range", f"{field} must be a number from 0 to {most:f}.")
    elif not isinstance(exponent, int) or exponent < -PLACES_LIMIT:
        yield Reason(field, "too_fine", f"{field} has at most {PLACES_LIMIT} decimal places.")


def _time_faults(valid_from: datetime | None, valid_to: datetime | None) -> Iterator[Reason]:
    if valid_from is not None and valid_to is not None and valid_to <= valid_from:
        yield Reason("valid_to", "before_valid_from", "valid_to must be later than valid_from.")


def _contract_faults(said: Override) -> Iterator[Reason]:
    if len(said.prices) > UNITS_LIMIT:
        yield Reason("prices", "too_many", f"At most {UNITS_LIMIT} prices at once.")
    for price in said.prices:
        yield from _price_faults(price)
    if said.provider is None and said.model is None:
        yield Reason("model", "required", "A contract names a provider, a model, or both.")
    # The conditions are the same for all of its prices. Those prices may be nothing that a row can hold, and
    # were looked at already, as were the dates.
    (row,) = _rows_of("", msgspec.structs.replace(said, prices=(_ANY_PRICE,)))
    for field, fault in row_faults(row):
        if field != "valid_to":
            yield Reason(field, "invalid_value", f"{field} {fault}.")


def _price_faults(price: AgreedPrice) -> Iterator[Reason]:
    field = f"prices.{price.unit}"
    if price.unit not in PRICE_UNITS and not price.is_custom:
        near = get_close_matches(price.unit, PRICE_UNITS, 1)
        advice = f" Did you mean {near[0]!r}?" if near else ""
        text = f"{price.unit!r:.80} is no unit of the book.{advice} One of your own needs `custom: true`."
        yield Reason(field, "unknown_unit", text)
    yield from _number_faults(field, price.price, AMOUNT_LIMIT)
    if not 1 <= price.per <= PER_LIMIT:
        yield Reason(f"{field}.per", "out_of_range", f"per must be from 1 to {PER_LIMIT}.")
    if price.minimum is not None:
        yield from _number_faults(f"{field}.minimum", price.minimum, Decimal(PER_LIMIT))
        if price.minimum.is_zero():
            yield Reason(f"{field}.minimum", "out_of_range", "minimum must be more than 0.")


def _rows_of(record_id: str, said: Override) -> list[PriceRow]:
    """A contract's prices as rows of what it says: of its patterns, for patterns are all that can clash."""
    provider = plain_provider(said.provider) if said.provider else _EVERYTHING
    model = said.model.strip().lower() if said.model else _EVERYTHING
    prices = [one for one in adjustments_of(record_id, said) if isinstance(one, ContractPrice)]
    return [price.row(provider, model) for price in prices]


def _override_clash(record: TermRecord, others: Iterable[TermRecord]) -> tuple[str, TermRecord] | None:
    mine = Override.from_json(record.document)
    my_rows = _rows_of(record.id, mine) if mine.kind is OverrideKind.CONTRACT else []
    for other in others:
        if other.kind != record.kind:
            continue
        theirs = Override.from_json(other.document)
        if theirs.project_id != mine.project_id:
            continue
        if mine.kind is OverrideKind.CONTRACT:
            if overlapping_rows([*my_rows, *_rows_of(other.id, theirs)]):
                return "A contract price", other
        elif _place_of(mine) == _place_of(theirs) and mine.valid_from == theirs.valid_from:
            return f"A {mine.kind} that begins at the same moment", other
    return None


def _place_of(said: Override) -> tuple[str, str]:
    provider = plain_provider(said.provider) if said.provider else _EVERYTHING
    return provider, said.model.strip().lower() if said.model else _EVERYTHING


def _alias_clash(record: TermRecord, others: Iterable[TermRecord]) -> tuple[str, TermRecord] | None:
    mine = AliasSaid.from_json(record.document)
    for other in others:
        if other.kind != ALIAS_KIND:
            continue
        theirs = AliasSaid.from_json(other.document)
        if _alias_place(mine) == _alias_place(theirs) and _meet(mine, theirs):
            return "An alias", other
    return None


def _alias_place(said: AliasSaid) -> tuple[str | None, str, str]:
    return said.project_id, plain_provider(said.provider or _EVERYTHING), said.alias.strip().lower()


def _meet(one: AliasSaid, other: AliasSaid) -> bool:
    """Whether two aliases hold at one moment."""
    ends_before = (
        one.valid_to is not None and other.valid_from is not None and one.valid_to <= other.valid_from
    )
    begins_after = (
        other.valid_to is not None and one.valid_from is not None and other.valid_to <= one.valid_from
    )
    return not ends_before and not begins_after
