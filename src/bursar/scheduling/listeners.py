"""Listeners: other parts that are told when a run has ended, at least once, also after a restart.

A listener is registered in code under a name. That it is to be told is written in the transaction that
ends the run, and how telling went is kept beside the run for as long as the run is: its history. One
that raises is told again with growing pauses, and given up after some attempts; one told just before
a crash may be told twice, so it must bear that.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from bursar import clock
from bursar.errors import BursarError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bursar.scheduling.run import Notice, Run
    from bursar.scheduling.store import SchedulerStore

    Listener = Callable[[Run], None]

ATTEMPTS_LIMIT = 5
AGAIN_SECONDS = 30.0
"""Between attempts, and how often this looks for what another process left untold."""

log = structlog.get_logger()


class Listeners:
    """Tells listeners, in a thread of its own: one that hangs holds up the others, but no job."""

    def __init__(self, store: SchedulerStore) -> None:
        """Nobody listens yet."""
        self._store = store
        self._listeners: dict[str, Listener] = {}
        self._wake = threading.Event()
        self._is_stopping = False
        self._thread: threading.Thread | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Who is told."""
        return tuple(self._listeners)

    def add(self, name: str, listener: Listener) -> None:
        """Tell this listener of every run that ends from now on."""
        if name in self._listeners:
            message = f"there is a listener '{name}' already"
            raise ValueError(message)
        self._listeners[name] = listener

    def start(self) -> None:
        """Begin to tell."""
        self._thread = threading.Thread(target=self._run, name="run-listeners", daemon=True)
        self._thread.start()

    def notify(self) -> None:
        """Say that a run has ended."""
        self._wake.set()

    def stop(self, seconds: float) -> bool:
        """Finish telling, at most so long; whether it has. What is left is told after the next start."""
        self._is_stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(seconds)
            return not self._thread.is_alive()
        return True

    def tell_all(self) -> None:
        """Tell everybody what they are owed, once."""
        for notice in self._store.owed(ATTEMPTS_LIMIT):
            listener = self._listeners.get(notice.listener)
            if listener is not None:
                self._store.told(self._told(notice, listener))

    def _told(self, notice: Notice, listener: Listener) -> Notice:
        tried = replace(notice, attempts=notice.attempts + 1)
        try:
            listener(self._store.run(notice.run_id))
        except Exception as error:
            log.exception("a listener failed", listener=notice.listener, run=notice.run_id)
            return replace(tried, error=f"{type(error).__name__}: {error}")
        return replace(tried, told_at=clock.now(), error=None)

    def _run(self) -> None:
        while not self._is_stopping:
            self._wake.wait(AGAIN_SECONDS)
            self._wake.clear()
            try:
                self.tell_all()
            except BursarError as error:
                log.warning("listeners could not be told yet", error=error.detail)
