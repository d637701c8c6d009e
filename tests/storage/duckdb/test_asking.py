"""Questions beside each other: bounded in number and time, and ended when nobody waits for them."""

from __future__ import annotations

import asyncio
import threading
from time import sleep
from typing import TYPE_CHECKING

import duckdb
import pytest

from bursar.errors import Overloaded, TimedOut
from bursar.storage.duckdb.asking import AskingLimits, DuckDBQuestions, Outcome
from bursar.storage.duckdb.questions import CursorQuestions
from bursar.usage.query import UsageQuery
from bursar.window import Window
from tests.support.patience import DEADLINE_SECONDS
from tests.support.usage_rows import NOON, Ledger, an_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bursar.usage.store import UsageQuestions

FOREVER = "SELECT count(*) FROM range(1000000) a(x), range(1000000) b(y) WHERE (x * y) % 7 = 3"
TODAY = UsageQuery(Window(NOON.replace(hour=0), NOON.replace(hour=23)), ("events",))


class Room:
    """Questions over a store of its own, and how each of them ended."""

    def __init__(self, limits: AskingLimits) -> None:
        self.ledger = Ledger()
        self.outcomes: list[Outcome] = []
        self.questions = DuckDBQuestions(
            self.ledger.cursor,
            self.ledger.position_of,
            limits,
            observe=lambda outcome, _seconds: self.outcomes.append(outcome),
        )


@pytest.fixture
def room() -> Iterator[Room]:
    """One in which no question runs out of time."""
    room = Room(AskingLimits(threads=2, waiting=1, timeout_seconds=DEADLINE_SECONDS))
    yield room
    room.questions.close()


@pytest.fixture
def hasty() -> Iterator[Room]:
    """One whose questions may take half a second."""
    room = Room(AskingLimits(threads=2, waiting=1, timeout_seconds=0.5))
    yield room
    room.questions.close()


def run_forever(store: UsageQuestions) -> None:
    """A question that has to be interrupted."""
    assert isinstance(store, CursorQuestions)
    store._cursor.execute(FOREVER).fetchall()


def wait_until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        sleep(0.01)


def count(store: UsageQuestions) -> int:
    return store.answer("acme", TODAY).totals.events


def test_a_question_is_answered_from_a_thread_and_from_a_loop(room: Room) -> None:
    room.ledger.add(an_event())
    assert room.questions.ask_now(count) == 1
    assert asyncio.run(room.questions.ask(count)) == 1
    assert room.outcomes == [Outcome.ANSWERED] * 2


def test_a_question_that_takes_too_long_is_interrupted(hasty: Room) -> None:
    with pytest.raises(TimedOut, match=r"longer than 0\.5 seconds"):
        hasty.questions.ask_now(run_forever)
    assert hasty.outcomes == [Outcome.TIMED_OUT]


def test_time_runs_out_between_statements_too(hasty: Room) -> None:
    def dawdle(store: UsageQuestions) -> None:
        sleep(0.6)
        run_forever(store)

    with pytest.raises(TimedOut):
        hasty.questions.ask_now(dawdle)


def test_a_question_that_nobody_waits_for_is_ended() -> None:
    room = Room(AskingLimits(threads=1, waiting=0, timeout_seconds=60))

    async def leave() -> None:
        asking = asyncio.ensure_future(room.questions.ask(run_forever))
        await asyncio.sleep(0.2)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await asyncio.to_thread(wait_until, lambda: not room.questions._under_way)

    asyncio.run(asyncio.wait_for(leave(), 10))
    assert room.outcomes == [Outcome.LEFT]
    assert room.questions.ask_now(count) == 0
    room.questions.close()


def test_questions_beyond_the_queue_are_refused_at_once_and_later_ones_answered() -> None:
    room = Room(AskingLimits(threads=1, waiting=1, timeout_seconds=60))
    gate, entered = threading.Event(), threading.Event()

    def wait(_: UsageQuestions) -> str:
        entered.set()
        gate.wait(10)
        return "done"

    async def crowd() -> list[object]:
        asked = [asyncio.ensure_future(room.questions.ask(wait)) for _ in range(3)]
        await asyncio.sleep(0.05)
        gate.set()
        return list(await asyncio.gather(*asked, return_exceptions=True))

    answers = asyncio.run(crowd())
    assert answers[:2] == ["done", "done"]
    assert isinstance(answers[2], Overloaded)
    assert answers[2].retry_after_seconds >= 1
    assert room.questions.ask_now(count) == 0
    assert sorted(room.outcomes) == ["answered", "answered", "answered", "refused"]
    room.questions.close()


def test_a_waiting_question_whose_time_is_over_never_begins(hasty: Room) -> None:
    begun: list[str] = []

    async def crowd() -> list[object]:
        slow = [asyncio.ensure_future(hasty.questions.ask(lambda _: sleep(0.7))) for _ in range(2)]
        late = asyncio.ensure_future(hasty.questions.ask(lambda _: begun.append("late")))
        return list(await asyncio.gather(*slow, late, return_exceptions=True))

    answers = asyncio.run(crowd())
    assert isinstance(answers[2], TimedOut)
    assert begun == []


def test_all_of_a_question_sees_the_same_events(room: Room) -> None:
    def twice(store: UsageQuestions) -> tuple[int, int]:
        before = count(store)
        room.ledger.add(an_event())
        return before, count(store)

    assert room.questions.ask_now(twice) == (0, 0)
    assert room.questions.ask_now(count) == 1


def test_a_question_that_needs_too_much_memory_is_refused_and_breaks_nothing(room: Room) -> None:
    room.ledger.connection.execute("SET memory_limit = '20MB'; SET max_temp_directory_size = '1MB'")

    def hoard(store: UsageQuestions) -> None:
        assert isinstance(store, CursorQuestions)
        store._cursor.execute("SELECT list(x || repeat('x', 100)) FROM range(10000000) t(x)").fetchall()

    with pytest.raises(Overloaded, match="memory"):
        room.questions.ask_now(hoard)
    assert room.questions.ask_now(count) == 0


def test_a_fault_of_ours_comes_out_as_it_is(room: Room) -> None:
    def blunder(store: UsageQuestions) -> None:
        assert isinstance(store, CursorQuestions)
        store._cursor.execute("SELECT nonsense")

    with pytest.raises(duckdb.BinderException):
        room.questions.ask_now(blunder)
    assert room.outcomes == [Outcome.FAILED]


def test_closing_ends_what_runs_and_refuses_what_comes() -> None:
    room = Room(AskingLimits(threads=1, waiting=5, timeout_seconds=60))
    failures: list[Exception] = []

    def hang() -> None:
        try:
            room.questions.ask_now(run_forever)
        except TimedOut as error:
            failures.append(error)

    asking = threading.Thread(target=hang)
    asking.start()
    wait_until(lambda: bool(room.questions._under_way))
    room.questions.close()
    asking.join(10)
    assert len(failures) == 1
    with pytest.raises(Overloaded):
        room.questions.ask_now(count)


def test_a_store_that_was_never_asked_closes_too() -> None:
    Room(AskingLimits()).questions.close()
