"""Tracking tokens in SQL; implements `TokenStore` of `identity/tokens/store.py`.

Every change gives its row another random number: their sum and the number of rows are the stamp by which
other processes see that something changed, whoever's clock is wrong. A use is no change.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, case, delete, func, insert, or_, select, update

from bursar.errors import Conflict, NotFound, Reason
from bursar.identity.tokens.store import KnownToken
from bursar.identity.tokens.token import TrackingToken
from bursar.storage.relational.paging import read_page
from bursar.storage.relational.tables.identity import TRACKING_TOKENS
from bursar.storage.relational.tenants import no_tenant
from bursar.storage.relational.transactions import reading, refusing, writing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import ColumnElement, Connection, Engine, Row

    from bursar.identity.page import Page, PageAsk
    from bursar.identity.tokens.store import TokenUse
    from bursar.identity.tokens.token import TokenChange

_CHANGE_BITS = 40
"""Of a change's number: eight million of them add up within 63 bits, which is all that SQLite can add."""
_COLUMNS = TRACKING_TOKENS.c


class RelationalTokens:
    """Keeps tracking tokens in the table behind an engine."""

    def __init__(self, engine: Engine) -> None:
        """Keep them behind `engine`, whose tables are up to date."""
        self._engine = engine

    def stamp(self) -> object:
        """See `TokenStore.stamp`."""
        question = select(func.count(), func.sum(_COLUMNS.change_number)).select_from(TRACKING_TOKENS)
        with reading(self._engine) as connection:
            return tuple(connection.execute(question).one())

    def known_tokens(self) -> Sequence[KnownToken]:
        """See `TokenStore.known_tokens`."""
        question = select(_COLUMNS.tenant_id, _COLUMNS.token, _COLUMNS.id, _COLUMNS.is_active)
        with reading(self._engine) as connection:
            return [KnownToken(*row) for row in connection.execute(question)]

    def add_token(self, token: TrackingToken, limit: int) -> None:
        """See `TokenStore.add_token`."""
        count = select(func.count()).where(_COLUMNS.tenant_id == token.tenant_id)
        orphan = no_tenant(token.tenant_id)
        with (
            writing(self._engine) as connection,
            refusing(duplicate=_taken("label", token.label), orphan=orphan),
        ):
            if connection.execute(count).scalar_one() >= limit:
                message = f"A tenant has at most {limit} tracking tokens; delete one first."
                raise Conflict(message, reasons=(Reason("label", "too_many_tokens", message),))
            _refuse_taken(connection, token)
            connection.execute(insert(TRACKING_TOKENS).values(_row_of(token)))

    def token(self, tenant_id: str, token_id: str) -> TrackingToken:
        """See `TokenStore.token`."""
        with reading(self._engine) as connection:
            row = connection.execute(
                select(TRACKING_TOKENS).where(_is_token(tenant_id, token_id))
            ).one_or_none()
        if row is None:
            raise _no_token(token_id)
        return _token_of(row)

    def tokens(self, tenant_id: str, ask: PageAsk) -> Page[TrackingToken]:
        """See `TokenStore.tokens`."""
        question = select(TRACKING_TOKENS).where(_COLUMNS.tenant_id == tenant_id)
        with reading(self._engine) as connection:
            return read_page(connection, question, TRACKING_TOKENS, ask, _token_of)

    def change_token(self, tenant_id: str, token_id: str, change: TokenChange) -> TrackingToken:
        """See `TokenStore.change_token`."""
        named = {"label": change.label, "is_active": change.is_active}
        values: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
        if not values:
            return self.token(tenant_id, token_id)
        values["change_number"] = secrets.randbits(_CHANGE_BITS)
        statement = update(TRACKING_TOKENS).where(_is_token(tenant_id, token_id)).values(values)
        with writing(self._engine) as connection, refusing(duplicate=_taken("label", change.label or "")):
            row = connection.execute(statement.returning(TRACKING_TOKENS)).one_or_none()
        if row is None:
            raise _no_token(token_id)
        return _token_of(row)

    def remove_token(self, tenant_id: str, token_id: str) -> None:
        """See `TokenStore.remove_token`."""
        with writing(self._engine) as connection:
            found = connection.execute(delete(TRACKING_TOKENS).where(_is_token(tenant_id, token_id)))
        if found.rowcount == 0:
            raise _no_token(token_id)

    def record_uses(self, uses: Iterable[TokenUse]) -> None:
        """See `TokenStore.record_uses`."""
        # Every process takes the rows in the same order, or two of them could wait for each other forever.
        rows = [
            {"of_tenant": use.tenant_id, "of_token": use.token_id, "more": use.count, "at": use.at}
            for use in sorted(uses, key=lambda use: use.token_id)
        ]
        if not rows:
            return
        seen = _COLUMNS.last_seen_at
        at = bindparam("at", type_=seen.type)
        statement = (
            update(TRACKING_TOKENS)
            .where(_COLUMNS.tenant_id == bindparam("of_tenant"), _COLUMNS.id == bindparam("of_token"))
            .values(
                uses=_COLUMNS.uses + bindparam("more", type_=_COLUMNS.uses.type),
                last_seen_at=case((or_(seen.is_(None), seen < at), at), else_=seen),
            )
        )
        with writing(self._engine) as connection:
            connection.execute(statement, rows)


def _refuse_taken(connection: Connection, token: TrackingToken) -> None:
    question = select(_COLUMNS.label, _COLUMNS.token).where(
        _COLUMNS.tenant_id == token.tenant_id,
        or_(_COLUMNS.label == token.label, _COLUMNS.token == token.token),
    )
    for row in connection.execute(question):
        raise _taken("label", token.label) if row.label == token.label else _taken("token", "")


def _taken(field: str, label: str) -> Conflict:
    if field == "token":
        message = "The tenant has a tracking token with these characters already."
    else:
        message = f"The tenant has a tracking token called '{label}' already."
    return Conflict(message, reasons=(Reason(field, f"{field}_exists", message),))


def _no_token(token_id: str) -> NotFound:
    return NotFound(f"There is no tracking token '{token_id}'.")


def _is_token(tenant_id: str, token_id: str) -> ColumnElement[bool]:
    return (_COLUMNS.tenant_id == tenant_id) & (_COLUMNS.id == token_id)


def _row_of(token: TrackingToken) -> dict[str, object]:
    return {
        "id": token.id,
        "tenant_id": token.tenant_id,
        "token": token.token,
        "label": token.label,
        "is_active": token.is_active,
        "created_at": token.created_at,
        "created_by": token.created_by,
        "last_seen_at": token.last_seen_at,
        "uses": token.uses,
        "change_number": secrets.randbits(_CHANGE_BITS),
    }


def _token_of(row: Row[Any]) -> TrackingToken:
    return TrackingToken(
        id=row.id,
        tenant_id=row.tenant_id,
        token=row.token,
        label=row.label,
        created_at=row.created_at,
        created_by=row.created_by,
        is_active=row.is_active,
        last_seen_at=row.last_seen_at,
        uses=row.uses,
    )
