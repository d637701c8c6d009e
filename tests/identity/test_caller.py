"""What a caller may do and for which tenant (`identity/caller.py`)."""

from __future__ import annotations

import pytest

from bursar.errors import MissingScope, TenantMismatch
from bursar.identity.caller import Caller
from bursar.identity.permissions import (
    OF_PLATFORM,
    OF_TENANTS,
    Permission,
    Scope,
    permissions_of,
    permissions_of_operator,
)

READER = Caller("acme", "key_r", permissions_of({Scope.READ}))
OPERATOR = Caller("default", "key_o", permissions_of_operator({Scope.ADMIN}), is_operator=True)


def test_the_operator_may_do_everything_and_an_admin_all_within_a_tenant() -> None:
    for permission in Permission:
        OPERATOR.require(permission)
    assert permissions_of({Scope.ADMIN}) == OF_TENANTS == frozenset(Permission) - OF_PLATFORM


def test_single_permissions_add_to_bundles_and_unknown_words_are_none() -> None:
    both = permissions_of({Scope.INGEST, "keys:read"})
    assert both == {Permission.USAGE_INGEST, Permission.KEYS_READ}
    with pytest.raises(ValueError, match="root"):
        permissions_of({"root"})


def test_a_missing_permission_is_named() -> None:
    READER.require(Permission.USAGE_READ)
    with pytest.raises(MissingScope, match="needs the permission 'usage:ingest'"):
        READER.require(Permission.USAGE_INGEST)
    with pytest.raises(MissingScope, match="'usage:read'"):
        Caller("acme", "key_0", frozenset()).require(Permission.USAGE_READ)


def test_what_holds_in_some_projects_is_not_enough_for_the_tenant() -> None:
    limited = Caller(
        "acme",
        "key_1",
        frozenset({Permission.JOBS_READ}),
        within={Permission.COST_READ: frozenset({"b", "a"})},
    )
    assert limited.projects_with(Permission.COST_READ) == {"a", "b"}
    assert limited.projects_with(Permission.JOBS_READ) is None
    with pytest.raises(MissingScope, match="in the whole tenant; the credential has it in: a, b"):
        limited.require(Permission.COST_READ)
    with pytest.raises(MissingScope):
        limited.projects_with(Permission.KEYS_READ)


def test_a_tenant_may_be_named_if_it_is_ones_own() -> None:
    assert READER.tenant_for(None) == READER.tenant_for("acme") == "acme"
    with pytest.raises(TenantMismatch):
        READER.tenant_for("rival")


def test_an_operator_may_name_any_tenant() -> None:
    assert OPERATOR.tenant_for("rival") == "rival"
    assert OPERATOR.tenant_for(None) == "default"
