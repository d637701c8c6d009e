"""Exchange rates in SQL; implements `ExchangeRateStore` of `pricing/exchange/store.py`.

A rate that replaces another one of its day and pair is a row of its own: the one recorded last counts.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, insert, or_, select, update

from bursar import ids
from bursar.errors import NotFound
from bursar.pricing.exchange.rates import ExchangeRate, RateEntry
from bursar.pricing.exchange.store import Added
from bursar.storage.relational.tables.agreements import EXCHANGE_RATES
from bursar.storage.relational.tenants import no_tenant
from bursar.storage.relational.transactions import reading, refusing, writing
from bursar.storage.relational.withdrawals import withdrawal_of, withdrawal_values

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import ColumnElement, Connection, Engine, Row

    from bursar.pricing.exchange.rates import Withdrawal
    from bursar.pricing.exchange.store import Author, RateAsk

_COLUMNS = EXCHANGE_RATES.c


class RelationalExchangeRates:
    """Keeps rates in the table behind an engine."""

    def __init__(self, engine: Engine) -> None:
        """Keep them behind `engine`, whose tables are up to date."""
        self._engine = engine

    def add_rates(self, owner: str | None, entries: Sequence[RateEntry], author: Author) -> Added:
        """See `ExchangeRateStore.add_rates`."""
        days = [entry.day for entry in entries]
        with writing(self._engine) as connection, refusing(orphan=no_tenant(owner or "")):
            known = _in_force(connection, _of_owner(owner) & _between(min(days), max(days)))
            entered = {one.entry for one in known}
            rows = [_row_of(owner, entry, author) for entry in entries if entry not in entered]
            if rows:
                connection.execute(insert(EXCHANGE_RATES), rows)
        return Added(len(rows), len(entries) - len(rows))

    def rates_between(
        self, tenant_id: str, currencies: Collection[str], first: date, last: date
    ) -> list[ExchangeRate]:
        """See `ExchangeRateStore.rates_between`."""
        if not currencies:
            return []
        wanted = _of_tenant_or_all(tenant_id) & _between(first, last) & _touches(currencies)
        with reading(self._engine) as connection:
            return _in_force(connection, wanted)

    def list_rates(self, ask: RateAsk) -> list[ExchangeRate]:
        """See `ExchangeRateStore.list_rates`."""
        question = select(EXCHANGE_RATES).where(_of_tenant_or_all(ask.tenant_id))
        if ask.first is not None or ask.last is not None:
            question = question.where(_between(ask.first or date.min, ask.last or date.max))
        if ask.currencies:
            question = question.where(_touches(ask.currencies))
        if not ask.has_withdrawn:
            question = question.where(_columns_in_force())
        if ask.after is not None:
            day, rate_id = ask.after[0].isoformat(), ask.after[1]
            question = question.where(
                or_(_COLUMNS.day < day, and_(_COLUMNS.day == day, _COLUMNS.id > rate_id))
            )
        question = question.order_by(_COLUMNS.day.desc(), _COLUMNS.id).limit(ask.limit)
        with reading(self._engine) as connection:
            return [_rate_of(row) for row in connection.execute(question)]

    def withdraw_rate(self, owner: str | None, rate_id: str, withdrawal: Withdrawal) -> ExchangeRate:
        """See `ExchangeRateStore.withdraw_rate`."""
        is_it = (_COLUMNS.id == rate_id) & _of_owner(owner)
        with writing(self._engine) as connection:
            connection.execute(
                update(EXCHANGE_RATES)
                .where(is_it, _COLUMNS.withdrawn_at.is_(None))
                .values(withdrawal_values(withdrawal))
            )
            row = connection.execute(select(EXCHANGE_RATES).where(is_it)).one_or_none()
        if row is None:
            message = f"There is no exchange rate {rate_id[:80]!r} of this owner."
            raise NotFound(message)
        return _rate_of(row)


def _of_owner(owner: str | None) -> ColumnElement[bool]:
    return _COLUMNS.tenant_id.is_(None) if owner is None else _COLUMNS.tenant_id == owner


def _of_tenant_or_all(tenant_id: str) -> ColumnElement[bool]:
    return or_(_COLUMNS.tenant_id.is_(None), _COLUMNS.tenant_id == tenant_id)


def _between(first: date, last: date) -> ColumnElement[bool]:
    return _COLUMNS.day.between(first.isoformat(), last.isoformat())


def _touches(currencies: Collection[str]) -> ColumnElement[bool]:
    names = sorted(currencies)
    return or_(_COLUMNS.base.in_(names), _COLUMNS.quote.in_(names))


def _columns_in_force() -> ColumnElement[bool]:
    """Neither withdrawn nor replaced by a later one of the same owner, day and pair."""
    later = EXCHANGE_RATES.alias("later")
    same_owner = or_(
        later.c.tenant_id == _COLUMNS.tenant_id,
        and_(later.c.tenant_id.is_(None), _COLUMNS.tenant_id.is_(None)),
    )
    is_later = or_(
        later.c.recorded_at > _COLUMNS.recorded_at,
        and_(later.c.recorded_at == _COLUMNS.recorded_at, later.c.id > _COLUMNS.id),
    )
    replaced = select(later.c.id).where(
        same_owner,
        later.c.day == _COLUMNS.day,
        later.c.base == _COLUMNS.base,
        later.c.quote == _COLUMNS.quote,
        later.c.withdrawn_at.is_(None),
        is_later,
    )
    return and_(_COLUMNS.withdrawn_at.is_(None), ~replaced.exists())


def _in_force(connection: Connection, wanted: ColumnElement[bool]) -> list[ExchangeRate]:
    """The rates that count among those wanted: of each owner, day and pair the one recorded last."""
    question = select(EXCHANGE_RATES).where(wanted, _COLUMNS.withdrawn_at.is_(None))
    found: dict[tuple[str | None, str, str, str], Row[Any]] = {}
    for row in connection.execute(question.order_by(_COLUMNS.recorded_at, _COLUMNS.id)):
        found[row.tenant_id, row.day, row.base, row.quote] = row
    return [_rate_of(row) for row in found.values()]


def _row_of(owner: str | None, entry: RateEntry, author: Author) -> dict[str, Any]:
    return {
        "id": ids.make_id("fx"),
        "tenant_id": owner,
        "day": entry.day.isoformat(),
        "base": entry.base,
        "quote": entry.quote,
        "rate": str(entry.rate),
        "source": entry.source,
        "recorded_at": author.at,
        "created_by": author.key_id,
    }


def _rate_of(row: Row[Any]) -> ExchangeRate:
    entry = RateEntry(date.fromisoformat(row.day), row.base, row.quote, Decimal(row.rate), row.source)
    return ExchangeRate(row.id, row.tenant_id, entry, row.recorded_at, row.created_by, withdrawal_of(row))
