"""API keys in SQL; implements `KeyStore` and most of `SettingKeyStore` of `identity/store.py`.

Only the hash of a secret ever gets here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, case, func, insert, or_, select, update

from bursar.errors import Conflict, NotFound, Reason
from bursar.identity.keys import ApiKey, Credential, KeyTerms, Revocation
from bursar.identity.tenant import TenantState
from bursar.storage.relational.paging import read_page
from bursar.storage.relational.tables.identity import API_KEYS, TENANTS
from bursar.storage.relational.tenants import no_tenant
from bursar.storage.relational.transactions import reading, refusing, writing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from sqlalchemy import ColumnElement, Engine, Row

    from bursar.identity.page import Page, PageAsk
    from bursar.identity.store import KeyUse

HASHES_PER_QUESTION = 1_000
"""Well under the 32,766 parameters that SQLite takes in one statement."""


class RelationalKeys:
    """Keeps API keys in the tables behind an engine."""

    def __init__(self, engine: Engine) -> None:
        """Keep them behind `engine`, whose tables are up to date."""
        self._engine = engine

    def add_key(self, key: ApiKey, secret_hash: str) -> None:
        """See `KeyStore.add_key`."""
        orphan = no_tenant(key.terms.tenant_id)
        with writing(self._engine) as connection, refusing(duplicate=_taken(), orphan=orphan):
            connection.execute(insert(API_KEYS).values({**_row_of(key), "secret_hash": secret_hash}))

    def key(self, tenant_id: str, key_id: str) -> ApiKey:
        """See `KeyStore.key`."""
        with reading(self._engine) as connection:
            row = connection.execute(select(API_KEYS).where(_is_key(tenant_id, key_id))).one_or_none()
        if row is None:
            raise no_key(key_id)
        return _key_of(row)

    def keys(self, tenant_id: str, ask: PageAsk) -> Page[ApiKey]:
        """See `KeyStore.keys`."""
        question = select(API_KEYS).where(API_KEYS.c.tenant_id == tenant_id)
        with reading(self._engine) as connection:
            return read_page(connection, question, API_KEYS, ask, _key_of)

    def rotate_key(self, key: ApiKey, secret_hash: str, ends_at: datetime) -> ApiKey:
        """See `KeyStore.rotate_key`."""
        replaced, expires_at = key.replaces or "", API_KEYS.c.expires_at
        end = bindparam("end", ends_at, expires_at.type)
        ended = (
            update(API_KEYS)
            .where(_is_key(key.terms.tenant_id, replaced), API_KEYS.c.revoked_at.is_(None))
            .values(expires_at=case((or_(expires_at.is_(None), expires_at > end), end), else_=expires_at))
            .returning(API_KEYS)
        )
        with writing(self._engine) as connection, refusing(duplicate=_taken()):
            row = connection.execute(ended).one_or_none()
            if row is None:
                raise no_key(replaced)
            connection.execute(insert(API_KEYS).values({**_row_of(key), "secret_hash": secret_hash}))
        return _key_of(row)

    def revoke_key(self, tenant_id: str, key_id: str, at: datetime, why: Revocation) -> ApiKey:
        """See `KeyStore.revoke_key`."""
        revoked = update(API_KEYS).where(_is_key(tenant_id, key_id))
        if why is not Revocation.BY_CALLER:
            revoked = revoked.where(API_KEYS.c.revoked_at.is_(None))
        revoked = revoked.values(
            revoked_at=func.coalesce(API_KEYS.c.revoked_at, bindparam("at", at, API_KEYS.c.revoked_at.type)),
            revocation=why.value,
        )
        with writing(self._engine) as connection:
            connection.execute(revoked)
            row = connection.execute(select(API_KEYS).where(_is_key(tenant_id, key_id))).one_or_none()
        if row is None:
            raise no_key(key_id)
        return _key_of(row)

    def credentials(self, secret_hashes: Collection[str]) -> dict[str, Credential]:
        """See `KeyStore.credentials`."""
        hashes = list(secret_hashes)
        question = select(API_KEYS, TENANTS.c.zone, TENANTS.c.state).join(
            TENANTS, TENANTS.c.id == API_KEYS.c.tenant_id
        )
        found: dict[str, Credential] = {}
        with reading(self._engine) as connection:
            for start in range(0, len(hashes), HASHES_PER_QUESTION):
                some = hashes[start : start + HASHES_PER_QUESTION]
                for row in connection.execute(question.where(API_KEYS.c.secret_hash.in_(some))):
                    found[row.secret_hash] = Credential(
                        _key_of(row), row.zone, row.state == TenantState.SUSPENDED.value
                    )
        return found

    def record_use(self, uses: Iterable[KeyUse]) -> None:
        """See `KeyStore.record_use`."""
        # Every process takes the rows in the same order, or two of them could wait for each other forever.
        ordered = sorted(uses, key=lambda use: use.key_id)
        rows = [{"tenant": use.tenant_id, "key": use.key_id, "at": use.at} for use in ordered]
        if not rows:
            return
        last_used_at = API_KEYS.c.last_used_at
        at = bindparam("at", type_=last_used_at.type)
        later = or_(last_used_at.is_(None), last_used_at < at)
        key = (API_KEYS.c.tenant_id == bindparam("tenant")) & (API_KEYS.c.id == bindparam("key"))
        with writing(self._engine) as connection:
            connection.execute(update(API_KEYS).where(key, later).values(last_used_at=at), rows)

    def keys_from_setting(self, tenant_id: str, setting: str) -> tuple[ApiKey, ...]:
        """See `SettingKeyStore.keys_from_setting`."""
        question = select(API_KEYS).where(
            API_KEYS.c.tenant_id == tenant_id, API_KEYS.c.from_setting == setting
        )
        with reading(self._engine) as connection:
            return tuple(map(_key_of, connection.execute(question.order_by(API_KEYS.c.created_at))))

    def adopt_key(self, tenant_id: str, key_id: str, setting: str) -> None:
        """See `SettingKeyStore.adopt_key`."""
        revocation = API_KEYS.c.revocation
        allowed = or_(revocation.is_(None), revocation != Revocation.BY_CALLER.value)
        statement = update(API_KEYS).where(_is_key(tenant_id, key_id), allowed)
        with writing(self._engine) as connection:
            connection.execute(statement.values(from_setting=setting, revoked_at=None, revocation=None))

    def has_operator_key(self, now: datetime) -> bool:
        """See `SettingKeyStore.has_operator_key`."""
        expires_at = API_KEYS.c.expires_at
        question = (
            select(API_KEYS.c.id)
            .where(API_KEYS.c.is_operator, API_KEYS.c.revoked_at.is_(None))
            .where(or_(expires_at.is_(None), expires_at > now))
            .limit(1)
        )
        with reading(self._engine) as connection:
            return connection.execute(question).first() is not None


def _taken() -> Conflict:
    return Conflict(
        "There is a key with this secret already.",
        reasons=(Reason("key", "key_exists", "a secret belongs to one key"),),
    )


def no_key(key_id: str) -> NotFound:
    """The refusal of a key's id that the tenant doesn't have."""
    return NotFound(f"There is no API key '{key_id}'.")


def _is_key(tenant_id: str, key_id: str) -> ColumnElement[bool]:
    return (API_KEYS.c.tenant_id == tenant_id) & (API_KEYS.c.id == key_id)


def _row_of(key: ApiKey) -> dict[str, object]:
    terms = key.terms
    return {
        "id": key.id,
        "tenant_id": terms.tenant_id,
        "label": terms.label,
        "prefix": key.prefix,
        "scopes": " ".join(sorted(terms.scopes)),
        "is_operator": terms.is_operator,
        "created_at": key.created_at,
        "expires_at": terms.expires_at,
        "last_used_at": key.last_used_at,
        "revoked_at": key.revoked_at,
        "revocation": key.revocation.value if key.revocation else None,
        "from_setting": terms.from_setting,
        "project_id": terms.project_id,
        "networks": " ".join(terms.networks),
        "replaces": key.replaces,
    }


def _key_of(row: Row[Any]) -> ApiKey:
    terms = KeyTerms(
        tenant_id=row.tenant_id,
        label=row.label,
        scopes=frozenset(row.scopes.split()),
        is_operator=row.is_operator,
        expires_at=row.expires_at,
        from_setting=row.from_setting,
        project_id=row.project_id,
        networks=tuple((row.networks or "").split()),
    )
    return ApiKey(
        id=row.id,
        prefix=row.prefix,
        terms=terms,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
        revocation=Revocation(row.revocation) if row.revocation else None,
        replaces=row.replaces,
    )
