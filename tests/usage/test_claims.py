"""Who bears an event: key before project before user, each from its day on, replaced keys' successors too."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from bursar.errors import Invalid
from bursar.usage.allocations.allocation import (
    Allocation,
    AllocationAsk,
    Bearer,
    Bearing,
    refuse_unfit,
)
from bursar.usage.allocations.claims import claims_of
from tests.support.allocations import an_allocation

MAY, JUNE = date(2026, 5, 1), date(2026, 6, 1)
NOON = datetime(2026, 5, 10, 12, tzinfo=UTC)
IDS: dict[Bearer, str | None] = {Bearer.KEY: "k", Bearer.PROJECT: "p", Bearer.USER: "u"}


def allocation(
    kind: Bearer, day: date, cost_centre: str | None, owner: str | None = None, *, of: str | None = None
) -> Allocation:
    return an_allocation(kind, of or str(IDS[kind]), day, cost_centre=cost_centre, owner=owner)


def bearer(*said: Allocation, name: str = "cost_centre", at: datetime = NOON) -> str | None:
    borne = claims_of(said, {}).bearer(name, at, IDS)
    return borne.value if borne else None


def test_a_key_goes_before_a_project_and_that_before_a_user() -> None:
    user = allocation(Bearer.USER, MAY, "CC-U")
    project = allocation(Bearer.PROJECT, MAY, "CC-P")
    key = allocation(Bearer.KEY, MAY, "CC-K")
    assert bearer() is None
    assert bearer(user) == "CC-U"
    assert bearer(user, project) == "CC-P"
    assert bearer(user, key, project) == "CC-K"


def test_owner_and_cost_centre_are_decided_each_on_its_own() -> None:
    said = (allocation(Bearer.KEY, MAY, None, "ana"), allocation(Bearer.PROJECT, MAY, "CC-P", "ben"))
    assert bearer(*said, name="owner") == "ana"
    assert bearer(*said) == "CC-P"


def test_a_bearer_that_ends_leaves_it_to_the_next_kind() -> None:
    said = (
        allocation(Bearer.PROJECT, MAY, "CC-P"),
        allocation(Bearer.PROJECT, JUNE, None),
        allocation(Bearer.USER, MAY, "CC-U"),
    )
    midnight = datetime(2026, 6, 1, tzinfo=UTC)
    assert bearer(*said, at=midnight - timedelta(microseconds=1)) == "CC-P"
    assert bearer(*said, at=midnight) == "CC-U"
    assert bearer(*said, at=datetime(2026, 4, 30, 23, 59, tzinfo=UTC)) is None


def test_a_key_that_took_anothers_place_bears_what_that_one_did_until_it_has_its_own() -> None:
    said = (allocation(Bearer.KEY, MAY, "CC-K"), allocation(Bearer.KEY, JUNE, "CC-L"))
    claims = claims_of(said, {"k2": "k", "k3": "k2", "x2": "x"})
    for key in ("k", "k2", "k3"):
        borne = claims.bearer("cost_centre", NOON, {Bearer.KEY: key})
        assert borne is not None
        assert borne.value == "CC-K"
        assert borne.claim.allocation_id == "alc_key_k_2026-05-01"
    assert claims.bearer("cost_centre", NOON, {Bearer.KEY: "x2"}) is None


def test_a_keys_own_allocation_leaves_what_it_bore_before_where_it_was() -> None:
    said = (
        allocation(Bearer.KEY, MAY, "CC-K"),
        allocation(Bearer.KEY, JUNE, "CC-2", of="k2"),
        allocation(Bearer.KEY, date(2026, 7, 1), "CC-3", of="k3"),
        allocation(Bearer.KEY, date(2026, 7, 1), "CC-L"),
    )
    claims = claims_of(said, {"k2": "k", "k3": "k2"})

    def borne(key: str) -> list[str | None]:
        found = [
            claims.bearer("cost_centre", datetime(2026, month, 10, tzinfo=UTC), {Bearer.KEY: key})
            for month in (4, 5, 6, 7, 8)
        ]
        return [one.value if one else None for one in found]

    assert borne("k") == [None, "CC-K", "CC-K", "CC-L", "CC-L"]
    assert borne("k2") == [None, "CC-K", "CC-2", "CC-2", "CC-2"]
    assert borne("k3") == [None, "CC-K", "CC-2", "CC-3", "CC-3"]
    days = sorted((one.start, one.end) for one in claims.by[Bearer.KEY] if one.subject == "k3")
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(days)), "one bearer at a time"


def test_keys_that_are_said_to_replace_each_other_are_nobodys_and_end() -> None:
    claims = claims_of((allocation(Bearer.KEY, MAY, "CC-K"),), {"a": "b", "b": "a"})
    assert claims.bearer("cost_centre", NOON, {Bearer.KEY: "a"}) is None


ASK = AllocationAsk(
    tenant_id="acme",
    of=Bearing(Bearer.PROJECT, "p"),
    valid_from=MAY,
    named=frozenset({"cost_centre"}),
    cost_centre="CC-1",
)


def test_what_is_fit_passes() -> None:
    refuse_unfit(ASK)
    refuse_unfit(replace(ASK, cost_centre=None))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"named": frozenset[str]()}, "nothing_said"),
        ({"cost_centre": "Unallocated"}, "reserved"),
        ({"cost_centre": " CC"}, "invalid_name"),
        ({"cost_centre": "a\nb"}, "invalid_name"),
        ({"owner": ""}, "invalid_name"),
        ({"valid_from": date(1969, 12, 31)}, "out_of_range"),
        ({"of": Bearing(Bearer.USER, "a\0b")}, "invalid_id"),
        ({"of": Bearing(Bearer.USER, "u" * 257)}, "invalid_id"),
    ],
)
def test_what_is_unfit_is_refused_by_name(change: dict[str, object], code: str) -> None:
    with pytest.raises(Invalid) as refused:
        refuse_unfit(replace(ASK, **change))
    assert [reason.code for reason in refused.value.reasons] == [code]


def test_what_a_bearer_holds_ends_to_the_instant_where_the_next_begins() -> None:
    claims = claims_of(
        [
            allocation(Bearer.PROJECT, MAY, "CC-1"),
            allocation(Bearer.PROJECT, JUNE, "CC-2"),
            allocation(Bearer.KEY, MAY, "CC-K"),
        ],
        {"k2": "k"},
    )
    midnight = datetime(2026, 6, 1, tzinfo=UTC)

    def held(kind: Bearer, at: datetime) -> dict[str, str | None]:
        return {one: claim.cost_centre for one, claim in claims.held(kind, at).items()}

    assert held(Bearer.PROJECT, datetime(2026, 4, 30, 23, 59, tzinfo=UTC)) == {}
    assert held(Bearer.PROJECT, midnight - timedelta(microseconds=1)) == {"p": "CC-1"}
    assert held(Bearer.PROJECT, midnight) == {"p": "CC-2"}
    assert held(Bearer.KEY, NOON) == {"k": "CC-K", "k2": "CC-K"}
    assert held(Bearer.USER, NOON) == {}
