"""Registered services and billing rules in SQL; implements `BillingStore` of `billing/registry.py`.

What was said is kept whole, as the JSON of its values; the columns beside it are what is asked for. Nothing
is updated but the note that a rule was withdrawn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import func, insert, select, update

from bursar.billing.registered import RecordedRule, RegisteredService, ServiceVersion
from bursar.errors import Conflict, NotFound, Reason
from bursar.pricing.rules.rule import BillingRule
from bursar.storage.relational.tables.billing import BILLING_RULES, SERVICE_VERSIONS
from bursar.storage.relational.tenants import no_tenant
from bursar.storage.relational.transactions import reading, refusing, writing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Engine, Row

_read_service = msgspec.json.Decoder(RegisteredService).decode
_read_rule = msgspec.json.Decoder(BillingRule).decode


class RelationalBilling:
    """Keeps services and rules in the tables behind an engine."""

    def __init__(self, engine: Engine) -> None:
        """Keep them behind `engine`, whose tables are up to date."""
        self._engine = engine

    def stamp(self) -> object:
        """See `BillingStore.stamp`."""
        versions, rules = SERVICE_VERSIONS.c, BILLING_RULES.c
        of_versions = select(func.count(), func.max(versions.recorded_at)).select_from(SERVICE_VERSIONS)
        of_rules = select(
            func.count(),
            func.max(rules.recorded_at),
            func.count(rules.withdrawn_at),
            func.max(rules.withdrawn_at),
        ).select_from(BILLING_RULES)
        with reading(self._engine) as connection:
            return tuple(connection.execute(of_versions).one()), tuple(connection.execute(of_rules).one())

    def versions(self, tenant_id: str | None = None) -> Sequence[ServiceVersion]:
        """See `BillingStore.versions`."""
        columns = SERVICE_VERSIONS.c
        question = select(SERVICE_VERSIONS).order_by(columns.tenant_id, columns.service_type, columns.version)
        if tenant_id is not None:
            question = question.where(columns.tenant_id == tenant_id)
        with reading(self._engine) as connection:
            return [_version_of(row) for row in connection.execute(question)]

    def rules(self, tenant_id: str | None = None) -> Sequence[RecordedRule]:
        """See `BillingStore.rules`."""
        columns = BILLING_RULES.c
        question = select(BILLING_RULES).order_by(columns.recorded_at, columns.id)
        if tenant_id is not None:
            question = question.where(columns.tenant_id == tenant_id)
        with reading(self._engine) as connection:
            return [_rule_of(row) for row in connection.execute(question)]

    def add_version(self, version: ServiceVersion) -> None:
        """See `BillingStore.add_version`."""
        message = f"The service '{version.service_type}' was changed by somebody else meanwhile; look again."
        taken = Conflict(message, reasons=(Reason("service_type", "changed_meanwhile", message),))
        document = None
        if version.registered is not None:
            document = msgspec.json.encode(version.registered).decode()
        row = insert(SERVICE_VERSIONS).values(
            tenant_id=version.tenant_id,
            service_type=version.service_type,
            version=version.version,
            document=document,
            recorded_at=version.recorded_at,
            recorded_by=version.recorded_by,
        )
        orphan = no_tenant(version.tenant_id)
        with writing(self._engine) as connection, refusing(duplicate=taken, orphan=orphan):
            connection.execute(row)

    def add_rule(self, recorded: RecordedRule) -> None:
        """See `BillingStore.add_rule`."""
        rule = recorded.rule
        row = insert(BILLING_RULES).values(
            tenant_id=recorded.tenant_id,
            id=rule.id,
            service_type=rule.service_type,
            document=msgspec.json.encode(rule).decode(),
            recorded_at=rule.recorded_at,
            recorded_by=rule.recorded_by,
        )
        with writing(self._engine) as connection, refusing(orphan=no_tenant(recorded.tenant_id)):
            connection.execute(row)

    def withdraw_rule(self, tenant_id: str, rule_id: str, now: datetime, by: str) -> None:
        """See `BillingStore.withdraw_rule`."""
        columns = BILLING_RULES.c
        is_rule = (columns.tenant_id == tenant_id) & (columns.id == rule_id)
        statement = update(BILLING_RULES).where(is_rule & columns.withdrawn_at.is_(None))
        with writing(self._engine) as connection:
            if connection.execute(select(columns.id).where(is_rule)).first() is None:
                message = f"There is no billing rule '{rule_id}'."
                raise NotFound(message)
            connection.execute(statement.values(withdrawn_at=now, withdrawn_by=by))


def _version_of(row: Row[Any]) -> ServiceVersion:
    return ServiceVersion(
        tenant_id=row.tenant_id,
        service_type=row.service_type,
        version=row.version,
        registered=None if row.document is None else _read_service(row.document),
        recorded_at=row.recorded_at,
        recorded_by=row.recorded_by,
    )


def _rule_of(row: Row[Any]) -> RecordedRule:
    return RecordedRule(
        tenant_id=row.tenant_id,
        rule=_read_rule(row.document),
        withdrawn_at=row.withdrawn_at,
        withdrawn_by=row.withdrawn_by,
    )
