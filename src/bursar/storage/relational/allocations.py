"""Allocations in SQL; implements `AllocationStore` of `usage/allocations/store.py`.

A row is written once; that it isn't believed any more is all that changes of it, and an erased person's
names in it.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, or_, select, update

from bursar.errors import Conflict, NotFound, Reason
from bursar.storage.relational.engine import forget_replaced
from bursar.storage.relational.keys import no_key
from bursar.storage.relational.paging import read_page
from bursar.storage.relational.tables.allocations import ALLOCATIONS
from bursar.storage.relational.tables.identity import API_KEYS
from bursar.storage.relational.tenants import no_tenant
from bursar.storage.relational.transactions import reading, refusing, writing
from bursar.usage.allocations.allocation import (
    Allocation,
    AllocationAsk,
    AllocationFilter,
    Author,
    Bearer,
    Bearing,
)
from bursar.usage.allocations.claims import STEPS_LIMIT
from bursar.usage.person import Person

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy import ColumnElement, Connection, Engine, Row, Subquery

    from bursar.identity.page import Page, PageAsk

_COLUMNS = ALLOCATIONS.c
_BELIEVED = _COLUMNS.replaced_as == ""


class RelationalAllocations:
    """Keeps allocations in the table behind an engine."""

    def __init__(self, engine: Engine) -> None:
        """Keep them behind `engine`, whose tables are up to date."""
        self._engine = engine

    def record(self, ask: AllocationAsk, allocation_id: str, author: Author) -> Allocation:
        """See `AllocationStore.record`."""
        message = "Somebody else has just recorded the same day; look at it and try again."
        raced = Conflict(message, reasons=(Reason("valid_from", "recorded_meanwhile", message),))
        with (
            writing(self._engine) as connection,
            refusing(duplicate=raced, orphan=no_tenant(ask.tenant_id)),
        ):
            _refuse_unknown_key(connection, ask)
            holding = _holding(connection, ask, ask.of.id)
            before = holding or _inherited(connection, ask)
            row = {**_named(ask, before), "reason": ask.reason}
            if holding is not None and date.fromisoformat(holding.valid_from) == ask.valid_from:
                if (holding.owner, holding.cost_centre) == (row["owner"], row["cost_centre"]):
                    return _found(connection, ask.tenant_id, holding.id)
                _end(connection, holding.id, author)
            connection.execute(
                insert(ALLOCATIONS).values(
                    **row,
                    id=allocation_id,
                    tenant_id=ask.tenant_id,
                    kind=ask.of.kind.value,
                    subject=ask.of.id,
                    valid_from=ask.valid_from.isoformat(),
                    created_at=author.at,
                    created_by=author.by,
                    replaced_as="",
                )
            )
            return _found(connection, ask.tenant_id, allocation_id)

    def withdraw(self, tenant_id: str, allocation_id: str, author: Author) -> Allocation:
        """See `AllocationStore.withdraw`."""
        with writing(self._engine) as connection:
            if _found(connection, tenant_id, allocation_id).replaced is not None:
                message = "It is replaced or withdrawn already."
                raise Conflict(message, reasons=(Reason("id", "not_believed", message),))
            _end(connection, allocation_id, author)
            return _found(connection, tenant_id, allocation_id)

    def allocation(self, tenant_id: str, allocation_id: str) -> Allocation:
        """See `AllocationStore.allocation`."""
        with reading(self._engine) as connection:
            return _found(connection, tenant_id, allocation_id)

    def allocations(self, tenant_id: str, which: AllocationFilter, ask: PageAsk) -> Page[Allocation]:
        """See `AllocationStore.allocations`."""
        rows = _rows(tenant_id, which)
        question = select(rows).where(*_conditions(rows, which))
        with reading(self._engine) as connection:
            return read_page(connection, question, rows, ask, _allocation_of)

    def believed(self, tenant_id: str) -> tuple[Allocation, ...]:
        """See `AllocationStore.believed`."""
        question = select(_rows(tenant_id, AllocationFilter()))
        with reading(self._engine) as connection:
            return tuple(map(_allocation_of, connection.execute(question)))

    def replaced_keys(self, tenant_id: str) -> Mapping[str, str]:
        """See `AllocationStore.replaced_keys`."""
        keys = API_KEYS.c
        question = select(keys.id, keys.replaces).where(
            keys.tenant_id == tenant_id, keys.replaces.is_not(None)
        )
        with reading(self._engine) as connection:
            return {row.id: row.replaces for row in connection.execute(question)}

    def forget(self, tenant_id: str, identifiers: Collection[str]) -> int:
        """See `AllocationStore.forget`."""
        person, changed = Person(identifiers), 0
        with writing(self._engine) as connection:
            for row in connection.execute(select(ALLOCATIONS).where(_COLUMNS.tenant_id == tenant_id)).all():
                if row.kind == Bearer.USER and person.is_in_text(row.subject):
                    connection.execute(delete(ALLOCATIONS).where(_COLUMNS.id == row.id))
                    changed += 1
                    continue
                texts = {name: getattr(row, name) for name in ("owner", "cost_centre", "reason")}
                named = {name: None for name, text in texts.items() if text and person.is_in_text(text)}
                if named:
                    connection.execute(update(ALLOCATIONS).where(_COLUMNS.id == row.id).values(named))
                    changed += 1
        if changed:
            forget_replaced(self._engine)
        return changed


def _rows(tenant_id: str, which: AllocationFilter) -> Subquery:
    """Rows of the tenant with the day on which the next one of the same bearer holds."""
    conditions: list[ColumnElement[bool]] = [_COLUMNS.tenant_id == tenant_id]
    if which.kind is not None:
        conditions.append(_COLUMNS.kind == which.kind.value)
    if which.id is not None:
        conditions.append(_COLUMNS.subject == which.id)
    alike = [_COLUMNS.kind, _COLUMNS.subject]
    if which.known_at is not None:
        conditions += [
            _COLUMNS.created_at <= which.known_at,
            or_(_COLUMNS.replaced_at.is_(None), _COLUMNS.replaced_at > which.known_at),
        ]
    elif which.with_replaced:
        # Each that isn't believed any more stands alone.
        alike.append(_COLUMNS.replaced_as)
    else:
        conditions.append(_BELIEVED)
    following = func.lead(_COLUMNS.valid_from).over(partition_by=alike, order_by=_COLUMNS.valid_from)
    return select(ALLOCATIONS, following.label("valid_to")).where(*conditions).subquery()


def _conditions(rows: Subquery, which: AllocationFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if which.owner is not None:
        conditions.append(rows.c.owner == which.owner)
    if which.cost_centre is not None:
        conditions.append(rows.c.cost_centre == which.cost_centre)
    if which.on is not None:
        day = which.on.isoformat()
        conditions += [rows.c.valid_from <= day, or_(rows.c.valid_to.is_(None), rows.c.valid_to > day)]
    return conditions


def _refuse_unknown_key(connection: Connection, ask: AllocationAsk) -> None:
    if ask.of.kind is Bearer.KEY:
        keys = API_KEYS.c
        question = select(keys.id).where(keys.tenant_id == ask.tenant_id, keys.id == ask.of.id)
        if connection.execute(question).first() is None:
            raise no_key(ask.of.id)


def _holding(connection: Connection, ask: AllocationAsk, subject: str) -> Row[Any] | None:
    """What holds of a bearer of the same kind on the day that is asked about."""
    question = (
        select(ALLOCATIONS)
        .where(
            _COLUMNS.tenant_id == ask.tenant_id,
            _COLUMNS.kind == ask.of.kind.value,
            _COLUMNS.subject == subject,
            _COLUMNS.valid_from <= ask.valid_from.isoformat(),
            _BELIEVED,
        )
        .order_by(_COLUMNS.valid_from.desc())
        .limit(1)
    )
    return connection.execute(question).one_or_none()


def _inherited(connection: Connection, ask: AllocationAsk) -> Row[Any] | None:
    """What a key without an allocation of its own bears that day: that of the key whose place it took."""
    keys, key_id = API_KEYS.c, ask.of.id
    for _ in range(STEPS_LIMIT if ask.of.kind is Bearer.KEY else 0):
        question = select(keys.replaces).where(keys.tenant_id == ask.tenant_id, keys.id == key_id)
        key_id = connection.execute(question).scalar_one_or_none()
        if key_id is None:
            break
        holding = _holding(connection, ask, key_id)
        if holding is not None:
            return holding
    return None


def _named(ask: AllocationAsk, holding: Row[Any] | None) -> dict[str, str | None]:
    """Owner and cost centre as asked for; what isn't named stays as it is."""
    said = {"owner": ask.owner, "cost_centre": ask.cost_centre}
    return {
        name: value if name in ask.named else getattr(holding, name, None) for name, value in said.items()
    }


def _end(connection: Connection, allocation_id: str, author: Author) -> None:
    ended = {"replaced_as": allocation_id, "replaced_at": author.at, "replaced_by": author.by}
    connection.execute(update(ALLOCATIONS).where(_COLUMNS.id == allocation_id).values(ended))


def _found(connection: Connection, tenant_id: str, allocation_id: str) -> Allocation:
    rows = _rows(tenant_id, AllocationFilter(with_replaced=True))
    row = connection.execute(select(rows).where(rows.c.id == allocation_id)).one_or_none()
    if row is None:
        message = f"There is no allocation '{allocation_id}'."
        raise NotFound(message)
    return _allocation_of(row)


def _allocation_of(row: Row[Any]) -> Allocation:
    return Allocation(
        id=row.id,
        tenant_id=row.tenant_id,
        of=Bearing(Bearer(row.kind), row.subject),
        valid_from=date.fromisoformat(row.valid_from),
        valid_to=None if row.valid_to is None else date.fromisoformat(row.valid_to),
        owner=row.owner,
        cost_centre=row.cost_centre,
        reason=row.reason,
        created=Author(row.created_by, row.created_at),
        replaced=None if row.replaced_at is None else Author(row.replaced_by, row.replaced_at),
    )
