"""What a caller may do and for which tenant (`identity/caller.py`)."""

from __future__ import annotations

import pytest

from bursar.errors import MissingScope, TenantMismatch
from bursar.identity.caller import Caller, Scope

READER = Caller("acme", "key_r", frozenset({Scope.READ}))
OPERATOR = Caller("default", "key_o", frozenset({Scope.ADMIN}), is_operator=True)


def test_admin_includes_every_scope() -> None:
    for scope in Scope:
        OPERATOR.require(scope)


def test_a_missing_scope_is_named_beside_those_held() -> None:
    READER.require(Scope.READ)
    with pytest.raises(MissingScope, match="'ingest'; the key has: read"):
        READER.require(Scope.INGEST)
    with pytest.raises(MissingScope, match="the key has: none"):
        Caller("acme", "key_0", frozenset()).require(Scope.READ)


def test_a_tenant_may_be_named_if_it_is_ones_own() -> None:
    assert READER.tenant_for(None) == READER.tenant_for("acme") == "acme"
    with pytest.raises(TenantMismatch):
        READER.tenant_for("rival")


def test_an_operator_may_name_any_tenant() -> None:
    assert OPERATOR.tenant_for("rival") == "rival"
    assert OPERATOR.tenant_for(None) == "default"
