"""Sealed credentials in SQL; implements `CredentialStore` of `identity/credentials/store.py`.

Only envelopes ever get here. A replaced or revoked one is overwritten, in SQLite's file too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select, update

from bursar.errors import Conflict, NotFound, Reason
from bursar.identity.credentials.credential import Author, ProviderCredential, SealedCredential
from bursar.identity.credentials.envelope import Envelope
from bursar.storage.relational.paging import read_page
from bursar.storage.relational.tables.credentials import CREDENTIALS
from bursar.storage.relational.tenants import no_tenant
from bursar.storage.relational.transactions import reading, refusing, writing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Engine, Row

    from bursar.identity.page import Page, PageAsk

_COLUMNS = CREDENTIALS.c


class RelationalCredentials:
    """Keeps credentials in the table behind an engine."""

    def __init__(self, engine: Engine) -> None:
        """Keep them behind `engine`, whose tables are up to date."""
        self._engine = engine

    def add_credential(self, credential: ProviderCredential, envelope: Envelope) -> None:
        """See `CredentialStore.add_credential`."""
        taken = Conflict(
            f"There is a credential '{credential.name}' for {credential.provider} already.",
            reasons=(Reason("name", "credential_exists", "choose another name, or replace its secret"),),
        )
        row = {
            "id": credential.id,
            "tenant_id": credential.tenant_id,
            "provider": credential.provider,
            "name": credential.name,
            "hint": credential.hint,
            **_row_of(envelope),
            "created_at": credential.created.at,
            "created_by": credential.created.by,
            "revoked_as": "",
        }
        orphan = no_tenant(credential.tenant_id)
        with writing(self._engine) as connection, refusing(duplicate=taken, orphan=orphan):
            connection.execute(insert(CREDENTIALS).values(row))

    def credential(self, tenant_id: str, credential_id: str) -> ProviderCredential:
        """See `CredentialStore.credential`."""
        with reading(self._engine) as connection:
            return _credential_of(_found(connection, tenant_id, credential_id))

    def credentials(self, tenant_id: str, ask: PageAsk) -> Page[ProviderCredential]:
        """See `CredentialStore.credentials`."""
        question = select(CREDENTIALS).where(_COLUMNS.tenant_id == tenant_id)
        with reading(self._engine) as connection:
            return read_page(connection, question, CREDENTIALS, ask, _credential_of)

    def replace_secret(
        self, tenant_id: str, credential_id: str, envelope: Envelope, hint: str, author: Author
    ) -> ProviderCredential:
        """See `CredentialStore.replace_secret`."""
        values = {
            **_row_of(envelope),
            "hint": hint,
            "replaced_at": author.at,
            "replaced_by": author.by,
        }
        with writing(self._engine) as connection:
            _change_usable(connection, tenant_id, credential_id, values)
            return _credential_of(_found(connection, tenant_id, credential_id))

    def revoke_credential(self, tenant_id: str, credential_id: str, author: Author) -> ProviderCredential:
        """See `CredentialStore.revoke_credential`."""
        revoked = {
            "key_id": None,
            "wrapped_key": None,
            "sealed": None,
            "revoked_as": credential_id,
            "revoked_at": author.at,
            "revoked_by": author.by,
        }
        is_usable = _is_credential(tenant_id, credential_id), _COLUMNS.revoked_at.is_(None)
        with writing(self._engine) as connection:
            connection.execute(update(CREDENTIALS).where(*is_usable).values(revoked))
            return _credential_of(_found(connection, tenant_id, credential_id))

    def use_credential(
        self, tenant_id: str, credential_id: str, at: datetime, purpose: str
    ) -> SealedCredential:
        """See `CredentialStore.use_credential`."""
        values = {"last_used_at": at, "last_used_for": purpose}
        with writing(self._engine) as connection:
            _change_usable(connection, tenant_id, credential_id, values)
            return _sealed_of(_found(connection, tenant_id, credential_id))

    def sealed_by(self) -> dict[str, int]:
        """See `CredentialStore.sealed_by`."""
        question = select(_COLUMNS.key_id, func.count()).where(_COLUMNS.key_id.is_not(None))
        with reading(self._engine) as connection:
            return {row[0]: row[1] for row in connection.execute(question.group_by(_COLUMNS.key_id))}

    def sealed_page(self, after: str, limit: int, not_by: str | None = None) -> list[SealedCredential]:
        """See `CredentialStore.sealed_page`."""
        question = select(CREDENTIALS).where(_COLUMNS.key_id.is_not(None), _COLUMNS.id > after)
        if not_by is not None:
            question = question.where(_COLUMNS.key_id != not_by)
        with reading(self._engine) as connection:
            return [
                _sealed_of(row) for row in connection.execute(question.order_by(_COLUMNS.id).limit(limit))
            ]

    def reseal(self, renewed: Sequence[tuple[SealedCredential, Envelope]]) -> int:
        """See `CredentialStore.reseal`."""
        changed = 0
        with writing(self._engine) as connection:
            for before, envelope in renewed:
                is_same = _COLUMNS.id == before.credential.id, _COLUMNS.sealed == before.envelope.sealed
                done = connection.execute(update(CREDENTIALS).where(*is_same).values(_row_of(envelope)))
                changed += done.rowcount
        return changed


def _change_usable(
    connection: Connection, tenant_id: str, credential_id: str, values: dict[str, Any]
) -> None:
    """Change a credential that isn't revoked.

    Raises:
        NotFound: the tenant has no such credential.
        Conflict: it is revoked.
    """
    is_usable = _is_credential(tenant_id, credential_id), _COLUMNS.revoked_at.is_(None)
    if connection.execute(update(CREDENTIALS).where(*is_usable).values(values)).rowcount:
        return
    _found(connection, tenant_id, credential_id)
    message = f"The credential '{credential_id}' is revoked: its secret is destroyed. Make another one."
    raise Conflict(message, reasons=(Reason("id", "credential_revoked", message),))


def _found(connection: Connection, tenant_id: str, credential_id: str) -> Row[Any]:
    question = select(CREDENTIALS).where(_is_credential(tenant_id, credential_id))
    row = connection.execute(question).one_or_none()
    if row is None:
        message = f"There is no credential '{credential_id}'."
        raise NotFound(message)
    return row


def _is_credential(tenant_id: str, credential_id: str) -> ColumnElement[bool]:
    return (_COLUMNS.tenant_id == tenant_id) & (_COLUMNS.id == credential_id)


def _row_of(envelope: Envelope) -> dict[str, str]:
    return {"key_id": envelope.key_id, "wrapped_key": envelope.wrapped_key, "sealed": envelope.sealed}


def _sealed_of(row: Row[Any]) -> SealedCredential:
    return SealedCredential(_credential_of(row), Envelope(row.key_id, row.wrapped_key, row.sealed))


def _credential_of(row: Row[Any]) -> ProviderCredential:
    return ProviderCredential(
        id=row.id,
        tenant_id=row.tenant_id,
        provider=row.provider,
        name=row.name,
        hint=row.hint,
        key_id=row.key_id,
        created=Author(row.created_by, row.created_at),
        replaced=_author_of(row.replaced_by, row.replaced_at),
        revoked=_author_of(row.revoked_by, row.revoked_at),
        last_used_at=row.last_used_at,
        last_used_for=row.last_used_for,
    )


def _author_of(by: str | None, at: datetime | None) -> Author | None:
    return None if by is None or at is None else Author(by, at)
