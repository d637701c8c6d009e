"""What an update would change, model by model: pure, from what is kept and what a source says.

Per line (a model's price unit, way of calling and region) there is one moment from which the source
counts. It is the update's `valid_from`, or the first date that the source itself names, if that is
earlier; before it everything stays as it was known. A line that the book had no price for, not even a
broader one, counts from the source's own date, else from always: usage that was unpriced can be priced.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from bursar.pricing.keeping.kept import KeptRow, RowEnd
from bursar.pricing.price_units import price_unit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from bursar.pricing.rows import PriceRow, Way


class Line(NamedTuple):
    """What one price list has one price for at a time, but for hours and prompt sizes."""

    unit: str
    way: Way
    region: str | None


class LineChange(NamedTuple):
    """What happens to one line."""

    line: Line
    ended: list[RowEnd]
    added: list[PriceRow]


def change_model(
    kept: Sequence[KeptRow],
    said: Sequence[PriceRow],
    valid_from: datetime,
    had_price: Callable[[Line], bool],
) -> list[LineChange]:
    """The changes to one model's rows, when a source says these in the place of those that are kept.

    `had_price` tells of a line without rows whether what it is a price of had a price all the same: then
    its rows are a change, not something new.
    """
    before = _by_line(kept)
    after: dict[Line, list[PriceRow]] = {}
    for row in said:
        after.setdefault(line_of(row), []).append(row)
    changes: list[LineChange] = []
    for line in dict.fromkeys((*before, *after)):
        old, new = before.get(line, []), after.get(line, [])
        if not old and not had_price(line):
            changes.append(LineChange(line, [], new))
            continue
        ended, added = _change_line(old, new, _boundary(new, valid_from))
        if ended or added:
            changes.append(LineChange(line, ended, added))
    return changes


def line_of(row: PriceRow) -> Line:
    """The line that a row belongs to."""
    return Line(row.unit, row.way, row.region)


def is_covered(line: Line, known: Iterable[Line]) -> bool:
    """Whether what the line is a price of had a price by other lines already."""
    own = price_unit(line.unit).dimensions
    return any(
        other.way == line.way
        and (other.region == line.region or other.region is None)
        and price_unit(other.unit).dimensions <= own
        for other in known
    )


def _by_line(kept: Iterable[KeptRow]) -> dict[Line, list[KeptRow]]:
    lines: dict[Line, list[KeptRow]] = {}
    for one in kept:
        if not one.is_empty:
            lines.setdefault(line_of(one.row), []).append(one)
    return lines


def _boundary(said: Iterable[PriceRow], valid_from: datetime) -> datetime:
    dates = [row.valid_from for row in said if row.valid_from is not None]
    return min((valid_from, *dates))


def _change_line(
    kept: Sequence[KeptRow], said: Sequence[PriceRow], boundary: datetime
) -> tuple[list[RowEnd], list[PriceRow]]:
    """Replace what holds from the boundary on by what is said of that time; what agrees stays."""
    waiting = {one.id: one for one in kept if one.ends_at is None or one.ends_at > boundary}
    ended: list[RowEnd] = []
    added: list[PriceRow] = []
    for row in said:
        if row.valid_to is not None and row.valid_to <= boundary:
            continue
        starts = _later(row.valid_from, boundary)
        same = next((one for one in waiting.values() if _continues(one, row, starts, boundary)), None)
        if same is None:
            added.append(row if starts == row.valid_from else msgspec.structs.replace(row, valid_from=starts))
            continue
        del waiting[same.id]
        if row.valid_to is not None and (same.ends_at is None or row.valid_to < same.ends_at):
            ended.append(RowEnd(same.id, row.valid_to))
        elif same.ends_at is not None and (row.valid_to is None or same.ends_at < row.valid_to):
            added.append(msgspec.structs.replace(row, valid_from=same.ends_at))
    ended += [RowEnd(one.id, boundary) for one in waiting.values()]
    return ended, added


def _continues(one: KeptRow, row: PriceRow, starts: datetime, boundary: datetime) -> bool:
    """Whether a kept row says from the same moment on what this one says."""
    return _later(one.row.valid_from, boundary) == starts and terms_of(one.row) == terms_of(row)


def _later(moment: datetime | None, other: datetime) -> datetime:
    return other if moment is None or moment < other else moment


def terms_of(row: PriceRow) -> tuple[object, ...]:
    """What a row says within its line, whenever it holds: conditions, price and who says so."""
    return (
        row.context_over,
        row.context_upto,
        row.hours,
        row.weekdays,
        Fraction(row.price) / row.per,
        row.currency,
        row.minimum,
        row.source,
    )
