"""The rules of API keys: how they are made, what is kept of them, and when they count.

A key is 256 random bits, shown once. What is kept is its SHA-256 (enough for a secret that can't be
guessed; a slow hash would only slow every request) and a short prefix to recognise it by. Everything
here is pure: `store.py` keeps keys, `authenticate.py` looks them up.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from bursar import clock, ids
from bursar.errors import ExpiredKey, Forbidden, Invalid, MissingScope, Reason, RevokedKey
from bursar.identity.caller import Caller
from bursar.identity.networks import parsed_networks
from bursar.identity.permissions import Scope, permissions_of, permissions_of_operator
from bursar.identity.tenant import NAME_LIMIT, is_name

if TYPE_CHECKING:
    from datetime import datetime

SECRET_WORD = "bur"  # noqa: S105 - the public part of every key, so that leak scanners can find one
SECRET_LENGTH_LIMIT = 512
"""Longer credentials are refused unread: hashing must cost the same for everybody."""
PREFIX_LENGTH = 12
EXPIRY_LIMIT = timedelta(days=36_525)
"""A hundred years: further away it is a mistake, and near the end of the calendar time zones overflow."""


class KeyState(StrEnum):
    """What a key is worth at a moment."""

    USABLE = "usable"
    EXPIRED = "expired"
    REVOKED = "revoked"


class Revocation(StrEnum):
    """Why a key was revoked."""

    BY_CALLER = "by_caller"
    """Someone said so: it stays revoked, also when a setting still names it."""
    SETTING_CHANGED = "setting_changed"
    """Its setting names another key now; it counts again when the setting goes back to it."""


@dataclass(frozen=True, slots=True)
class KeyTerms:
    """What a key is to be: whose, for what, and until when."""

    tenant_id: str
    label: str
    scopes: frozenset[str]
    """Bundles (`Scope`) and single permissions."""
    is_operator: bool = False
    expires_at: datetime | None = None
    from_setting: str | None = None
    """The setting whose value it is, None for a key made on request."""
    project_id: str | None = None
    """The only project that it may do anything in; None: all of the tenant."""
    networks: tuple[str, ...] = ()
    """Those that it counts from, in normal form; anywhere where there are none."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key once its secret has been handed out."""

    id: str
    prefix: str
    """The first characters of the secret, to recognise it by."""
    terms: KeyTerms
    created_at: datetime
    last_used_at: datetime | None = None
    """Written every few seconds, so the latest use may be missing."""
    revoked_at: datetime | None = None
    revocation: Revocation | None = None
    replaces: str | None = None
    """The key that was rotated into this one."""


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key and its secret, which nobody can read again."""

    key: ApiKey
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Credential:
    """A key and what its tenant adds to it: all that an authenticated call needs."""

    key: ApiKey
    zone: str
    is_suspended: bool = False

    def caller(self) -> Caller:
        """The caller whom this credential stands for."""
        terms = self.key.terms
        grant = permissions_of_operator if terms.is_operator else permissions_of
        granted, project_id = grant(terms.scopes), terms.project_id
        return Caller(
            terms.tenant_id,
            self.key.id,
            granted if project_id is None else frozenset(),
            self.zone,
            terms.is_operator,
            self.is_suspended,
            {} if project_id is None else dict.fromkeys(granted, frozenset({project_id})),
            parsed_networks(terms.networks),
        )


def new_key(
    terms: KeyTerms, now: datetime, *, replaces: str | None = None, key_id: str | None = None
) -> IssuedKey:
    """A key with a fresh secret of 256 random bits; `replaces` is the id of the one rotated into it.

    Its id is random too, unless one is given.
    """
    secret = ids.make_secret(SECRET_WORD)
    made = key_of(secret, terms, now)
    return IssuedKey(replace(made, id=key_id or made.id, replaces=replaces), secret)


def key_of(secret: str, terms: KeyTerms, now: datetime) -> ApiKey:
    """What to keep of a key whose secret was chosen by somebody else."""
    return ApiKey(ids.make_id("key"), display_prefix(secret), terms, created_at=now)


def hash_key(secret: str) -> str:
    """The SHA-256 of a secret in hexadecimal: the only form in which one is kept."""
    # A header may hold anything; what isn't text must hash to something unknown, not fail.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def display_prefix(secret: str) -> str:
    """A beginning short enough to give nothing away: a quarter of the secret, at most 12 characters."""
    return secret[: min(PREFIX_LENGTH, len(secret) // 4)]


def key_state(key: ApiKey, now: datetime) -> KeyState:
    """What the key is worth now; the moment of expiry is already too late."""
    if key.revoked_at is not None:
        return KeyState.REVOKED
    expires_at = key.terms.expires_at
    if expires_at is not None and now >= expires_at:
        return KeyState.EXPIRED
    return KeyState.USABLE


def refuse_unusable(key: ApiKey, now: datetime) -> None:
    """Let a usable key pass.

    Raises:
        RevokedKey: it was revoked.
        ExpiredKey: its expiry has come.
    """
    if key.revoked_at is None and key.terms.expires_at is None:
        # Most keys are like this, and every post asks.
        return
    state = key_state(key, now)
    if state is KeyState.REVOKED:
        raise RevokedKey
    if state is KeyState.EXPIRED and key.terms.expires_at is not None:
        message = f"This API key expired at {clock.rfc3339(key.terms.expires_at)}."
        raise ExpiredKey(message)


def refuse_grant(creator: Caller, terms: KeyTerms, now: datetime) -> None:
    """Let nobody hand out more than they have.

    Raises:
        Forbidden: a key of the operator, asked for by somebody else.
        MissingScope: a scope that the creator lacks.
        Invalid: no scope at all, a label that isn't one line, an expiry that is no use, or an operator's key
            for one project.
    """
    if terms.is_operator and not creator.is_operator:
        message = "Only the operator may make a key of the operator."
        raise Forbidden(message)
    missing = sorted(word for word in terms.scopes if not permissions_of((word,)) <= creator.permissions)
    if missing:
        message = f"A key can't grant what its creator lacks: {', '.join(missing)}."
        raise MissingScope(message)
    reasons = (
        *_about_scopes(terms),
        *_about_label(terms),
        *_about_expiry(terms, now),
        *_about_project(terms),
    )
    if reasons:
        raise Invalid(reasons=reasons)


def refuse_revocation(revoker: Caller, key: ApiKey) -> None:
    """Let an admin revoke any key of the tenant, but those of the operator.

    Raises:
        Forbidden: a key of the operator, and the caller isn't the operator.
    """
    if key.terms.is_operator and not revoker.is_operator:
        message = "Only the operator may revoke a key of the operator."
        raise Forbidden(message)


def _about_scopes(terms: KeyTerms) -> tuple[Reason, ...]:
    if terms.scopes:
        return ()
    return (Reason("scopes", "no_scopes", f"must name at least one of: {', '.join(Scope)}"),)


def _about_label(terms: KeyTerms) -> tuple[Reason, ...]:
    if is_name(terms.label):
        return ()
    return (Reason("label", "invalid_name", f"must be one line of 1 to {NAME_LIMIT} characters"),)


def _about_expiry(terms: KeyTerms, now: datetime) -> tuple[Reason, ...]:
    if terms.expires_at is None or now < terms.expires_at <= now + EXPIRY_LIMIT:
        return ()
    return (Reason("expires_at", "out_of_range", "must lie in the future, by at most 100 years"),)


def _about_project(terms: KeyTerms) -> tuple[Reason, ...]:
    if terms.project_id is None or not terms.is_operator:
        return ()
    return (Reason("project_id", "not_of_operator", "can't be named: an operator's key is for everything"),)
