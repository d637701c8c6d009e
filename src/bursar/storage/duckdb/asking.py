"""Runs questions beside each other: a bounded number, each on its own cursor, none for too long.

A question waits in a short queue and is refused where that is full. It sees one state of the store
from beginning to end (a transaction). When its time is over, or the one who asked has left, its
statement is interrupted, again and again until it is really over, for an interruption that falls
between two statements of a question would be lost.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

import duckdb

from bursar import clock
from bursar.errors import Overloaded, TimedOut
from bursar.storage.duckdb.questions import CursorQuestions

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from bursar.usage.allocations.claims import Claims
    from bursar.usage.store import UsageQuestions

Answer = TypeVar("Answer")

INSIST_SECONDS = 0.02
"""Pause between interruptions of a question that should be over."""


class Outcome(StrEnum):
    """How a question ended."""

    ANSWERED = "answered"
    REFUSED = "refused"
    TIMED_OUT = "timed_out"
    LEFT = "left"
    """Nobody waited for the answer any more."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class AskingLimits:
    """How many questions run, how many may wait, and how long one may take, waiting included."""

    threads: int = 4
    waiting: int = 16
    timeout_seconds: float = 30


class _Asked:
    """One question under way."""

    def __init__(self, deadline: float) -> None:
        self.started = clock.monotonic()
        self.deadline = deadline
        self.has_left = threading.Event()
        self._lock = threading.Lock()
        self._cursor: duckdb.DuckDBPyConnection | None = None

    def over(self) -> Outcome | None:
        """Why this question should stop, if it should."""
        if self.has_left.is_set():
            return Outcome.LEFT
        return Outcome.TIMED_OUT if clock.monotonic() >= self.deadline else None

    def hold(self, cursor: duckdb.DuckDBPyConnection | None) -> None:
        """Remember the cursor to interrupt, or forget it before it is closed."""
        with self._lock:
            self._cursor = cursor

    def interrupt(self) -> None:
        """Stop the statement that runs now, if one does."""
        with self._lock:
            if self._cursor is not None:
                self._cursor.interrupt()


class DuckDBQuestions:
    """Implements `AsksQuestions` over a DuckDB store."""

    def __init__(
        self,
        open_cursor: Callable[[], duckdb.DuckDBPyConnection],
        position_of: Callable[[str, str], int | None],
        limits: AskingLimits | None = None,
        observe: Callable[[Outcome, float], None] | None = None,
        claims_of: Callable[[str], Claims] | None = None,
    ) -> None:
        """Answer on cursors from `open_cursor`; start no thread before the first question.

        Args:
            open_cursor: a new cursor for one question; called from any thread.
            position_of: an event's journal position by tenant and event id, from the key index.
            limits: how much may go on at once.
            observe: told how each question ended and how many seconds it took.
            claims_of: who bears a tenant's usage, by owner and cost centre; called from any thread.
        """
        self._open_cursor = open_cursor
        self._position_of = position_of
        self._limits = limits or AskingLimits()
        self._observe = observe
        self._claims_of = claims_of
        self._pool = ThreadPoolExecutor(self._limits.threads, thread_name_prefix="bursar-query")
        self._changed = threading.Condition()
        self._under_way: set[_Asked] = set()
        self._is_closed = False
        self._guard: threading.Thread | None = None

    async def ask(self, question: Callable[[UsageQuestions], Answer]) -> Answer:
        """What `question` returns, without blocking the loop; cancelling the task ends the question.

        Raises:
            Overloaded: too many questions are waiting, or this one needs more memory than there is.
            TimedOut: it took longer than the limit.
        """
        asked, future = self._submit(question)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            asked.has_left.set()
            self._wake()
            raise

    def ask_now(self, question: Callable[[UsageQuestions], Answer]) -> Answer:
        """What `question` returns; for callers with a thread of their own. Raises as `ask` does."""
        return self._submit(question)[1].result()

    def close(self) -> None:
        """Interrupt what runs, refuse what comes, and wait until all threads are gone."""
        with self._changed:
            self._is_closed = True
            for asked in self._under_way:
                asked.has_left.set()
            self._changed.notify_all()
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._guard is not None:
            self._guard.join()

    def _submit(self, question: Callable[[UsageQuestions], Answer]) -> tuple[_Asked, Future[Answer]]:
        asked = _Asked(clock.monotonic() + self._limits.timeout_seconds)
        with self._changed:
            is_full = len(self._under_way) >= self._limits.threads + self._limits.waiting
            if is_full or self._is_closed:
                self._report(Outcome.REFUSED, asked)
                message = "Too many queries are running or waiting; try again shortly."
                raise Overloaded(message)
            self._under_way.add(asked)
            if self._guard is None:
                self._guard = threading.Thread(target=self._watch, name="bursar-query-guard", daemon=True)
                self._guard.start()
            future = self._pool.submit(self._run, asked, question)
            self._changed.notify_all()
        future.add_done_callback(lambda _: self._forget(asked))
        return asked, future

    def _run(self, asked: _Asked, question: Callable[[UsageQuestions], Answer]) -> Answer:
        outcome = Outcome.FAILED
        try:
            answer = self._answer(asked, question)
            outcome = Outcome.ANSWERED
        except duckdb.InterruptException:
            outcome = asked.over() or Outcome.LEFT
            raise _ended(outcome, self._limits) from None
        except duckdb.OutOfMemoryException:
            message = "This query needs more memory than it may take; narrow its window or dimensions."
            raise Overloaded(message) from None
        finally:
            self._report(outcome, asked)
        return answer

    def _answer(self, asked: _Asked, question: Callable[[UsageQuestions], Answer]) -> Answer:
        cursor = self._open_cursor()
        asked.hold(cursor)
        try:
            if asked.over():
                message = "over before it began"
                raise duckdb.InterruptException(message)
            cursor.begin()
            return question(CursorQuestions(cursor, self._position_of, claims_of=self._claims_of))
        finally:
            asked.hold(None)
            cursor.close()

    def _watch(self) -> None:
        """Interrupt questions that should be over; sleep while there is nothing to end."""
        with self._changed:
            while self._under_way or not self._is_closed:
                ending = [asked for asked in self._under_way if asked.over()]
                for asked in ending:
                    asked.interrupt()
                self._changed.wait(INSIST_SECONDS if ending else self._pause())

    def _pause(self) -> float | None:
        deadlines = [asked.deadline for asked in self._under_way]
        return max(min(deadlines) - clock.monotonic(), 0) if deadlines else None

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _forget(self, asked: _Asked) -> None:
        with self._changed:
            self._under_way.discard(asked)
            self._changed.notify_all()

    def _report(self, outcome: Outcome, asked: _Asked) -> None:
        if self._observe is not None:
            self._observe(outcome, clock.monotonic() - asked.started)


def _ended(outcome: Outcome, limits: AskingLimits) -> TimedOut:
    if outcome is Outcome.TIMED_OUT:
        message = f"The query took longer than {limits.timeout_seconds:g} seconds and was interrupted."
        return TimedOut(message)
    message = "The query was ended, because nobody waited for it any more."
    return TimedOut(message)
