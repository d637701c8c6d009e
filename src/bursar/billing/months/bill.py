"""What a month's usage comes to, line by line, and how two such bills differ.

A bill is a mapping from what a line is about to exact sums, so that two of them can be added and
subtracted. Amounts of different currencies stand in different lines and are never added; events
without a known cost are counted and are in no amount.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from bursar.money import format_picos, parse_picos

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

UNPRICED = "unpriced"


class LineKey(NamedTuple):
    """What a line is about; None where events don't say it."""

    service_type: str | None
    provider: str | None
    model: str | None
    project_id: str | None
    currency: str
    cost_status: str


class Sums(NamedTuple):
    """Events and their cost in picos, 0 where `cost_status` is `unpriced`; negative in a correction."""

    events: int
    picos: int


Bill = dict[LineKey, Sums]
"""Lines by key; a line that is nothing isn't there."""


@dataclass(frozen=True, slots=True)
class Total:
    """All lines of one currency."""

    currency: str
    picos: int
    events: int
    unpriced_events: int
    """Among `events`; their cost isn't known and is not in `picos`."""


class BillRow(msgspec.Struct, array_like=True):
    """A line as it is written down: its key, events, amount as a decimal string."""

    key: LineKey
    events: int
    amount: str


def add_bills(bills: Iterable[Mapping[LineKey, Sums]]) -> Bill:
    """The sum of bills, line by line."""
    total: Bill = {}
    for bill in bills:
        for key, sums in bill.items():
            so_far = total.get(key, Sums(0, 0))
            total[key] = Sums(so_far.events + sums.events, so_far.picos + sums.picos)
    return {key: sums for key, sums in total.items() if any(sums)}


def subtract_bill(bill: Mapping[LineKey, Sums], earlier: Mapping[LineKey, Sums]) -> Bill:
    """What has to be added to `earlier` to give `bill`."""
    return add_bills((bill, {key: Sums(-sums.events, -sums.picos) for key, sums in earlier.items()}))


def totals_of(bill: Mapping[LineKey, Sums]) -> tuple[Total, ...]:
    """One total per currency, by its code."""
    found: dict[str, list[int]] = {}
    for key, sums in bill.items():
        sum_of = found.setdefault(key.currency, [0, 0, 0])
        sum_of[0] += sums.picos
        sum_of[1] += sums.events
        sum_of[2] += sums.events if key.cost_status == UNPRICED else 0
    return tuple(Total(currency, *found[currency]) for currency in sorted(found))


def rows_of(bill: Mapping[LineKey, Sums]) -> list[BillRow]:
    """The lines as they are written down, in an order that depends on nothing but themselves."""
    ordered = sorted(bill.items(), key=lambda line: tuple((part is not None, part or "") for part in line[0]))
    return [BillRow(key, sums.events, format_picos(sums.picos)) for key, sums in ordered]


def bill_of(rows: Iterable[BillRow]) -> Bill:
    """The bill that `rows_of` wrote down."""
    return add_bills({row.key: Sums(row.events, parse_picos(row.amount))} for row in rows)
