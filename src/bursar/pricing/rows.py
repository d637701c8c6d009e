"""Price rows: the normal form in which prices are kept, compared, and built into tariffs.

A row is one price of one model under stated conditions. At most one row holds for one model, price
unit, way of calling, region, moment and prompt size: rows have no order and never override each
other, so a set of rows says the same however it is stored or merged. For each way of calling the rows
that hold make the whole price list; nothing is inherited from standard calls. Where a price changes,
a row ends and another begins. Rows say nothing of names: which model a call means is told by
`entries.py`, and `tariff.py` turns rows into rates.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec

from bursar.money import CURRENCY_PATTERN, format_decimal
from bursar.pricing.documents import Document, content_hash

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DAY_SECONDS = 86_400
WEEKDAYS = 7
USD = "USD"
CONTRACT = "contract:"
"""How the source of a customer's own price begins; the id of the term follows."""
EVER = datetime.min.replace(tzinfo=UTC)
"""Since when holds what has no first moment."""
_NEVER = datetime.max.replace(tzinfo=UTC)


class Dated(Protocol):
    """What holds from a moment on, or until one."""

    @property
    def valid_from(self) -> datetime | None:
        """The first moment, aware; None is ever since."""
        ...

    @property
    def valid_to(self) -> datetime | None:
        """The first moment at which it holds no longer; None is for ever."""
        ...


def is_in_force(one: Dated, moment: datetime) -> bool:
    """Whether its dates include this aware moment."""
    begun = one.valid_from is None or one.valid_from <= moment
    return begun and (one.valid_to is None or moment < one.valid_to)


def second_of_day(moment: datetime) -> int:
    """How many whole seconds of its UTC day have passed at this aware moment."""
    utc = moment.astimezone(UTC)
    return utc.hour * 3600 + utc.minute * 60 + utc.second


def is_within(hours: tuple[int, int], second: int) -> bool:
    """Whether hours of the day, which may run over midnight, include this second of it."""
    start, end = hours
    return start <= second < end if start <= end else second >= start or second < end


class Way(NamedTuple):
    """How a call is made, as far as it has prices of its own; all standard is a standard call."""

    service_tier: str | None = None
    batch: bool = False
    speed: str | None = None


class PriceRow(Document, frozen=True, kw_only=True, omit_defaults=True):
    """One price of one model under stated conditions; a condition that is None holds always."""

    provider: str
    """The id of who bills."""
    model: str
    """The id of the model's entry."""
    unit: str
    """A price unit (`price_units.py`), or the name of a custom unit."""
    price: Decimal
    """In the currency, for `per` of the unit; zero or more."""
    per: int = 1
    currency: str = USD
    context_over: int | None = None
    """Holds for prompts of more tokens than this; such a price is that of the whole request."""
    context_upto: int | None = None
    """Holds for prompts of up to so many tokens."""
    service_tier: str | None = None
    """In lower case, as `tiers.py` writes it; None is the standard tier."""
    batch: bool = False
    speed: str | None = None
    """None is the standard speed."""
    region: str | None = None
    """In lower case; None holds in every region that no row of the same unit, way and moment names."""
    hours: tuple[int, int] | None = None
    """From and to (exclusive) in seconds of the UTC day; from > to runs over midnight."""
    weekdays: tuple[int, ...] | None = None
    """Days of the week in UTC, 0 is Monday, ascending; the day is that of the call itself, also after
    midnight."""
    minimum: Decimal | None = None
    """The least quantity billed, in whole units; some bill a call for ten seconds at least."""
    valid_from: datetime | None = None
    """The first moment, aware."""
    valid_to: datetime | None = None
    """The first moment at which it holds no longer, aware."""
    source: str
    """Which source says so, such as `genai-prices`."""
    link: str
    """Where it can be read; empty where nobody published it."""

    def __post_init__(self) -> None:
        """Write numbers and moments in the one way that makes equal rows equal text."""
        put = msgspec.structs.force_setattr
        # A default is left out of JSON where it is the very same object.
        put(self, "currency", sys.intern(self.currency))
        put(self, "price", Decimal(format_decimal(self.price)))
        if self.minimum is not None:
            put(self, "minimum", Decimal(format_decimal(self.minimum)))
        for name in ("valid_from", "valid_to"):
            moment: datetime | None = getattr(self, name)
            if moment is not None and moment.tzinfo is not UTC:
                put(self, name, moment.astimezone(UTC))

    @property
    def way(self) -> Way:
        """The way of calling that it is a price of."""
        return Way(self.service_tier, self.batch, self.speed)

    @property
    def is_contracted(self) -> bool:
        """Whether it is a customer's own price (`terms.py`) and no list price."""
        return self.source.startswith(CONTRACT)

    @property
    def hash(self) -> str:
        """128 bits of BLAKE2b over its content, as 32 hex digits."""
        return content_hash(self.to_json().encode())

    def holds_at(self, moment: datetime) -> bool:
        """Whether its dates, hours and weekdays include this aware moment."""
        if not is_in_force(self, moment):
            return False
        if self.weekdays is not None and moment.astimezone(UTC).weekday() not in self.weekdays:
            return False
        return self.holds_in_second(second_of_day(moment))

    def holds_in_second(self, second: int) -> bool:
        """Whether its hours include this second of the UTC day."""
        return self.hours is None or is_within(self.hours, second)

    def holds_for_prompt(self, context_tokens: int) -> bool:
        """Whether it is a price of prompts of this size."""
        above = self.context_over is None or context_tokens > self.context_over
        return above and (self.context_upto is None or context_tokens <= self.context_upto)


PRICE_LIMIT = 10**9
"""No price that anybody asks is higher; one that is would have its events refused for their cost."""
TOKENS_LIMIT = 10**12
"""No prompt is longer."""
PLACES_LIMIT = 30
"""Prices of a single token that were written from floats have up to 24."""


def row_faults(row: PriceRow) -> Iterator[tuple[str, str]]:
    """(field, what is wrong) for everything that makes it no row of the normal form."""
    if not row.price.is_finite() or row.price < 0:
        yield "price", "must be zero or more"
    elif row.price > PRICE_LIMIT or int(row.price.normalize().as_tuple().exponent) < -PLACES_LIMIT:
        yield "price", f"must be at most {PRICE_LIMIT}, with at most {PLACES_LIMIT} decimal places"
    if row.per < 1:
        yield "per", "must be at least 1"
    if not CURRENCY_PATTERN.fullmatch(row.currency):
        yield "currency", "must be an ISO 4217 code such as USD"
    if row.minimum is not None and (not row.minimum.is_finite() or row.minimum <= 0):
        yield "minimum", "must be more than zero"
    if row.valid_from and row.valid_to and row.valid_from >= row.valid_to:
        yield "valid_to", "must be later than valid_from"
    yield from _condition_faults(row)
    yield from _window_faults(row)


def _condition_faults(row: PriceRow) -> Iterator[tuple[str, str]]:
    over, upto = row.context_over, row.context_upto
    for field, bound in (("context_over", over), ("context_upto", upto)):
        if bound is not None and not 0 <= bound <= TOKENS_LIMIT:
            yield field, f"must be from 0 to {TOKENS_LIMIT}"
    if over is not None and upto is not None and over >= upto:
        yield "context_upto", "must be more than context_over"
    for field in ("unit", "service_tier", "speed", "region", "link"):
        if "\0" in (getattr(row, field) or ""):
            yield field, "must not hold the character NUL, which PostgreSQL can't keep"


def _window_faults(row: PriceRow) -> Iterator[tuple[str, str]]:
    if row.hours is not None:
        start, end = row.hours
        if start == end or not (0 <= start < DAY_SECONDS and 0 <= end <= DAY_SECONDS):
            yield "hours", "must be two different seconds of the day, such as [59400, 1800]"
    days = row.weekdays
    if days is not None and (not days or list(days) != sorted({day for day in days if 0 <= day < WEEKDAYS})):
        yield "weekdays", "must be ascending days from 0 (Monday) to 6 (Sunday)"


def overlapping_rows(rows: Iterable[PriceRow]) -> list[tuple[PriceRow, PriceRow]]:
    """Pairs of rows that would hold at once, which the normal form forbids."""
    groups: dict[tuple[str, str, str, Way, str | None], list[PriceRow]] = {}
    for row in rows:
        place = (row.provider, row.model, row.unit, row.way, row.region)
        groups.setdefault(place, []).append(row)
    return [
        (one, other)
        for group in groups.values()
        for position, one in enumerate(group)
        for other in group[position + 1 :]
        if _overlap(one, other)
    ]


def _overlap(one: PriceRow, other: PriceRow) -> bool:
    starts = max(one.valid_from or EVER, other.valid_from or EVER)
    ends = min(one.valid_to or _NEVER, other.valid_to or _NEVER)
    return starts < ends and share_calls(one, other)


def share_calls(one: PriceRow, other: PriceRow) -> bool:
    """Whether there are calls, alike but for their size and time, to which both apply; dates aside."""
    over = max(row.context_over if row.context_over is not None else -1 for row in (one, other))
    uptos = [row.context_upto for row in (one, other) if row.context_upto is not None]
    days = set(one.weekdays or range(WEEKDAYS)) & set(other.weekdays or range(WEEKDAYS))
    seconds = (0, *(one.hours or ()), *(other.hours or ()))
    return (
        (not uptos or over < min(uptos))
        and bool(days)
        and any(
            one.holds_in_second(second % DAY_SECONDS) and other.holds_in_second(second % DAY_SECONDS)
            for second in seconds
        )
    )
