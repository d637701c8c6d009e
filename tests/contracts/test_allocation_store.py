"""What the store of allocations promises, on SQLite and on PostgreSQL: nothing overwritten, one a day."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bursar.errors import Conflict, NotFound
from bursar.identity.keys import hash_key, new_key
from bursar.identity.page import PageAsk
from bursar.storage.relational.allocations import RelationalAllocations
from bursar.storage.relational.identity import RelationalIdentityStore
from bursar.usage.allocations.allocation import (
    Allocation,
    AllocationAsk,
    AllocationFilter,
    Author,
    Bearer,
    Bearing,
)
from tests.support.identity import a_tenant, add_key, some_terms

if TYPE_CHECKING:
    from sqlalchemy import Engine

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MAY, JUNE, JULY = (date(2026, month, 1) for month in (5, 6, 7))
SEARCH = Bearing(Bearer.PROJECT, "search")


@pytest.fixture
def store(state_engine: Engine) -> RelationalAllocations:
    identity = RelationalIdentityStore(state_engine)
    for name in ("acme", "other"):
        identity.add_tenant(a_tenant(name))
    return RelationalAllocations(state_engine)


def an_ask(day: date, *, of: Bearing = SEARCH, tenant: str = "acme", **named: str | None) -> AllocationAsk:
    return AllocationAsk(tenant_id=tenant, of=of, valid_from=day, named=frozenset(named), **named)


def author(minutes: int) -> Author:
    return Author("key_1", NOW + timedelta(minutes=minutes))


def all_of(store: RelationalAllocations, tenant: str = "acme", **which: Any) -> list[Allocation]:  # noqa: ANN401 - a filter's own
    return list(store.allocations(tenant, AllocationFilter(**which), PageAsk()).items)


def test_an_allocation_comes_back_as_it_was_recorded(store: RelationalAllocations) -> None:
    ask = replace(an_ask(MAY, owner="ána", cost_centre="CC-1"), reason="began")
    recorded = store.record(ask, "alc_1", author(0))
    assert recorded == Allocation(
        id="alc_1",
        tenant_id="acme",
        of=SEARCH,
        valid_from=MAY,
        owner="ána",
        cost_centre="CC-1",
        reason="began",
        created=author(0),
    )
    assert store.allocation("acme", "alc_1") == recorded
    assert store.believed("acme") == (recorded,)


def test_the_next_one_of_the_same_bearer_ends_it(store: RelationalAllocations) -> None:
    store.record(an_ask(JULY, cost_centre="CC-3"), "alc_3", author(0))
    store.record(an_ask(MAY, cost_centre="CC-1"), "alc_1", author(1))
    store.record(an_ask(MAY, cost_centre="CC-9", of=Bearing(Bearer.USER, "search")), "alc_u", author(2))
    assert [(one.id, one.valid_to) for one in all_of(store)] == [
        ("alc_3", None),
        ("alc_1", JULY),
        ("alc_u", None),
    ]
    assert [one.id for one in all_of(store, on=date(2026, 6, 30))] == ["alc_1", "alc_u"]
    assert [one.id for one in all_of(store, on=JULY, kind=Bearer.PROJECT)] == ["alc_3"]
    assert [one.id for one in all_of(store, cost_centre="CC-9")] == ["alc_u"]


def test_what_is_not_named_stays_as_it_is_on_that_day(store: RelationalAllocations) -> None:
    store.record(an_ask(MAY, owner="ana", cost_centre="CC-1"), "alc_1", author(0))
    moved = store.record(an_ask(JUNE, cost_centre="CC-2"), "alc_2", author(1))
    assert (moved.owner, moved.cost_centre) == ("ana", "CC-2")
    ended = store.record(an_ask(JULY, cost_centre=None), "alc_3", author(2))
    assert (ended.owner, ended.cost_centre) == ("ana", None)


def test_the_same_day_again_takes_its_place_and_what_was_believed_stays(store: RelationalAllocations) -> None:
    store.record(an_ask(MAY, cost_centre="CC-1"), "alc_1", author(0))
    store.record(an_ask(MAY, cost_centre="CC-2"), "alc_2", author(5))
    assert [one.id for one in all_of(store)] == ["alc_2"]
    then = all_of(store, known_at=author(4).at)
    assert [(one.id, one.cost_centre) for one in then] == [("alc_1", "CC-1")]
    assert [one.id for one in all_of(store, known_at=author(5).at)] == ["alc_2"]
    history = all_of(store, with_replaced=True)
    assert [(one.id, one.replaced) for one in history] == [("alc_1", author(5)), ("alc_2", None)]


def test_what_is_recorded_already_is_not_recorded_twice(store: RelationalAllocations) -> None:
    first = store.record(an_ask(MAY, cost_centre="CC-1"), "alc_1", author(0))
    assert store.record(an_ask(MAY, cost_centre="CC-1"), "alc_2", author(1)) == first
    assert len(all_of(store, with_replaced=True)) == 1


def test_a_withdrawn_one_holds_no_more_and_what_was_before_holds_on(store: RelationalAllocations) -> None:
    store.record(an_ask(MAY, cost_centre="CC-1"), "alc_1", author(0))
    store.record(an_ask(JUNE, cost_centre="CC-2"), "alc_2", author(1))
    withdrawn = store.withdraw("acme", "alc_2", author(2))
    assert withdrawn.replaced == author(2)
    assert [(one.id, one.valid_to) for one in all_of(store)] == [("alc_1", None)]
    with pytest.raises(Conflict):
        store.withdraw("acme", "alc_2", author(3))
    again = store.record(an_ask(JUNE, cost_centre="CC-2"), "alc_3", author(4))
    assert again.replaced is None


def test_a_tenant_sees_and_changes_its_own_only(store: RelationalAllocations) -> None:
    store.record(an_ask(MAY, cost_centre="CC-1"), "alc_1", author(0))
    assert all_of(store, "other", with_replaced=True) == []
    assert store.believed("other") == ()
    with pytest.raises(NotFound):
        store.allocation("other", "alc_1")
    with pytest.raises(NotFound):
        store.withdraw("other", "alc_1", author(1))
    theirs = store.record(an_ask(MAY, cost_centre="CC-9", tenant="other"), "alc_9", author(1))
    assert theirs.cost_centre == "CC-9"
    assert store.believed("acme")[0].cost_centre == "CC-1"


def test_only_a_key_of_the_tenant_can_be_named_and_its_successor_is_known(
    store: RelationalAllocations, state_engine: Engine
) -> None:
    identity = RelationalIdentityStore(state_engine)
    issued = add_key(identity)
    of = Bearing(Bearer.KEY, issued.key.id)
    assert store.record(an_ask(MAY, of=of, cost_centre="CC-1"), "alc_1", author(0)).of == of
    for tenant, bearing in (("other", of), ("acme", Bearing(Bearer.KEY, "key_unknown"))):
        with pytest.raises(NotFound):
            store.record(an_ask(MAY, of=bearing, tenant=tenant, cost_centre="CC-1"), "alc_2", author(1))
    rotated = new_key(some_terms("acme"), NOW, replaces=issued.key.id)
    identity.rotate_key(rotated.key, hash_key(rotated.secret), NOW)
    assert store.replaced_keys("acme") == {rotated.key.id: issued.key.id}
    assert store.replaced_keys("other") == {}


def test_a_rotated_key_keeps_what_is_not_named_of_the_key_whose_place_it_took(
    store: RelationalAllocations, state_engine: Engine
) -> None:
    identity = RelationalIdentityStore(state_engine)
    chain = [add_key(identity).key]
    for _ in range(2):
        rotated = new_key(some_terms("acme"), NOW, replaces=chain[-1].id)
        identity.rotate_key(rotated.key, hash_key(rotated.secret), NOW)
        chain.append(rotated.key)
    first, last = (Bearing(Bearer.KEY, one.id) for one in (chain[0], chain[2]))
    store.record(an_ask(MAY, of=first, owner="ana", cost_centre="CC-1"), "alc_1", author(0))
    own = store.record(an_ask(MAY, of=last, cost_centre="CC-2"), "alc_2", author(1))
    assert (own.id, own.owner, own.cost_centre) == ("alc_2", "ana", "CC-2")
    assert [one.id for one in all_of(store, id=first.id)] == ["alc_1"], "the old key's own stays as it is"


def test_they_go_with_their_tenant(store: RelationalAllocations, state_engine: Engine) -> None:
    store.record(an_ask(MAY, cost_centre="CC-1"), "alc_1", author(0))
    identity = RelationalIdentityStore(state_engine)
    identity.remove_tenant("acme")
    identity.add_tenant(a_tenant("acme"))
    assert all_of(store, with_replaced=True) == []
    with pytest.raises(NotFound):
        store.record(an_ask(MAY, cost_centre="CC-1", tenant="gone"), "alc_2", author(1))


def test_an_erased_person_leaves_and_cost_centres_stay(
    store: RelationalAllocations,
) -> None:
    ben = Bearing(Bearer.USER, "ben@example.org")
    store.record(an_ask(MAY, cost_centre="CC-1", of=ben), "alc_1", author(0))
    kept = replace(
        an_ask(MAY, owner="ben@example.org", cost_centre="CC-2"), reason="asked by ben@example.org"
    )
    store.record(kept, "alc_2", author(1))
    store.record(an_ask(JUNE, owner="benita"), "alc_3", author(2))
    assert store.forget("other", ["ben@example.org"]) == 0
    assert store.forget("acme", ["ben@example.org"]) == 2
    assert [(one.id, one.owner, one.cost_centre, one.reason) for one in all_of(store)] == [
        ("alc_2", None, "CC-2", None),
        ("alc_3", "benita", "CC-2", None),
    ]


def test_a_page_goes_on_where_the_one_before_ended(store: RelationalAllocations) -> None:
    for index in range(5):
        store.record(an_ask(MAY + timedelta(days=index), cost_centre=f"CC-{index}"), f"a{index}", author(0))
    seen: list[str] = []
    ask: PageAsk | None = PageAsk(2)
    while ask is not None:
        page = store.allocations("acme", AllocationFilter(), ask)
        seen += [one.id for one in page.items]
        ask = None if page.next is None else PageAsk(2, page.next)
    assert seen == ["a0", "a1", "a2", "a3", "a4"]
