"""Arithmetic in billing rules: `max(predictions * 0.001, 0.05) + requests * rate`, exact and bounded.

The grammar knows numbers, names, `+ - * / // % **`, brackets, and min, max, ceil, floor, round; there is
nothing else that it could do. All values are fractions; their size, the length of the text and the depth
of brackets are limited, so that no expression takes longer than a fraction of a millisecond.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from math import ceil, floor

TEXT_LIMIT = 500
TOKENS_LIMIT = 200
DEPTH_LIMIT = 32
BITS_LIMIT = 4096
"""No numerator or denominator grows beyond; quantities have 60 bits, prices under 100."""
EXPONENT_LIMIT = 16
PLACES_LIMIT = 12

Names = Callable[[str], Fraction]
"""The value of a name."""


class FaultyExpression(ValueError):
    """An expression that can't be read, or has no value; `code` is stable."""

    def __init__(self, code: str, message: str) -> None:
        """Say what is wrong."""
        super().__init__(message)
        self.code = code


def _bounded(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > BITS_LIMIT:
        raise FaultyExpression("expression_too_large", "a number of it has too many digits")
    return value


def _divided(left: Fraction, right: Fraction, how: Callable[[Fraction, Fraction], Fraction]) -> Fraction:
    if not right:
        raise FaultyExpression("division_by_zero", "it divides by zero")
    return how(left, right)


def _powered(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1 or not 0 <= exponent <= EXPONENT_LIMIT:
        text = f"exponents must be whole numbers from 0 to {EXPONENT_LIMIT}"
        raise FaultyExpression("exponent_out_of_range", text)
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    if bits * exponent > BITS_LIMIT:
        raise FaultyExpression("expression_too_large", "a number of it has too many digits")
    return Fraction(base**exponent.numerator)


_OPERATORS: dict[str, tuple[int, Callable[[Fraction, Fraction], Fraction]]] = {
    "+": (1, lambda left, right: left + right),
    "-": (1, lambda left, right: left - right),
    "*": (2, lambda left, right: left * right),
    "/": (2, lambda left, right: _divided(left, right, lambda one, two: one / two)),
    "//": (2, lambda left, right: _divided(left, right, lambda one, two: Fraction(one // two))),
    "%": (2, lambda left, right: _divided(left, right, lambda one, two: one % two)),
    "**": (4, _powered),
}
"""How strongly each binds, and what it does; a sign binds with 3, as in Python."""
_SIGN = 3


def _rounded(value: Fraction, places: Fraction = Fraction(0)) -> Fraction:
    if places.denominator != 1 or not 0 <= places <= PLACES_LIMIT:
        text = f"round() takes 0 to {PLACES_LIMIT} places"
        raise FaultyExpression("wrong_arguments", text)
    return Fraction(round(value, places.numerator))


def _ceiled(value: Fraction) -> Fraction:
    return Fraction(ceil(value))


def _floored(value: Fraction) -> Fraction:
    return Fraction(floor(value))


def _negated(value: Fraction) -> Fraction:
    return -value


_FUNCTIONS: dict[str, tuple[int, int, Callable[..., Fraction]]] = {
    "min": (1, 16, min),
    "max": (1, 16, max),
    "ceil": (1, 1, _ceiled),
    "floor": (1, 1, _floored),
    "round": (1, 2, _rounded),
}
"""The least and most arguments of each, and what it does; `round` goes half to even."""


@dataclass(frozen=True, slots=True)
class _Step:
    """A part of an expression: what to do with the values of other parts."""

    work: Callable[..., Fraction]
    parts: tuple[_Part, ...]

    def value(self, names: Names) -> Fraction:
        return _bounded(self.work(*(_value_of(part, names) for part in self.parts)))


_Part = Fraction | str | _Step
"""A number, a name, or what is done with others."""


def _value_of(part: _Part, names: Names) -> Fraction:
    if isinstance(part, _Step):
        return part.value(names)
    return names(part) if isinstance(part, str) else part


def _no_names(name: str) -> Fraction:
    raise KeyError(name)


def _step(work: Callable[..., Fraction], *parts: _Part) -> _Part:
    """The part that does this work; done at once where it is with numbers only, so that faults show early."""
    step = _Step(work, parts)
    return step.value(_no_names) if all(isinstance(part, Fraction) for part in parts) else step


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression that was read."""

    names: frozenset[str]
    """Every name in it."""
    _root: _Part

    def value(self, names: Names) -> Fraction:
        """Its exact value.

        Raises:
            FaultyExpression: `division_by_zero`, `exponent_out_of_range`, `expression_too_large`, ….
        """
        return _value_of(self._root, names)


@lru_cache(maxsize=512)
def parse_expression(text: str) -> Expression:
    """Read an expression.

    Raises:
        FaultyExpression: it isn't one, or is too long or too deep.
    """
    if len(text) > TEXT_LIMIT:
        message = f"it has more than {TEXT_LIMIT} characters"
        raise FaultyExpression("expression_too_long", message)
    reader = _Reader(text)
    root = reader.read_all()
    return Expression(frozenset(reader.names), root)


_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?|\.\d+)|(?P<name>[a-z][a-z0-9_]{0,63})|(?P<sign>\*\*|//|[-+*/%(),]))"
)


class _Reader:
    """Reads one expression by climbing up its operators' precedence."""

    def __init__(self, text: str) -> None:
        self.names: set[str] = set()
        self._tokens = _tokens_of(text)
        self._place = 0
        self._depth = 0

    def read_all(self) -> _Part:
        part = self._read(0)
        if self._place < len(self._tokens):
            raise _unexpected(self._next())
        return part

    def _read(self, binding: int) -> _Part:
        """The longest part whose operators bind more strongly than `binding`."""
        self._depth += 1
        if self._depth > DEPTH_LIMIT:
            raise FaultyExpression("expression_too_deep", f"it is nested deeper than {DEPTH_LIMIT} levels")
        left = self._read_one()
        while (found := _OPERATORS.get(self._next())) is not None and found[0] > binding:
            self._place += 1
            # Powers are read from the right: 2 ** 3 ** 2 is 2 ** (3 ** 2).
            right = self._read(_SIGN - 1 if found[0] > _SIGN else found[0])
            left = _step(found[1], left, right)
        self._depth -= 1
        return left

    def _read_one(self) -> _Part:
        token = self._take()
        if token in {"-", "+"}:
            part = self._read(_SIGN)
            return _step(_negated, part) if token == "-" else part  # noqa: S105 - a sign
        if token == "(":  # noqa: S105 - a bracket
            part = self._read(0)
            self._expect(")")
            return part
        if token[:1].isdigit() or token[:1] == ".":
            return _bounded(Fraction(Decimal(token)))
        if not token[:1].isalpha():
            raise _unexpected(token)
        if self._next() == "(":
            return self._read_call(token)
        if token in _FUNCTIONS:
            raise _unexpected(self._next())
        self.names.add(token)
        return token

    def _read_call(self, name: str) -> _Part:
        if name not in _FUNCTIONS:
            known = ", ".join(_FUNCTIONS)
            raise FaultyExpression("unknown_function", f"there is no function {name}; there are {known}")
        self._expect("(")
        parts = [self._read(0)]
        while self._next() == ",":
            self._place += 1
            parts.append(self._read(0))
        self._expect(")")
        least, most, work = _FUNCTIONS[name]
        if not least <= len(parts) <= most:
            message = f"{name} takes {least} to {most} values"
            raise FaultyExpression("wrong_arguments", message)
        # Python's own min and max take a single value for a list of them.
        return parts[0] if len(parts) == 1 and most > 2 else _step(work, *parts)  # noqa: PLR2004 - of min and max

    def _next(self) -> str:
        return self._tokens[self._place] if self._place < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._next()
        self._place += 1
        return token

    def _expect(self, token: str) -> None:
        if self._take() != token:
            self._place -= 1
            raise _unexpected(self._next())


def _tokens_of(text: str) -> list[str]:
    tokens: list[str] = []
    place, end = 0, len(text.rstrip())
    while place < end:
        found = _TOKEN.match(text, place, end)
        if found is None:
            message = f"{text[place : place + 20].strip()!r} can't stand in an expression"
            raise FaultyExpression("not_an_expression", message)
        tokens.append(found[found.lastgroup or 0])
        place = found.end()
    if len(tokens) > TOKENS_LIMIT:
        message = f"it has more than {TOKENS_LIMIT} numbers, names and signs"
        raise FaultyExpression("expression_too_long", message)
    return tokens


def _unexpected(token: str) -> FaultyExpression:
    where = f"{token!r} stands where it can't" if token else "it ends too early"
    return FaultyExpression("not_an_expression", where)
