"""What tenants agreed on and chose about prices, in SQL; implements `AgreementStore`.

Every change renews the tenant's stamp in its own transaction, which also holds off every other change of
that tenant until it ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import and_, insert, or_, select, update

from bursar import ids
from bursar.errors import Conflict, NotFound, Reason
from bursar.pricing.agreements.store import Agreed, TermRecord
from bursar.pricing.choices import PricingChoices
from bursar.storage.relational.tables.agreements import PRICE_TERMS, TENANT_PRICING
from bursar.storage.relational.tables.identity import TENANTS
from bursar.storage.relational.tenants import no_tenant
from bursar.storage.relational.transactions import reading, reading_once, refusing, writing
from bursar.storage.relational.withdrawals import withdrawal_of, withdrawal_values

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Engine, Row

    from bursar.pricing.agreements.store import TermAsk
    from bursar.pricing.exchange.rates import Withdrawal

_TERMS = PRICE_TERMS.c


class RelationalAgreements:
    """Keeps agreements in the tables behind an engine."""

    def __init__(self, engine: Engine) -> None:
        """Keep them behind `engine`, whose tables are up to date."""
        self._engine = engine

    def stamps(self) -> Mapping[str, str]:
        """See `AgreementStore.stamps`."""
        with reading(self._engine) as connection:
            found = connection.execute(select(TENANT_PRICING.c.tenant_id, TENANT_PRICING.c.stamp))
            return {row.tenant_id: row.stamp for row in found}

    def agreed(self, tenant_id: str) -> Agreed | None:
        """See `AgreementStore.agreed`."""
        chosen = select(TENANT_PRICING).where(TENANT_PRICING.c.tenant_id == tenant_id)
        with reading_once(self._engine) as connection:
            row = connection.execute(chosen).one_or_none()
            if row is None:
                return None
            return Agreed(row.stamp, _choices_of(row), tuple(_in_force(connection, tenant_id)))

    def choose(self, tenant_id: str, choices: PricingChoices) -> None:
        """See `AgreementStore.choose`."""
        values = {
            "reporting_currency": choices.reporting_currency,
            "exchange_rate_days": choices.exchange_rate_days,
            "trusted_providers": msgspec.json.encode(sorted(choices.trusted_providers)).decode(),
        }
        with writing(self._engine) as connection:
            _renew_stamp(connection, tenant_id, values)

    def add_term(
        self, record: TermRecord, check: Callable[[Sequence[TermRecord]], None]
    ) -> tuple[TermRecord, bool]:
        """See `AgreementStore.add_term`."""
        message = f"{record.id!r} stands for something else already; use another Idempotency-Key."
        taken = Conflict(message, reasons=(Reason("Idempotency-Key", "other_content", message),))
        with writing(self._engine) as connection, refusing(duplicate=taken):
            _renew_stamp(connection, record.tenant_id)
            row = connection.execute(select(PRICE_TERMS).where(_is_term(record))).one_or_none()
            if row is not None:
                if (row.kind, row.document) != (record.kind, record.document):
                    raise taken
                return _record_of(row), False
            check(_in_force(connection, record.tenant_id))
            connection.execute(insert(PRICE_TERMS).values(_row_of(record)))
        return record, True

    def withdraw_term(
        self, tenant_id: str, kinds: Collection[str], record_id: str, withdrawal: Withdrawal
    ) -> TermRecord:
        """See `AgreementStore.withdraw_term`."""
        is_it = (_TERMS.tenant_id == tenant_id) & (_TERMS.id == record_id) & _TERMS.kind.in_(list(kinds))
        gone = update(PRICE_TERMS).where(is_it, _TERMS.withdrawn_at.is_(None))
        with writing(self._engine) as connection:
            _renew_stamp(connection, tenant_id)
            connection.execute(gone.values(withdrawal_values(withdrawal)))
            row = connection.execute(select(PRICE_TERMS).where(is_it)).one_or_none()
            if row is None:
                message = f"There is no such agreement: {record_id[:80]!r}."
                raise NotFound(message)
        return _record_of(row)

    def list_terms(self, ask: TermAsk) -> list[TermRecord]:
        """See `AgreementStore.list_terms`."""
        question = select(PRICE_TERMS).where(
            _TERMS.tenant_id == ask.tenant_id, _TERMS.kind.in_(list(ask.kinds))
        )
        if ask.project_id is not None:
            question = question.where(_TERMS.project_id == ask.project_id)
        if not ask.has_withdrawn:
            question = question.where(_TERMS.withdrawn_at.is_(None))
        if ask.after is not None:
            moment, record_id = ask.after
            same = and_(_TERMS.recorded_at == moment, _TERMS.id > record_id)
            question = question.where(or_(_TERMS.recorded_at > moment, same))
        question = question.order_by(_TERMS.recorded_at, _TERMS.id).limit(ask.limit)
        with reading(self._engine) as connection:
            return [_record_of(row) for row in connection.execute(question)]


def _renew_stamp(connection: Connection, tenant_id: str, values: Mapping[str, Any] | None = None) -> None:
    """Let every process read again what this tenant agreed on, and keep `values` of its row.

    Until the transaction ends no other one changes anything of the tenant's prices.

    Raises:
        NotFound: there is no such tenant.
    """
    # On PostgreSQL two that change something at once wait for each other here.
    found = select(TENANTS.c.id).where(TENANTS.c.id == tenant_id).with_for_update(key_share=True)
    if connection.execute(found).one_or_none() is None:
        raise no_tenant(tenant_id)
    row = {"stamp": ids.make_id("stamp"), **(values or {})}
    mine = TENANT_PRICING.c.tenant_id == tenant_id
    if not connection.execute(update(TENANT_PRICING).where(mine).values(row)).rowcount:
        connection.execute(insert(TENANT_PRICING).values(tenant_id=tenant_id, **row))


def _in_force(connection: Connection, tenant_id: str) -> list[TermRecord]:
    question = select(PRICE_TERMS).where(_TERMS.tenant_id == tenant_id, _TERMS.withdrawn_at.is_(None))
    found = connection.execute(question.order_by(_TERMS.recorded_at, _TERMS.id))
    return [_record_of(row) for row in found]


def _is_term(record: TermRecord) -> ColumnElement[bool]:
    return (_TERMS.tenant_id == record.tenant_id) & (_TERMS.id == record.id)


def _choices_of(row: Row[Any]) -> PricingChoices:
    trusted: list[str] = msgspec.json.decode(row.trusted_providers or "[]", type=list[str])
    return PricingChoices(row.reporting_currency, row.exchange_rate_days, frozenset(trusted))


def _row_of(record: TermRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "tenant_id": record.tenant_id,
        "kind": record.kind,
        "project_id": record.project_id,
        "document": record.document,
        "recorded_at": record.recorded_at,
        "created_by": record.created_by,
    }


def _record_of(row: Row[Any]) -> TermRecord:
    return TermRecord(
        row.id,
        row.tenant_id,
        row.kind,
        row.project_id,
        row.document,
        row.recorded_at,
        row.created_by,
        withdrawal_of(row),
    )
