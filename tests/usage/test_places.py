"""Places in the journal behind a veil: they lead back, and show neither order nor count."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bursar.usage.places import AS_THEY_ARE, LIMIT, Veil

VEIL = Veil(b"a secret of these tests")


@given(place=st.integers(0, LIMIT - 1), tenant_id=st.sampled_from(["acme", "other", ""]))
def test_a_shown_place_leads_back_and_stays_a_number_that_json_takes(place: int, tenant_id: str) -> None:
    places = VEIL.of(tenant_id)
    assert 0 <= places.show(place) < LIMIT < 2**53
    assert places.find(places.show(place)) == place
    assert places.show(places.find(place)) == place


def test_neighbours_lie_far_apart_and_their_order_is_lost() -> None:
    shown = [VEIL.of("acme").show(place) for place in range(2_000)]
    steps = [after - before for before, after in pairwise(shown)]
    assert len(set(shown)) == len(shown)
    assert 900 < sum(step > 0 for step in steps) < 1_100
    assert sum(abs(step) < LIMIT // 1_000 for step in steps) < 20


def test_tenants_and_installations_have_veils_of_their_own() -> None:
    shown = {VEIL.of("acme").show(7), VEIL.of("other").show(7), Veil(b"another").of("acme").show(7)}
    assert len(shown) == 3
    assert 7 not in shown


def test_what_is_too_large_for_a_place_stays_what_it_is() -> None:
    for number in (-1, LIMIT, 2**63 - 1):
        assert VEIL.of("acme").show(number) == VEIL.of("acme").find(number) == number


def test_without_a_key_places_are_as_they_are() -> None:
    assert AS_THEY_ARE.show(7) == AS_THEY_ARE.find(7) == 7
