"""The rules of API keys: secrets, states, and who may grant and revoke what (`identity/keys.py`)."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from bursar.errors import ExpiredKey, Forbidden, Invalid, MissingScope, RevokedKey
from bursar.identity.caller import Caller
from bursar.identity.keys import (
    KeyState,
    Revocation,
    display_prefix,
    hash_key,
    key_of,
    key_state,
    new_key,
    refuse_grant,
    refuse_revocation,
    refuse_unusable,
)
from bursar.identity.permissions import Scope, permissions_of
from tests.support.identity import NOON, SECOND, some_terms

ADMIN = Caller("acme", "key_a", permissions_of({Scope.ADMIN}))
OPERATOR = replace(ADMIN, is_operator=True)
KEY = key_of("bur_secret", some_terms(), NOON)


def test_a_secret_has_256_random_bits_behind_a_word_that_scanners_find() -> None:
    issued = new_key(some_terms(), NOON)
    word, _, random = issued.secret.partition("_")
    assert word == "bur"
    assert len(base64.urlsafe_b64decode(random + "=")) == 32
    assert issued.secret != new_key(some_terms(), NOON).secret


def test_what_is_kept_and_printed_of_a_key_gives_nothing_away() -> None:
    issued = new_key(some_terms(), NOON)
    assert issued.secret.startswith(issued.key.prefix)
    assert len(issued.key.prefix) <= 12
    assert issued.secret not in repr(issued)


@pytest.mark.parametrize(("secret", "prefix"), [("x", ""), ("password", "pa"), ("k" * 100, "k" * 12)])
def test_a_prefix_is_a_quarter_of_a_secret_at_most(secret: str, prefix: str) -> None:
    assert display_prefix(secret) == prefix


def test_a_hash_is_sha_256_and_takes_any_text() -> None:
    # FIPS 180-2, appendix B.1.
    assert hash_key("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert hash_key("\udcff") != hash_key("\udcfe")


@pytest.mark.parametrize(
    ("expires_at", "revoked_at", "state"),
    [
        (None, None, KeyState.USABLE),
        (NOON + SECOND, None, KeyState.USABLE),
        (NOON, None, KeyState.EXPIRED),
        (NOON - SECOND, None, KeyState.EXPIRED),
        (None, NOON, KeyState.REVOKED),
        (NOON - SECOND, NOON - SECOND, KeyState.REVOKED),
        # Another machine's clock may run ahead: revoked is revoked.
        (None, NOON + SECOND, KeyState.REVOKED),
    ],
)
def test_a_key_is_usable_until_it_expires_or_is_revoked(
    expires_at: datetime | None, revoked_at: datetime | None, state: KeyState
) -> None:
    key = replace(KEY, terms=some_terms(expires_at=expires_at), revoked_at=revoked_at)
    assert key_state(key, NOON) is state


def test_an_unusable_key_is_refused_by_name() -> None:
    refuse_unusable(KEY, NOON)
    with pytest.raises(ExpiredKey, match="2026-03-01T12:00:00Z"):
        refuse_unusable(replace(KEY, terms=some_terms(expires_at=NOON)), NOON)
    with pytest.raises(RevokedKey):
        refuse_unusable(replace(KEY, revoked_at=NOON, revocation=Revocation.BY_CALLER), NOON)


def test_an_admin_may_grant_every_scope() -> None:
    refuse_grant(ADMIN, some_terms(scopes=frozenset(Scope), expires_at=NOON + SECOND), NOON)


@pytest.mark.parametrize("scope", [Scope.INGEST, Scope.ADMIN])
def test_nobody_grants_a_scope_they_lack(scope: Scope) -> None:
    reader = Caller("acme", "key_r", permissions_of({Scope.READ}))
    with pytest.raises(MissingScope, match=scope.value):
        refuse_grant(reader, some_terms(scopes=frozenset({Scope.READ, scope})), NOON)


def test_only_the_operator_makes_and_revokes_keys_of_the_operator() -> None:
    terms = some_terms(is_operator=True)
    refuse_grant(OPERATOR, terms, NOON)
    refuse_revocation(OPERATOR, replace(KEY, terms=terms))
    refuse_revocation(ADMIN, KEY)
    with pytest.raises(Forbidden):
        refuse_grant(ADMIN, terms, NOON)
    with pytest.raises(Forbidden):
        refuse_revocation(ADMIN, replace(KEY, terms=terms))


def test_terms_that_make_no_sense_are_refused_with_every_reason() -> None:
    terms = replace(some_terms(scopes=frozenset(), expires_at=NOON), label="")
    with pytest.raises(Invalid) as refused:
        refuse_grant(ADMIN, terms, NOON)
    assert [reason.code for reason in refused.value.reasons] == ["no_scopes", "invalid_name", "out_of_range"]


def test_an_expiry_lies_within_a_hundred_years() -> None:
    with pytest.raises(Invalid):
        refuse_grant(ADMIN, some_terms(expires_at=NOON + timedelta(days=40_000)), NOON)
