"""The lease: one runner among several processes, whatever their clocks say, on each engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bursar.errors import Unavailable
from bursar.scheduling.lease import GIVE_UP_SECONDS, TERM_SECONDS, Lease
from bursar.scheduling.run import RunState
from bursar.storage.relational.leases import RelationalLease
from tests.support.jobs import Clock, House, a_job, pulse_until_ended
from tests.support.patience import wait_until
from tests.support.relational import out_of_reach

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine


def a_lease(house: House, name: str, clock: Clock, place: str | None = None) -> Lease:
    return Lease(RelationalLease(house.engine, "x"), name, place or f"place of {name}", clock.monotonic)


def test_the_first_one_gets_it_and_keeps_it(house: House) -> None:
    mine, other = a_lease(house, "a", house.clock), a_lease(house, "b", house.clock)
    assert mine.keep()
    for _ in range(10):
        house.clock.pass_time(4)
        assert mine.keep()
        assert not other.keep()
    assert (mine.is_held, other.is_held) == (True, False)
    assert other.other is not None
    assert other.other.place == "place of a"


def test_it_is_taken_over_once_it_gave_no_sign_for_a_term(house: House) -> None:
    mine, other = a_lease(house, "a", house.clock), a_lease(house, "b", house.clock)
    mine.keep()
    assert not other.keep()
    house.clock.pass_time(TERM_SECONDS - 1)
    assert not other.keep()
    # The old holder has given up by its own clock before anybody else may begin.
    assert not mine.is_held
    house.clock.pass_time(1)
    assert other.keep()
    assert not mine.keep()


def test_clocks_that_tell_different_times_and_jump_make_no_second_holder(house: House) -> None:
    slow, fast = Clock(seconds=5), Clock(seconds=9_000_000)
    mine, other = a_lease(house, "a", slow), a_lease(house, "b", fast)
    mine.keep()
    for _ in range(10):
        assert not other.keep()
        slow.pass_time(4)
        fast.at = slow.at.replace(year=2038)
        fast.seconds += 4
        assert mine.keep()


def test_of_two_that_try_at_once_one_wins(house: House) -> None:
    store = RelationalLease(house.engine, "x")
    mine, other = a_lease(house, "a", house.clock), a_lease(house, "b", house.clock)
    seen = store.look()
    assert mine.keep()
    assert not store.take(other._mine, seen)


def test_a_dead_process_in_the_same_place_is_succeeded_at_once(house: House) -> None:
    assert a_lease(house, "a", house.clock, "folder").keep()
    assert a_lease(house, "b", house.clock, "folder").keep()


def test_one_that_is_let_go_is_free_at_once(house: House) -> None:
    mine, other = a_lease(house, "a", house.clock), a_lease(house, "b", house.clock)
    mine.keep()
    assert not other.keep()
    mine.release()
    assert other.keep()


def test_a_holder_that_was_away_keeps_it_if_nobody_came(house: House) -> None:
    mine = a_lease(house, "a", house.clock)
    mine.keep()
    house.clock.pass_time(3600)
    assert not mine.is_held
    assert mine.keep()


def test_a_runner_that_lost_its_lease_stops_its_work_and_changes_nothing(house: House) -> None:
    gate, again = house.gate(), house.gate()
    again.opened.set()
    runner = house.runner(a_job(work=gate.work, resumes=True), place="here")
    successor = house.runner(a_job(work=again.work, resumes=True), place="there")
    run = runner.enqueue("sweep")
    runner.pulse()
    assert gate.begun.wait(10)
    successor.pulse()
    # As if its process stood still: the successor's view is that no sign comes.
    house.clock.pass_time(TERM_SECONDS)
    assert not runner.state.holds_lease
    ended = pulse_until_ended(successor, run)
    assert (ended.state, ended.attempts) == (RunState.SUCCEEDED, 2)

    def has_left() -> bool:
        runner.pulse()
        return not runner.state.at_work

    wait_until(has_left, "the one that lost its lease has stopped its work")
    assert runner.run(run.id) == ended


def test_an_answer_that_stays_out_ends_the_lease_by_the_holders_own_clock(
    sqlite_state_url: str, open_engine: Callable[[str], Engine]
) -> None:
    house = House(open_engine(sqlite_state_url))
    runner = house.runner(a_job(), place="here")
    runner.pulse()
    with out_of_reach(house.engine):
        house.clock.pass_time(GIVE_UP_SECONDS - 1)
        with pytest.raises(Unavailable):
            runner.pulse()
        assert runner.state.holds_lease
        house.clock.pass_time(1)
        assert not runner.state.holds_lease
    runner.pulse()
    assert runner.state.holds_lease
