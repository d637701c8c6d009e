"""Privacy rules in SQL; implements `PrivacyStore` of `usage/privacy/store.py`.

A row per tenant that chose anything, its rules as JSON. Every change gives it another random number: their
sum and the number of rows are the stamp by which other processes see that something changed.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import delete, func, insert, select, update

from bursar.storage.relational.tables.identity import TENANTS
from bursar.storage.relational.tables.privacy import PRIVACY_RULES, REDACTIONS
from bursar.storage.relational.tenants import no_tenant
from bursar.storage.relational.transactions import reading, refusing, writing
from bursar.usage.privacy.rules import PrivacyRules
from bursar.usage.privacy.store import ChosenRules

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Engine

_CHANGE_BITS = 40
"""Of a change's number: eight million of them add up within 63 bits, which is all that SQLite can add."""
_RULES = PRIVACY_RULES.c
_COUNTS = REDACTIONS.c
_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder(PrivacyRules).decode


class RelationalPrivacy:
    """Keeps privacy rules in the tables behind an engine."""

    def __init__(self, engine: Engine) -> None:
        """Keep them behind `engine`, whose tables are up to date."""
        self._engine = engine

    def stamp(self) -> object:
        """See `PrivacyStore.stamp`."""
        question = select(func.count(), func.sum(_RULES.change_number)).select_from(PRIVACY_RULES)
        with reading(self._engine) as connection:
            return tuple(connection.execute(question).one())

    def all_rules(self) -> Sequence[ChosenRules]:
        """See `PrivacyStore.all_rules`."""
        with reading(self._engine) as connection:
            return [
                ChosenRules(row.tenant_id, _decode(row.rules), row.secret_id, row.changed_at, row.changed_by)
                for row in connection.execute(select(PRIVACY_RULES))
            ]

    def choose(self, chosen: ChosenRules) -> None:
        """See `PrivacyStore.choose`."""
        row = insert(PRIVACY_RULES).values(
            tenant_id=chosen.tenant_id,
            rules=_encode(chosen.rules).decode(),
            secret_id=chosen.secret_id,
            changed_at=chosen.changed_at,
            changed_by=chosen.changed_by,
            change_number=secrets.randbits(_CHANGE_BITS),
        )
        with writing(self._engine) as connection, refusing(orphan=no_tenant(chosen.tenant_id)):
            connection.execute(delete(PRIVACY_RULES).where(_RULES.tenant_id == chosen.tenant_id))
            connection.execute(row)

    def add_redactions(self, counts: Mapping[tuple[str, str], int]) -> None:
        """See `PrivacyStore.add_redactions`."""
        by_tenant: dict[str, dict[str, int]] = defaultdict(dict)
        for (tenant_id, rule), times in sorted(counts.items()):
            by_tenant[tenant_id][rule] = times
        with writing(self._engine) as connection:
            for tenant_id, rules in by_tenant.items():
                # The lock on the tenant's row makes others wait, so that none inserts the same row.
                found = select(TENANTS.c.id).where(TENANTS.c.id == tenant_id).with_for_update()
                if connection.execute(found).one_or_none() is None:
                    continue
                for rule, times in rules.items():
                    row = (_COUNTS.tenant_id == tenant_id) & (_COUNTS.rule == rule)
                    added = update(REDACTIONS).where(row).values(times=_COUNTS.times + times)
                    if not connection.execute(added).rowcount:
                        new = insert(REDACTIONS).values(tenant_id=tenant_id, rule=rule, times=times)
                        connection.execute(new)

    def redactions(self, tenant_id: str) -> Mapping[str, int]:
        """See `PrivacyStore.redactions`."""
        question = select(_COUNTS.rule, _COUNTS.times).where(_COUNTS.tenant_id == tenant_id)
        with reading(self._engine) as connection:
            return {row.rule: row.times for row in connection.execute(question.order_by(_COUNTS.rule))}
