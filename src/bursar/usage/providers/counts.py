"""Reading whole numbers out of a provider's usage object, with every reason why one can't be trusted.

A provider may leave a field out, set it to null, or spell it in two ways; all three are normal and
read as 0. A negative, fractional or textual count is none of that: it is refused, and reading goes
on so that all reasons come together. What a number means is the business of the family's own file.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from bursar.errors import Invalid, Reason
from bursar.money import AMOUNT_LIMIT_PICOS, EXACT, PICOS_PER_UNIT
from bursar.units import QUANTITY_LIMIT, scale_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bursar.units import Quantities

WORD_LIMIT = 128
"""Longest word kept of a tier, speed or region: the limit of the event's own fields."""


_LONG_DIGITS = 19
_FINEST_AMOUNT = Decimal("1e-12")
_AMOUNT_LIMIT = Decimal(AMOUNT_LIMIT_PICOS // PICOS_PER_UNIT)


class Section(NamedTuple):
    """An object inside the usage object and where it stands; empty where there is none."""

    values: Mapping[str, Any]
    path: str


class Counts:
    """Reads one usage object and keeps every reason against it, and what had to be decided about it."""

    __slots__ = ("notes", "reasons")

    def __init__(self) -> None:
        """Start with nothing to object to."""
        self.reasons: list[Reason] = []
        self.notes: list[str] = []

    def number(self, section: Section, *names: str) -> int:
        """The count under the first of these names that is there, 0 where none is."""
        values, path = section
        # Not by `_first_of`: objects have a dozen numbers, and so many calls make reading a tenth slower.
        for name in names:
            value = values.get(name)
            if value is None:
                continue
            if type(value) is int and 0 <= value <= QUANTITY_LIMIT:
                return value
            self._refuse_number(f"{path}.{name}", value)
            return 0
        return 0

    def long_number(self, section: Section, name: str) -> int:
        """The count under this name, which protobuf's JSON writes as a text where it has 64 bits."""
        value = section.values.get(name)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _LONG_DIGITS:
            section = Section({name: int(value)}, section.path)
        return self.number(section, name)

    def section(self, owner: Section, *names: str) -> Section:
        """The object under the first of these names that is there, an empty one where none is."""
        name, value = _first_of(owner, names)
        if isinstance(value, dict):
            return Section(cast("dict[str, Any]", value), f"{owner.path}.{name}")
        if value is not None:
            self.refuse(f"{owner.path}.{name}", "wrong_type", f"{name} must be an object.")
        return Section({}, owner.path)

    def sections(self, owner: Section, *names: str) -> list[Section]:
        """The objects of the list under the first of these names that is there."""
        name, value = _first_of(owner, names)
        if isinstance(value, list):
            return self._items(cast("list[Any]", value), f"{owner.path}.{name}")
        if value is not None:
            self.refuse(f"{owner.path}.{name}", "wrong_type", f"{name} must be a list of objects.")
        return []

    def word(self, section: Section, *names: str) -> str | None:
        """The word under the first of these names that is there; None where none is, or it is empty."""
        name, value = _first_of(section, names)
        if isinstance(value, str) and len(value) <= WORD_LIMIT:
            return value or None
        if value is not None:
            text = f"{name} must be a string of at most {WORD_LIMIT} characters."
            self.refuse(f"{section.path}.{name}", "wrong_type", text)
        return None

    def amount(self, section: Section, *names: str) -> Decimal | None:
        """The amount of money under the first of these names that is there; None where none is.

        Providers write doubles (`0.0076509169000000005`): what is finer than 1e-12 is rounded half-even.
        """
        name, value = _first_of(section, names)
        amount = decimal_of(value)
        if amount is not None and 0 <= amount < _AMOUNT_LIMIT:
            return amount.quantize(_FINEST_AMOUNT, ROUND_HALF_EVEN, EXACT).normalize(EXACT)
        if value is not None:
            text = f"{name} must be an amount of at least 0 and under {_AMOUNT_LIMIT}."
            self.refuse(f"{section.path}.{name}", "invalid_value", text)
        return None

    def steps(self, section: Section, unit: str, *names: str) -> int:
        """A measured amount under the first of these names that is there, in steps of the unit."""
        name, value = _first_of(section, names)
        number = decimal_of(value)
        if number is not None and 0 <= number <= QUANTITY_LIMIT:
            return int(number.scaleb(scale_of(unit), EXACT).to_integral_value(ROUND_HALF_EVEN))
        if value is not None:
            text = f"{name} must be a number between 0 and {QUANTITY_LIMIT}."
            self.refuse(f"{section.path}.{name}", "invalid_value", text)
        return 0

    def refuse(self, field: str, code: str, message: str) -> None:
        """Keep one more reason why this usage can't be counted."""
        self.reasons.append(Reason(field, code, message))

    def within(self, part: int, whole: int, section: Section, names: Sequence[str], of: str) -> None:
        """Refuse a part that is larger than the whole it belongs to; it stands under one of the names."""
        if part > whole:
            name = next((name for name in names if name in section.values), names[0])
            text = f"{name} is {part}, more than {of} ({whole})."
            self.refuse(f"{section.path}.{name}", "contradiction", text)

    def checked(self, units: Quantities) -> Quantities:
        """The units without zeros.

        Raises:
            Invalid: with every reason found while reading, if there is any.
        """
        good: Quantities = {}
        for name, quantity in units.items():
            if quantity:
                good[name] = quantity
                if (
                    quantity > QUANTITY_LIMIT
                    and quantity > QUANTITY_LIMIT * 10 ** scale_of(name)
                    and not self.reasons
                ):
                    text = f"The usage adds up to more than {QUANTITY_LIMIT} of {name}."
                    self.refuse("usage", "out_of_range", text)
        if self.reasons:
            message = "The usage object was refused."
            raise Invalid(message, reasons=tuple(self.reasons))
        return good

    def _items(self, items: list[Any], path: str) -> list[Section]:
        good: list[Section] = []
        for position, item in enumerate(items):
            if isinstance(item, dict):
                good.append(Section(cast("dict[str, Any]", item), f"{path}.{position}"))
            else:
                self.refuse(f"{path}.{position}", "wrong_type", "Each entry must be an object.")
        return good

    def _refuse_number(self, field: str, value: object) -> None:
        name = field.rpartition(".")[2]
        if type(value) is int:
            self.refuse(field, "out_of_range", f"{name} must lie between 0 and {QUANTITY_LIMIT}.")
        else:
            self.refuse(field, "wrong_type", f"{name} must be a whole number.")


def _first_of(section: Section, names: Sequence[str]) -> tuple[str, Any]:
    """The first of these names that is there, and what stands under it; None where none is."""
    values = section.values
    for name in names:
        value = values.get(name)
        if value is not None:
            return name, value
    return "", None


def decimal_of(value: object) -> Decimal | None:
    """A JSON number as a decimal, with the digits that it was written in; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    # A double's shortest spelling is what stood in the JSON; `bool` is an `int` to Python.
    number = Decimal(str(value)) if isinstance(value, float) else Decimal(value)
    return number if number.is_finite() else None


def usage_section(usage: Mapping[str, Any]) -> Section:
    """The usage object itself, under the field name that callers know."""
    return Section(usage, "usage")
