"""The audit log in SQL; implements `AuditStore` of `identity/audit/store.py`.

Writers of one chain take turns: SQLite has one writer, PostgreSQL locks the row that says where the chain
ends. The primary key of the entries would refuse a second entry of one number all the same.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, inspect, select, update
from sqlalchemy.dialects import postgresql, sqlite

from bursar.errors import Unavailable
from bursar.identity.audit.entry import PLATFORM, Entry, Head, Words, hash_of, new_head, read_words, spell
from bursar.identity.audit.store import KeptEntry
from bursar.storage.relational.engine import is_sqlite
from bursar.storage.relational.tables.audit import AUDIT_CHAINS, AUDIT_ENTRIES
from bursar.storage.relational.tables.identity import TENANTS
from bursar.storage.relational.tenants import no_tenant
from bursar.storage.relational.transactions import reading, reading_once, refusing, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Engine, Row

    from bursar.identity.audit.deed import Deed
    from bursar.identity.audit.store import AuditAsk

ROWS_AT_ONCE = 1_000
_C, _E = AUDIT_CHAINS.c, AUDIT_ENTRIES.c


class RelationalAudit:
    """Keeps the chains in the tables behind an engine."""

    def __init__(self, engine: Engine) -> None:
        """Keep them behind `engine`, whose tables are up to date."""
        self._engine = engine

    def append(self, owner: str, deed: Deed, at: datetime) -> Entry:
        """See `AuditStore.append`."""
        with writing(self._engine) as connection, refusing(orphan=no_tenant(owner)):
            return _append(connection, _lock_head(connection, owner), deed, at)

    def entries(self, ask: AuditAsk) -> Sequence[Entry]:
        """See `AuditStore.entries`."""
        question = (
            select(AUDIT_ENTRIES)
            .where(_E.owner == ask.owner, *_conditions(ask))
            .order_by(_E.number.desc())
            .limit(ask.limit + 1)
        )
        with reading(self._engine) as connection:
            return [_entry_of(row) for row in connection.execute(question)]

    def heads(self, owner: str | None = None) -> Sequence[Head]:
        """See `AuditStore.heads`."""
        question = select(AUDIT_CHAINS).order_by(_C.owner)
        if owner is not None:
            question = question.where(_C.owner == owner)
        with reading(self._engine) as connection:
            return [_head_of(row) for row in connection.execute(question)]

    @contextmanager
    def read_chain(self, owner: str) -> Generator[tuple[Head | None, Iterator[KeptEntry]]]:
        """See `AuditStore.read_chain`."""
        question = select(AUDIT_ENTRIES).where(_E.owner == owner).order_by(_E.number)
        with reading_once(self._engine) as connection:
            row = connection.execute(select(AUDIT_CHAINS).where(_C.owner == owner)).one_or_none()
            in_parts = connection.execution_options(yield_per=ROWS_AT_ONCE)
            with in_parts.execute(question) as rows:
                yield (None if row is None else _head_of(row)), map(_kept_of, rows)

    def trim(
        self, owner: str, before: datetime, deed_of: Callable[[Head], Deed], at: datetime
    ) -> Entry | None:
        """See `AuditStore.trim`."""
        mine = _E.owner == owner
        with writing(self._engine) as connection, refusing(orphan=no_tenant(owner)):
            head = _lock_head(connection, owner)
            # Servers' clocks differ a little; only what all later entries agree upon is a chain's beginning.
            young = connection.execute(select(func.min(_E.number)).where(mine, _E.at >= before)).scalar()
            through = head.number if young is None else young - 1
            last = connection.execute(select(_E.hash).where(mine, _E.number == through)).scalar()
            if through <= head.trimmed_number or last is None:
                return None
            trimmed = replace(head, trimmed_number=through, trimmed_hash=last)
            entry = _append(connection, trimmed, deed_of(trimmed), at)
            connection.execute(delete(AUDIT_ENTRIES).where(mine, _E.number <= through))
        return entry

    def tenant_since(self, owner: str) -> datetime | None:
        """See `AuditStore.tenant_since`."""
        question = select(TENANTS.c.created_at).where(TENANTS.c.id == owner)
        with reading(self._engine) as connection:
            return connection.execute(question).scalar_one_or_none()


def keeps_audit(engine: Engine) -> bool:
    """Whether the state store behind `engine` is new enough to have an audit log."""
    with reading(engine) as connection:
        return inspect(connection).has_table(AUDIT_ENTRIES.name)


def _lock_head(connection: Connection, owner: str) -> Head:
    """Where the chain ends, which nobody else changes until the transaction ends; made if need be."""
    question = select(AUDIT_CHAINS).where(_C.owner == owner).with_for_update()
    row = connection.execute(question).one_or_none()
    if row is None:
        # Another writer may have made it meanwhile; then its chain counts.
        connection.execute(_insert_head(connection.engine, new_head(owner)))
        row = connection.execute(question).one()
    return _head_of(row)


def _insert_head(engine: Engine, head: Head) -> Any:  # noqa: ANN401 - each dialect has its own type
    values = {
        "owner": head.owner,
        "tenant_id": None if head.owner == PLATFORM else head.owner,
        "chain": head.chain,
        "number": head.number,
        "hash": head.hash,
        "trimmed_number": head.trimmed_number,
        "trimmed_hash": head.trimmed_hash,
    }
    make = sqlite.insert if is_sqlite(engine) else postgresql.insert
    return make(AUDIT_CHAINS).values(values).on_conflict_do_nothing()


def _append(connection: Connection, head: Head, deed: Deed, at: datetime) -> Entry:
    words = Words(head.chain, head.owner, head.number + 1, at, deed)
    spelled = spell(words)
    entry = Entry(words, hash_of(head.hash, spelled))
    connection.execute(
        insert(AUDIT_ENTRIES).values(
            owner=head.owner,
            number=words.number,
            at=at,
            act=deed.act,
            outcome=deed.outcome.value,
            actor_id=deed.actor.id,
            spelled=spelled,
            hash=entry.hash,
        )
    )
    connection.execute(
        update(AUDIT_CHAINS)
        .where(_C.owner == head.owner)
        .values(
            number=words.number,
            hash=entry.hash,
            trimmed_number=head.trimmed_number,
            trimmed_hash=head.trimmed_hash,
        )
    )
    return entry


def _conditions(ask: AuditAsk) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if ask.act is not None:
        is_family = ask.act.endswith(".")
        found.append(_E.act.startswith(ask.act, autoescape=True) if is_family else _E.act == ask.act)
    if ask.outcome is not None:
        found.append(_E.outcome == ask.outcome.value)
    if ask.actor_id is not None:
        found.append(_E.actor_id == ask.actor_id)
    if ask.since is not None:
        found.append(_E.at >= ask.since)
    if ask.until is not None:
        found.append(_E.at < ask.until)
    if ask.before_number is not None:
        found.append(_E.number < ask.before_number)
    return found


def _entry_of(row: Row[Any]) -> Entry:
    try:
        return Entry(read_words(row.spelled), row.hash)
    except ValueError as error:
        message = f"Entry {row.number} of the audit log can't be read; `bursar audit verify` says more."
        raise Unavailable(message) from error


def _head_of(row: Row[Any]) -> Head:
    return Head(row.owner, row.chain, row.number, row.hash, row.trimmed_number, row.trimmed_hash)


def _kept_of(row: Row[Any]) -> KeptEntry:
    return KeptEntry(row.number, row.spelled, row.hash, row.at, row.act, row.outcome, row.actor_id)
