"""Exchange rates from CSV: the ECB's tables of a day or of all days, and one rate per line.

    Date,USD,JPY,…            one base for all columns (the ECB's is EUR); `N/A` and empty cells say nothing
    date,base,quote,rate      a rate per line, `source` may follow

Dates are ISO (`2026-11-20`) or as in the ECB's daily file (`20 November 2026`). Whatever can't be read is
said with its line; then nothing of the file is taken.
"""

from __future__ import annotations

import csv
import io
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from bursar.errors import Invalid, Reason
from bursar.money import CURRENCY_PATTERN
from bursar.pricing.exchange.rates import RateEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

REASONS_LIMIT = 100
"""Of a file that is wrong everywhere nobody reads more."""
RATES_LIMIT = 100_000
"""In one body, of which no more fit into its bytes; the ECB publishes some 30 a day."""
DIGITS_LIMIT = 20
"""Significant digits of a rate, before and after the point."""
SOURCE_LIMIT = 256
DEFAULT_BASE = "EUR"
_LONG = ("date", "base", "quote", "rate")
_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_NOTHING = {"", "N/A"}
EARLIEST = date(1970, 1, 1)
_Texts = tuple[str, str, str, str, str]


def read_rates(text: str, base: str = DEFAULT_BASE, source: str = "") -> list[RateEntry]:
    """The rates of a CSV file; `base` and `source` are for files that don't say them.

    Raises:
        Invalid: with up to 100 reasons, each with its line.
    """
    rows = csv.reader(io.StringIO(text.removeprefix("\ufeff")), skipinitialspace=True)
    reasons: list[Reason] = []
    entries: list[RateEntry] = []
    try:
        heads = [head.strip() for head in next(rows, list[str]())]
        _refuse_heads(heads, base)
        for place, fields in _all_rates(heads, rows, base, source):
            try:
                entries.append(make_entry(*fields))
            except ValueError as error:
                reasons.append(Reason(place, "invalid_value", f"{error}."))
            if len(reasons) >= REASONS_LIMIT or len(entries) > RATES_LIMIT:
                break
    except csv.Error as error:
        reasons.append(Reason("$", "not_csv", f"The file is no CSV: {error}."))
    refuse_entries(entries, reasons)
    return entries


def refuse_entries(entries: Sequence[RateEntry], reasons: Sequence[Reason] = ()) -> None:
    """Let only entries of one body pass that may be kept together, and were read without any reason.

    Raises:
        Invalid: with every reason.
    """
    found = [*reasons, *_repeated(entries)]
    if len(entries) > RATES_LIMIT:
        found = [Reason("$", "too_many", f"At most {RATES_LIMIT} rates at once; split them.")]
    if not found and not entries:
        found = [Reason("$", "required", "There are no rates here.")]
    if found:
        message = "The exchange rates were refused."
        raise Invalid(message, reasons=tuple(found[:REASONS_LIMIT]))


def make_entry(day: str, base: str, quote: str, rate: str, source: str) -> RateEntry:
    """A rate from texts.

    Raises:
        ValueError: with what is wrong.
    """
    for currency in (base, quote):
        if CURRENCY_PATTERN.fullmatch(currency) is None:
            message = f"{currency!r:.40} is no currency code such as EUR"
            raise ValueError(message)
    if base == quote:
        message = f"{base} against itself needs no rate"
        raise ValueError(message)
    if len(source) > SOURCE_LIMIT or not source.isprintable():
        message = f"a source has at most {SOURCE_LIMIT} characters that can be printed"
        raise ValueError(message)
    return RateEntry(_day(day), base, quote, _rate(rate), source)


def _repeated(entries: Sequence[RateEntry]) -> list[Reason]:
    """The entries of one body that say something twice."""
    seen: set[tuple[date, str, str]] = set()
    reasons: list[Reason] = []
    for entry in entries:
        key = entry.day, entry.base, entry.quote
        if key in seen:
            message = f"{entry.base}/{entry.quote} of {entry.day} is there more than once."
            reasons.append(Reason("$", "repeated", message))
        seen.add(key)
    return reasons


def _refuse_heads(heads: list[str], base: str) -> None:
    lowered = [head.lower() for head in heads]
    if tuple(lowered[:4]) == _LONG and lowered[4:] in ([], ["source"]):
        return
    wide = [head for head in heads[1:] if head]
    wrong = [head for head in wide if CURRENCY_PATTERN.fullmatch(head) is None]
    if not heads or lowered[0] != "date" or not wide or wrong:
        message = "The first line names the columns: Date and currency codes, or date,base,quote,rate."
        raise Invalid("The exchange rates were refused.", reasons=(Reason("line 1", "bad_heads", message),))
    twice = sorted({head for head in wide if wide.count(head) > 1})
    if twice or base in wide:
        message = f"The columns {', '.join(twice) or base} say something twice, or against the base {base}."
        raise Invalid("The exchange rates were refused.", reasons=(Reason("line 1", "bad_heads", message),))


def _all_rates(
    heads: list[str], rows: Iterable[list[str]], base: str, source: str
) -> Iterator[tuple[str, _Texts]]:
    """(line and column, texts of an entry) for each rate of the file."""
    for number, row in enumerate(rows, 2):
        for name, texts in _rates_of(heads, row, base, source):
            yield f"line {number}, {name}", texts


def _rates_of(heads: list[str], row: list[str], base: str, source: str) -> Iterator[tuple[str, _Texts]]:
    cells = [cell.strip() for cell in row]
    if not any(cells):
        return
    cells += [""] * (len(heads) - len(cells))
    if heads[1].lower() == "base":
        day, said_base, quote, rate, *rest = cells
        yield "rate", (day, said_base, quote, rate, (rest[0] if rest else "") or source)
        return
    for head, cell in zip(heads[1:], cells[1:], strict=False):
        if head and cell not in _NOTHING:
            yield head, (cells[0], base, head, cell, source)


def _day(text: str) -> date:
    words = text.lower().split()
    try:
        if len(words) == 3 and words[1] in _MONTHS:  # noqa: PLR2004 - day, month, year
            day = date(int(words[2]), _MONTHS.index(words[1]) + 1, int(words[0]))
        else:
            day = date.fromisoformat(text)
    except ValueError:
        message = f"{text!r:.40} is no date such as 2026-11-20"
        raise ValueError(message) from None
    if day < EARLIEST:
        message = f"{day} is before {EARLIEST}"
        raise ValueError(message)
    return day


def _rate(text: str) -> Decimal:
    try:
        rate = Decimal(text) if len(text) <= 2 * DIGITS_LIMIT else None
    except InvalidOperation:
        rate = None
    if rate is None or not rate.is_finite():
        message = f"{text!r:.40} is no decimal number"
        raise ValueError(message)
    exponent = rate.as_tuple().exponent
    is_fine = isinstance(exponent, int) and exponent >= -DIGITS_LIMIT and rate.adjusted() < DIGITS_LIMIT
    if rate <= 0 or not is_fine or len(rate.as_tuple().digits) > DIGITS_LIMIT:
        message = f"{text!r:.40} is no rate: more than 0, of at most {DIGITS_LIMIT} digits"
        raise ValueError(message)
    return rate
