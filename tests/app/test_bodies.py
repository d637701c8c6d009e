"""The memory for bodies in flight: bounded, and shared so that no tenant shuts another one out."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import count

import pytest

from bursar import clock
from bursar.app import bodies
from bursar.app.bodies import ALWAYS_TAKEN_BYTES, MEMORY_FACTOR, MemoryBudget, Reservation
from bursar.errors import Overloaded

BODY = 100_000
ROOM = 10
"""Bodies that fit."""


@pytest.fixture
def budget() -> MemoryBudget:
    return MemoryBudget(ROOM * BODY * MEMORY_FACTOR)


def bodies_taken(stack: ExitStack, budget: MemoryBudget, tenant_id: str) -> int:
    """How many bodies a tenant gets in until one is refused."""
    for taken in count():
        memory = Reservation(budget, tenant_id)
        try:
            memory.take(BODY)
        except Overloaded:
            return taken
        stack.enter_context(memory)
    raise AssertionError


def test_a_tenant_that_is_alone_has_all_the_memory(budget: MemoryBudget) -> None:
    with ExitStack() as flood:
        assert bodies_taken(flood, budget, "flood") == ROOM
        assert budget.taken == budget.limit
    assert budget.taken == 0


def test_a_tenant_has_half_of_the_memory_while_another_has_some(budget: MemoryBudget) -> None:
    with ExitStack() as flood, ExitStack() as quiet:
        quiet.enter_context(Reservation(budget, "quiet")).take(BODY)
        assert bodies_taken(flood, budget, "flood") == ROOM // 2
        assert bodies_taken(quiet, budget, "quiet") == ROOM // 2 - 1
    assert budget.taken == 0


def test_who_was_refused_finds_room_as_soon_as_bodies_of_the_flood_are_done(budget: MemoryBudget) -> None:
    with ExitStack() as late, ExitStack() as quiet:
        with ExitStack() as early:
            assert [bodies_taken(one, budget, "flood") for one in (early, late)] == [ROOM, 0]
            early_half, rest = early.pop_all(), late
            assert bodies_taken(quiet, budget, "quiet") == 0
            early_half.close()
        # All of the flood is done and comes again at once; the other one comes a second later.
        assert bodies_taken(rest, budget, "flood") == ROOM // 2
        assert bodies_taken(quiet, budget, "quiet") == ROOM // 2


def test_memory_is_kept_free_for_a_while_only(budget: MemoryBudget, monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as flood:
        bodies_taken(flood, budget, "flood")
        assert bodies_taken(flood, budget, "quiet") == 0
    later = clock.monotonic() + bodies.WAITING_SECONDS + 1
    monkeypatch.setattr(clock, "monotonic", lambda: later)
    with ExitStack() as flood:
        assert bodies_taken(flood, budget, "flood") == ROOM


def test_small_bodies_are_always_taken(budget: MemoryBudget) -> None:
    with ExitStack() as flood, Reservation(budget, "quiet") as small, Reservation(budget, "flood") as own:
        bodies_taken(flood, budget, "flood")
        for memory in (small, own):
            memory.take(ALWAYS_TAKEN_BYTES - 1)
            memory.take(1)
        with pytest.raises(Overloaded):
            small.take(1)


def test_a_body_larger_than_the_budget_goes_on_while_it_is_alone(budget: MemoryBudget) -> None:
    with Reservation(budget, "acme") as large:
        for _ in range(2 * ROOM):
            large.take(BODY)
        with Reservation(budget, "other") as other, pytest.raises(Overloaded):
            other.take(BODY)
    assert budget.taken == 0


def test_a_single_large_body_of_a_tenant_fits_beside_others_though_it_is_more_than_half(
    budget: MemoryBudget,
) -> None:
    with Reservation(budget, "other") as other, Reservation(budget, "acme") as large:
        other.take(BODY)
        for _ in range(ROOM - 1):
            large.take(BODY)
        with pytest.raises(Overloaded):
            large.take(BODY)


def test_a_body_that_inflates_to_nothing_gives_everything_back(budget: MemoryBudget) -> None:
    with Reservation(budget, "acme") as memory:
        memory.take(20)
        memory.take(0)
    assert budget == MemoryBudget(budget.limit)
