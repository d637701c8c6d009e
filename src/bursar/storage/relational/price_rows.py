"""Price rows as rows of a table: both ways, and quickly, for the book has some ten thousand of them.

The mass goes through the driver with plain tuples, because SQLAlchemy's own handling of ten thousand rows
takes half a second of a start; which is why moments are converted here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert

from bursar.money import format_decimal
from bursar.pricing.rows import PriceRow
from bursar.storage.relational.engine import is_sqlite
from bursar.storage.relational.tables.metadata import UtcMoment
from bursar.storage.relational.tables.prices import PRICE_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection, Table

_SQLITE_MOMENT = "%04d-%02d-%02d %02d:%02d:%02d.%06d"
"""As SQLAlchemy writes them there."""


def insert_plainly(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows whose values are in the order of the table's columns."""
    if not rows:
        return
    statement = str(insert(table).compile(connection.engine))
    moments = [place for place, column in enumerate(table.columns) if isinstance(column.type, UtcMoment)]
    if is_sqlite(connection.engine):
        connection.exec_driver_sql(statement, [_with_texts(row, moments) for row in rows])
        return
    names = [column.name for column in table.columns]
    connection.exec_driver_sql(statement, [dict(zip(names, row, strict=True)) for row in rows])


def _with_texts(row: tuple[Any, ...], moments: Sequence[int]) -> tuple[Any, ...]:
    """The row with its moments as texts."""
    if all(row[place] is None for place in moments):
        return row
    values = list(row)
    for place in moments:
        if values[place] is not None:
            values[place] = _sqlite_moment(values[place])
    return tuple(values)


def _sqlite_moment(moment: datetime) -> str:
    utc = moment.astimezone(UTC)
    parts = (utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second, utc.microsecond)
    return _SQLITE_MOMENT % parts


def values_of(row_id: int, update: int, row: PriceRow) -> tuple[Any, ...]:
    """A row's values in the order of the table's columns."""
    hours = row.hours or (None, None)
    return (
        row_id,
        update,
        row.provider,
        row.model,
        row.unit,
        format_decimal(row.price),
        row.per,
        row.currency,
        row.context_over,
        row.context_upto,
        row.service_tier,
        row.batch,
        row.speed,
        row.region,
        hours[0],
        hours[1],
        None if row.weekdays is None else "".join(map(str, row.weekdays)),
        None if row.minimum is None else format_decimal(row.minimum),
        row.valid_from,
        row.valid_to,
        row.source,
        row.link,
        row.hash,
    )


def moment_of(value: datetime | str | None) -> datetime | None:
    """A moment as the driver gave it: SQLite's text, or PostgreSQL's aware datetime."""
    if isinstance(value, str):
        return datetime.fromisoformat(value).replace(tzinfo=UTC)
    return None if value is None else value.astimezone(UTC)


def row_of(values: Sequence[Any]) -> PriceRow:
    """The row of a table row as the driver gave it."""
    named = dict(zip(_NAMES, values, strict=True))
    hours = named["hours_from"], named["hours_to"]
    days, minimum = named["weekdays"], named["minimum"]
    return PriceRow(
        provider=named["provider"],
        model=named["model"],
        unit=named["unit"],
        price=Decimal(named["price"]),
        per=named["per"],
        currency=named["currency"],
        context_over=named["context_over"],
        context_upto=named["context_upto"],
        service_tier=named["service_tier"],
        batch=bool(named["batch"]),
        speed=named["speed"],
        region=named["region"],
        hours=None if hours[0] is None else hours,
        weekdays=None if days is None else tuple(map(int, days)),
        minimum=None if minimum is None else Decimal(minimum),
        valid_from=moment_of(named["valid_from"]),
        valid_to=moment_of(named["valid_to"]),
        source=named["source"],
        link=named["link"],
    )


_NAMES: Iterable[str] = tuple(str(column.name) for column in PRICE_ROWS.columns)
