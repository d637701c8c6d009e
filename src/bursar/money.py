"""Exact money: integers of 1e-12 currency units ("picos") inside, decimal strings outside.

A price is an exact fraction, a line is quantity times price rounded half-even once to one pico,
an amount is a sum of lines. Nothing here, or anywhere else, turns money into a float. Currencies
are ISO 4217 codes; amounts of different currencies are never added.
"""

from __future__ import annotations

import re
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal, InvalidOperation

PICOS_PER_UNIT = 10**12
"""Amounts are kept to 12 decimal places: a line of one token at $0.000001 per million is still exact."""
AMOUNT_LIMIT_PICOS = 10**6 * PICOS_PER_UNIT
"""An event's amount must stay under one million, so that DECIMAL(18,12) holds it."""
EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
"""Keeps every digit; Python's usual context would round what has more than 28."""
_SHOWN_CHARACTERS = 40
CURRENCY_PATTERN = re.compile(r"[A-Z]{3}")


def format_picos(picos: int) -> str:
    """A decimal string without trailing zeros: 3450000000 gives `0.00345`, 0 gives `0`."""
    sign, magnitude = ("-", -picos) if picos < 0 else ("", picos)
    whole, fraction = divmod(magnitude, PICOS_PER_UNIT)
    if not fraction:
        return f"{sign}{whole}"
    return f"{sign}{whole}.{fraction:012d}".rstrip("0")


def format_decimal(amount: Decimal) -> str:
    """A plain decimal string without exponent or trailing zeros."""
    text = f"{amount:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", ""} else text


def parse_picos(text: str | int | Decimal) -> int:
    """Picos of a decimal amount.

    Raises:
        ValueError: not a finite decimal, or finer than 1e-12.
    """
    try:
        amount = Decimal(text)
    except InvalidOperation as error:
        message = f"{_shown(text)} is not a decimal amount"
        raise ValueError(message) from error
    if not amount.is_finite() or amount.adjusted() > 30:  # noqa: PLR2004 - far above any limit, keeps 1e999999 cheap
        message = f"{_shown(text)} is not an amount that can be kept"
        raise ValueError(message)
    scaled = amount.scaleb(12, EXACT)
    if scaled != scaled.to_integral_value():
        message = f"{_shown(text)} is finer than 1e-12"
        raise ValueError(message)
    return int(scaled)


def _shown(value: str | int | Decimal) -> str:
    """A caller's value as it may stand in a message: it can be megabytes long."""
    text = str(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def divide_half_even(numerator: int, denominator: int) -> int:
    """The integer nearest to numerator/denominator, ties to even; the denominator is positive."""
    quotient, remainder = divmod(numerator, denominator)
    twice = remainder * 2
    if twice > denominator or (twice == denominator and quotient & 1):
        return quotient + 1
    return quotient
