"""What roles grant together and where, and which roles nobody can make or be given."""

from __future__ import annotations

from itertools import pairwise

import pytest

from bursar.errors import Conflict, Invalid, MissingScope
from bursar.identity.caller import Caller
from bursar.identity.permissions import IN_PROJECTS, OF_PLATFORM, OF_TENANTS, Permission
from bursar.identity.roles import (
    BUILT_IN,
    Role,
    RoleBinding,
    permissions_for,
    refuse_more_than_own,
    refuse_unfit_role,
)
from tests.support.identity import NOON

ADMIN = Caller("acme", "usr_1", BUILT_IN["admin"].permissions)
OWNER = Caller("acme", "usr_2", BUILT_IN["owner"].permissions)


def bound(role: str, project_id: str | None = None) -> RoleBinding:
    return RoleBinding("acme", "usr_1", role, project_id, "key_1", NOON)


def test_each_built_in_role_grants_what_the_one_before_does_and_more() -> None:
    granted = [role.permissions for role in BUILT_IN.values()]
    assert list(BUILT_IN) == ["viewer", "analyst", "member", "admin", "owner"]
    assert all(less < more for less, more in pairwise(granted))
    assert granted[-1] == OF_TENANTS


def test_no_role_grants_what_concerns_all_tenants() -> None:
    assert not [role.name for role in BUILT_IN.values() if role.permissions & OF_PLATFORM]


def test_an_analyst_exports_but_sees_no_metadata_and_no_keys() -> None:
    analyst = BUILT_IN["analyst"].permissions
    assert Permission.USAGE_EXPORT in analyst
    assert not analyst & {Permission.METADATA_READ, Permission.KEYS_READ, Permission.KEYS_WRITE}


def test_roles_add_up() -> None:
    role = Role("keys", frozenset({Permission.KEYS_READ}))
    granted = permissions_for([bound("viewer"), bound("keys")], {**BUILT_IN, "keys": role})
    assert granted.permissions == BUILT_IN["viewer"].permissions | {Permission.KEYS_READ}
    assert granted.within == {}


def test_a_role_in_projects_counts_there_and_only_for_what_projects_limit() -> None:
    granted = permissions_for([bound("owner", "search"), bound("viewer", "ads")])
    assert granted.permissions == frozenset()
    assert set(granted.within) == IN_PROJECTS
    assert granted.within[Permission.USAGE_READ] == {"search", "ads"}
    assert granted.within[Permission.METADATA_READ] == {"search"}


def test_what_is_allowed_everywhere_is_not_limited_to_projects() -> None:
    granted = permissions_for([bound("viewer"), bound("analyst", "search")])
    assert granted.permissions == BUILT_IN["viewer"].permissions
    assert set(granted.within) == {Permission.EVENTS_READ, Permission.USAGE_EXPORT}


def test_nobody_has_anything_by_no_role_or_an_unknown_one() -> None:
    assert permissions_for([]) == (frozenset(), {})
    assert permissions_for([bound("unknown"), bound("unknown", "search")]) == (frozenset(), {})


def test_a_role_that_grants_what_is_the_operators_grants_it_to_nobody() -> None:
    role = Role("sly", frozenset({Permission.TENANTS_WRITE, Permission.COST_READ}))
    assert permissions_for([bound("sly")], {"sly": role}).permissions == {Permission.COST_READ}


@pytest.mark.parametrize(
    ("role", "code"),
    [
        (Role("", frozenset({Permission.COST_READ})), "invalid_name"),
        (Role("Money", frozenset({Permission.COST_READ})), "invalid_name"),
        (Role("a" * 65, frozenset({Permission.COST_READ})), "invalid_name"),
        (Role("a\n", frozenset({Permission.COST_READ})), "invalid_name"),
        (Role("money", frozenset()), "no_permissions"),
        (Role("money", frozenset({Permission.BOOK_WRITE})), "operator_only"),
    ],
)
def test_a_role_that_cannot_be_kept_is_refused_with_the_reason(role: Role, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        refuse_unfit_role(OWNER, role)
    assert [reason.code for reason in refused.value.reasons] == [code]


def test_built_in_roles_stay_what_they_are() -> None:
    with pytest.raises(Conflict, match="built in"):
        refuse_unfit_role(OWNER, Role("viewer", frozenset({Permission.COST_READ})))


def test_nobody_makes_or_gives_a_role_that_grants_more_than_they_have() -> None:
    erasing = Role("eraser", frozenset({Permission.USAGE_ERASE, Permission.COST_READ}))
    with pytest.raises(MissingScope, match="lacks in the whole tenant: usage:erase"):
        refuse_unfit_role(ADMIN, erasing)
    with pytest.raises(MissingScope):
        refuse_more_than_own(ADMIN, BUILT_IN["owner"])
    refuse_unfit_role(OWNER, erasing)
    refuse_more_than_own(ADMIN, BUILT_IN["admin"])


def test_what_somebody_may_do_in_a_project_is_not_theirs_to_give() -> None:
    within = {one: frozenset({"search"}) for one in IN_PROJECTS}
    maker = Caller("acme", "usr_1", frozenset({Permission.ROLES_WRITE}), within=within)
    with pytest.raises(MissingScope, match="cost:read"):
        refuse_unfit_role(maker, Role("money", frozenset({Permission.COST_READ})))
