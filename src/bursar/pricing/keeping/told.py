"""Changes of prices in words for people: what is new, what changed from which price to which, what ends.

Ended and added rows of one line are told together where they say something of the same calls.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING

import msgspec

from bursar.money import format_decimal
from bursar.pricing.week_words import DAYS, clock_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bursar.pricing.keeping.kept import KeptRow
    from bursar.pricing.rows import PriceRow


class ChangeKind(StrEnum):
    """What happens to a price."""

    NEW = "new"
    CHANGED = "changed"
    ENDED = "ended"


class PriceChange(msgspec.Struct, frozen=True, kw_only=True):
    """One price that an update adds, replaces or ends."""

    kind: ChangeKind
    provider: str
    model: str
    unit: str
    conditions: dict[str, str]
    """Under which the price holds: `way`, `context_tokens`, `hours`, `weekdays`, `region`."""
    old: str | None
    new: str | None
    """Both for `per` of the unit, as decimal strings."""
    per: int
    currency: str
    percent: str | None
    """How much more (or less) the new price is than the old one, to two places."""
    since: datetime | None
    """From when on; None is always."""


def tell_changes(
    place: tuple[str, str], ended: Sequence[tuple[KeptRow, datetime]], added: Iterable[PriceRow]
) -> Iterator[PriceChange]:
    """The changes of one line: rows that end with the moment of their end, and rows that begin."""
    waiting = list(ended)
    for row in added:
        old = next((one for one in waiting if conditions_of(one[0].row) == conditions_of(row)), None)
        if old is not None:
            waiting.remove(old)
        yield _told(place, old[0].row if old else None, row, row.valid_from)
    for one, at in waiting:
        yield _told(place, one.row, None, at)


def _told(
    place: tuple[str, str], old: PriceRow | None, new: PriceRow | None, since: datetime | None
) -> PriceChange:
    row = new or old
    assert row is not None  # noqa: S101 - the callers name at least one
    before = None if old is None else Fraction(old.price) * row.per / old.per
    after = None if new is None else Fraction(new.price)
    kind = ChangeKind.NEW if old is None else ChangeKind.ENDED if new is None else ChangeKind.CHANGED
    return PriceChange(
        kind=kind,
        provider=place[0],
        model=place[1],
        unit=row.unit,
        conditions=conditions_of(row),
        old=None if before is None else decimal_text(before),
        new=None if after is None else decimal_text(after),
        per=row.per,
        currency=row.currency,
        percent=percent_text(before, after),
        since=since,
    )


def conditions_of(row: PriceRow) -> dict[str, str]:
    """Under which conditions a row holds besides its dates, in words; nothing for standard calls."""
    found: dict[str, str] = {}
    way = "+".join(
        filter(None, ["batch" if row.batch else "", row.service_tier, row.speed and f"speed {row.speed}"])
    )
    if way:
        found["way"] = way
    if row.context_over is not None or row.context_upto is not None:
        over = f"over {row.context_over}" if row.context_over is not None else ""
        upto = f"up to {row.context_upto}" if row.context_upto is not None else ""
        found["context_tokens"] = ", ".join(filter(None, (over, upto)))
    if row.hours is not None:
        found["hours"] = f"{'-'.join(map(clock_text, row.hours))} UTC"
    if row.weekdays is not None:
        found["weekdays"] = " ".join(DAYS[day] for day in row.weekdays)
    if row.region is not None:
        found["region"] = row.region
    if row.minimum is not None:
        found["at_least"] = format_decimal(row.minimum)
    return found


def percent_text(old: Fraction | None, new: Fraction | None) -> str | None:
    """By how much the new price differs, in percent to two places; None where that isn't defined."""
    if old is None or new is None or not old:
        return None
    percent = (new / old - 1) * 100
    text = format_decimal(Decimal(round(percent * 100)).scaleb(-2))
    return text if percent < 0 else f"+{text}"


def decimal_text(price: Fraction) -> str:
    """A price as a plain decimal string; one without a decimal end is cut after 18 places."""
    return format_decimal(Decimal(round(price * 10**18)).scaleb(-18))
