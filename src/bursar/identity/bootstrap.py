"""The first start, and what every start makes sure of: a default tenant and the keys of settings.

A key named by a setting counts until the setting names another: starting with another value adds that
one and revokes the one before, going back brings it back, and doing nothing changes nothing. A setting
that names nothing changes nothing either, for a command may run where the server's settings are not. A
key that somebody revoked stays revoked, whatever a setting says. Where no key of the operator is left,
one is made and handed to the caller to be printed once.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from bursar import clock
from bursar.errors import ConfigurationError, Conflict
from bursar.identity.audit.deed import BURSAR, Deed, Outcome
from bursar.identity.keys import (
    SECRET_LENGTH_LIMIT,
    KeyTerms,
    Revocation,
    hash_key,
    key_of,
    new_key,
)
from bursar.identity.permissions import Scope
from bursar.identity.tenant import DEFAULT_TENANT_ID, DEFAULT_ZONE, Tenant

if TYPE_CHECKING:
    from collections.abc import Generator
    from datetime import datetime

    from bursar.identity.keys import ApiKey
    from bursar.identity.store import IdentityStore

Record: TypeAlias = Callable[[Deed], int]
"""Writes one deed into the platform's audit log; answers the entry's number."""

ADMIN_SETTING = "BURSAR_ADMIN_KEY"
API_SETTING = "API_KEY"
INGEST_SETTING = "INGEST_KEY"


@dataclass(frozen=True, slots=True, repr=False)
class ConfiguredKeys:
    """The secrets that settings name; None where a setting names none."""

    admin_key: str | None = None
    api_key: str | None = None
    ingest_key: str | None = None

    def by_setting(self) -> dict[str, str]:
        """The secrets named, by the name of the setting that a person would change."""
        named = {ADMIN_SETTING: self.admin_key, API_SETTING: self.api_key, INGEST_SETTING: self.ingest_key}
        return {setting: secret for setting, secret in named.items() if secret is not None}


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """What a start has done."""

    generated: str | None = field(default=None, repr=False)
    """The secret of a new key of the operator: print it once, it can't be read again."""
    warnings: tuple[str, ...] = ()
    """What a person should know, one sentence each."""
    is_first: bool = False
    """Whether there was nothing before."""


def bootstrap(
    store: IdentityStore, configured: ConfiguredKeys, now: datetime, record: Record = lambda _deed: 0
) -> Bootstrap:
    """Leave a store in which the default tenant exists and the operator can get in.

    Safe to run at every start, and by several processes at once. `record` writes into the audit log which
    keys are made and revoked, before and after; it answers the entry's number.

    Raises:
        ConfigurationError: two settings name the same key, or one names a key that can't be its.
    """
    _refuse_unfit(configured)
    with store.starting_alone():
        # Every setting is looked at before anything is changed: a refused start leaves no trace.
        for setting, secret in configured.by_setting().items():
            _find_fitting(store, setting, secret)
        is_first = _make_default_tenant(store, now)
        keys = {
            setting: _follow_setting(store, setting, secret, now, record)
            for setting, secret in configured.by_setting().items()
        }
        generated = None if store.has_operator_key(now) else _make_operator_key(store, now, record)
    return Bootstrap(generated, _warnings(keys), is_first)


def _refuse_unfit(configured: ConfiguredKeys) -> None:
    settings_by_secret: dict[str, str] = {}
    for setting, secret in configured.by_setting().items():
        if not (secret.isascii() and secret.isprintable()) or " " in secret:
            message = f"{setting} must be printable ASCII without spaces, for it travels in a header."
            raise ConfigurationError(message)
        if not 0 < len(secret) <= SECRET_LENGTH_LIMIT:
            message = f"{setting} must have 1 to {SECRET_LENGTH_LIMIT} characters."
            raise ConfigurationError(message)
        other = settings_by_secret.setdefault(secret, setting)
        if other != setting:
            message = f"{other} and {setting} name the same key, but give it different rights."
            raise ConfigurationError(message)


def _make_default_tenant(store: IdentityStore, now: datetime) -> bool:
    """Whether there was none."""
    tenant = Tenant(DEFAULT_TENANT_ID, name="Default", zone=DEFAULT_ZONE, created_at=now)
    try:
        store.add_tenant(tenant)
    except Conflict:
        return False  # every start but the first
    return True


def _find_fitting(store: IdentityStore, setting: str, secret: str) -> ApiKey | None:
    """The key that the setting names, if there is one already."""
    secret_hash = hash_key(secret)
    found = store.credentials((secret_hash,)).get(secret_hash)
    if found is None:
        return None
    if not _includes(found.key, _terms_of(setting)):
        message = (
            f"{setting} names a key that exists already with other rights ({found.key.id});"
            " choose another, or unset it."
        )
        raise ConfigurationError(message)
    return found.key


def _follow_setting(store: IdentityStore, setting: str, secret: str, now: datetime, record: Record) -> ApiKey:
    """Make the setting's key the only one from that setting that counts, and answer it."""
    named = _find_fitting(store, setting, secret)
    if named is None:
        named = key_of(secret, _terms_of(setting), now)
        with _recorded(record, "key.create", named):
            store.add_key(named, hash_key(secret))
    elif named.revocation is not Revocation.BY_CALLER and _fits(named, _terms_of(setting)):
        store.adopt_key(named.terms.tenant_id, named.id, setting)
    for key in store.keys_from_setting(DEFAULT_TENANT_ID, setting):
        if key.revoked_at is None and key.id != named.id:
            with _recorded(record, "key.revoke", key):
                store.revoke_key(key.terms.tenant_id, key.id, now, Revocation.SETTING_CHANGED)
    return named


def _make_operator_key(store: IdentityStore, now: datetime, record: Record) -> str:
    issued = new_key(_operator_terms("made at the first start"), now)
    with _recorded(record, "key.create", issued.key):
        store.add_key(issued.key, hash_key(issued.secret))
    return issued.secret


@contextmanager
def _recorded(record: Record, act: str, key: ApiKey) -> Generator[None]:
    """Announce in the audit log what is done to a key, and conclude it."""
    terms = key.terms
    asked = {"label": terms.label, "scopes": sorted(terms.scopes), "is_operator": terms.is_operator}
    number = record(Deed(act, Outcome.BEGUN, BURSAR, target=key.id, asked=asked))
    yield
    record(Deed(act, Outcome.DONE, BURSAR, target=key.id, begun=number))


def _warnings(keys: dict[str, ApiKey]) -> tuple[str, ...]:
    return tuple(
        f"{setting} names a key that was revoked at {clock.rfc3339(key.revoked_at)}; it stays revoked."
        for setting, key in keys.items()
        if key.revoked_at is not None and key.revocation is Revocation.BY_CALLER
    )


def _fits(key: ApiKey, terms: KeyTerms) -> bool:
    held = key.terms
    rights = (held.tenant_id, held.scopes, held.is_operator, held.expires_at)
    return rights == (terms.tenant_id, terms.scopes, terms.is_operator, terms.expires_at)


def _includes(key: ApiKey, terms: KeyTerms) -> bool:
    """Whether a key has the rights, or is the operator's, where an admin's are asked for.

    Whoever has exported the operator's key for requests may start a server in the same terminal. The
    key stays what it is: a later change of the setting doesn't revoke it.
    """
    held = key.terms
    if terms.is_operator or Scope.ADMIN not in terms.scopes or not held.is_operator:
        return _fits(key, terms)
    return (held.tenant_id, held.scopes, held.expires_at) == (terms.tenant_id, terms.scopes, None)


def _operator_terms(label: str, setting: str | None = None) -> KeyTerms:
    return KeyTerms(
        DEFAULT_TENANT_ID, label, frozenset({Scope.ADMIN}), is_operator=True, from_setting=setting
    )


def _terms_of(setting: str) -> KeyTerms:
    """What a setting's key may do, wherever its value comes from."""
    label = f"from {setting}"
    if setting == ADMIN_SETTING:
        return _operator_terms(label, setting)
    scope = Scope.ADMIN if setting == API_SETTING else Scope.INGEST
    return KeyTerms(DEFAULT_TENANT_ID, label, frozenset({scope}), from_setting=setting)
