"""What every store of allowances promises (`identity/allowances.py`): every kind, on both engines."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from bursar.errors import NotFound
from bursar.identity.allowances import Allowance, Allowances
from bursar.identity.limits.bucket import Limit
from bursar.identity.limits.own import OwnLimit
from bursar.identity.limits.policy import Use
from bursar.storage.relational.allowances import KEPT_QUOTAS, OWN_LIMITS, AllowanceTable, RelationalAllowances
from bursar.usage.quotas.quota import Enforcement, KeptQuota, Measure, Quota
from tests.support.identity import NOON, SECOND, a_project, a_tenant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from bursar.identity.allowances import AllowanceStore
    from bursar.storage.relational.identity import RelationalIdentityStore


@dataclass(frozen=True, slots=True)
class Kind:
    """Allowances of one kind, all different."""

    table: AllowanceTable[Any]
    first: Any
    """Of acme."""
    second: Any
    """Of acme on another subject, after the first in the store's order."""
    changed: Any
    """The first as it is set again."""
    rivals: Any
    """Of rival, on the first's subject."""


def limit(use: Use, per_minute: int, tenant_id: str = "acme") -> OwnLimit:
    return OwnLimit(tenant_id, use, Limit(per_minute, 10), NOON, "key_1")


def quota(
    measure: Measure, most: int, currency: str | None, tenant_id: str = "acme", project: str | None = None
) -> KeptQuota:
    return KeptQuota(Quota(tenant_id, measure, most, Enforcement.HARD, currency, project), NOON, "key_1")


LIMITS = Kind(
    OWN_LIMITS,
    limit(Use.INGEST, 600),
    limit(Use.READ, 6_000_000),
    replace(limit(Use.INGEST, 601), set_at=NOON + SECOND, set_by="key_2"),
    limit(Use.INGEST, 7, "rival"),
)
QUOTAS = Kind(
    KEPT_QUOTAS,
    quota(Measure.EVENTS, 1_000_000, None),
    quota(Measure.COST, 10**30 + 1, "EUR"),
    replace(quota(Measure.EVENTS, 1, None), set_at=NOON + SECOND, set_by="key_2"),
    quota(Measure.EVENTS, 5, None, "rival"),
)


OF_PROJECTS = Kind(
    KEPT_QUOTAS,
    quota(Measure.EVENTS, 1_000, None, project="ads"),
    quota(Measure.EVENTS, 2_000, None, project="search"),
    replace(quota(Measure.EVENTS, 1, None, project="ads"), set_at=NOON + SECOND, set_by="key_2"),
    quota(Measure.EVENTS, 5, None, "rival", project="ads"),
)


@pytest.fixture(params=[LIMITS, QUOTAS, OF_PROJECTS], ids=["limits", "quotas", "quotas of projects"])
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


@pytest.fixture
def store(
    kind: Kind, identity_store: RelationalIdentityStore, state_engine: Engine
) -> AllowanceStore[Allowance]:
    """A store without allowances, and two tenants."""
    for tenant_id in ("acme", "rival"):
        identity_store.add_tenant(a_tenant(tenant_id))
        for project_id in ("ads", "search"):
            identity_store.add_project(a_project(project_id, tenant_id=tenant_id))
    return RelationalAllowances(state_engine, kind.table)


def test_allowances_come_back_as_they_were_set_tenant_by_tenant(
    store: AllowanceStore[Allowance], kind: Kind
) -> None:
    assert store.allowances() == []
    for one in (kind.rivals, kind.second, kind.first):
        store.put(one)
    assert store.allowances() == [kind.first, kind.second, kind.rivals]


def test_a_tenant_has_one_allowance_on_a_subject(store: AllowanceStore[Allowance], kind: Kind) -> None:
    for one in (kind.first, kind.second, kind.rivals, kind.changed):
        store.put(one)
    assert store.allowances() == [kind.changed, kind.second, kind.rivals]


def test_one_is_removed_whatever_it_says_and_once(store: AllowanceStore[Allowance], kind: Kind) -> None:
    for one in (kind.first, kind.second, kind.rivals):
        store.put(one)
    store.remove(kind.changed)
    assert store.allowances() == [kind.second, kind.rivals]
    with pytest.raises(NotFound, match=r"The (tenant|project 'ads') has no"):
        store.remove(kind.first)
    assert store.allowances() == [kind.second, kind.rivals]


def test_nobody_is_allowed_anything_who_is_no_tenant(store: AllowanceStore[Allowance], kind: Kind) -> None:
    with pytest.raises(NotFound, match=r"There is no (tenant 'nobody'|project 'ads')"):
        store.put(nobodys(kind))
    assert store.allowances() == []


def test_a_register_tells_what_it_finds_and_what_changes_and_nothing_twice(
    store: AllowanceStore[Allowance], kind: Kind
) -> None:
    store.put(kind.rivals)
    told: list[Sequence[Allowance]] = []
    register, elsewhere = Allowances(store, told.append), Allowances(store, lambda _: None)
    elsewhere.put(kind.first)
    assert register.on("acme", kind.first.subject) is None
    for _ in range(2):
        register.refresh()
    assert register.on("acme", kind.first.subject) == kind.first
    assert register.on("acme", kind.second.subject) is None
    register.put(kind.second)
    assert register.of("acme") == [kind.first, kind.second]
    register.remove(kind.first)
    assert (register.of("acme"), register.of("rival")) == ([kind.second], [kind.rivals])
    assert told == [
        [kind.rivals],
        [kind.first, kind.rivals],
        [kind.first, kind.second, kind.rivals],
        [kind.second, kind.rivals],
    ]


def test_quotas_of_tenants_and_of_their_projects_are_apart(
    identity_store: RelationalIdentityStore, state_engine: Engine
) -> None:
    for tenant_id in ("acme", "rival"):
        identity_store.add_tenant(a_tenant(tenant_id))
    identity_store.add_project(a_project("ads"))
    store = RelationalAllowances(state_engine, KEPT_QUOTAS)
    store.put(QUOTAS.first)
    store.put(OF_PROJECTS.first)
    assert store.allowances() == [QUOTAS.first, OF_PROJECTS.first]
    for foreign in (OF_PROJECTS.second, OF_PROJECTS.rivals):
        with pytest.raises(NotFound, match="There is no project"):
            store.put(foreign)
    store.remove(QUOTAS.first)
    assert store.allowances() == [OF_PROJECTS.first]
    store.put(QUOTAS.rivals)
    assert identity_store.remove_project("acme", "ads").quotas == 1
    assert store.allowances() == [QUOTAS.rivals]


def test_a_project_that_is_being_removed_is_given_no_quota(
    identity_store: RelationalIdentityStore, state_engine: Engine
) -> None:
    identity_store.add_tenant(a_tenant("acme"))
    store = RelationalAllowances(state_engine, KEPT_QUOTAS)

    def set_one() -> bool:
        try:
            store.put(OF_PROJECTS.first)
        except NotFound:
            return False
        return True

    outcomes: set[bool] = set()
    for _ in range(20):
        identity_store.add_project(a_project("ads"))
        with ThreadPoolExecutor(2) as threads:
            was_set = threads.submit(set_one)
            threads.submit(identity_store.remove_project, "acme", "ads").result()
            outcomes.add(was_set.result())
        assert store.allowances() == []
    assert outcomes <= {True, False}


def nobodys(kind: Kind) -> Allowance:
    if kind is LIMITS:
        return replace(kind.first, tenant_id="nobody")
    return replace(kind.first, quota=replace(kind.first.quota, tenant_id="nobody"))
