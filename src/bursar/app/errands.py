"""Work that must happen on another thread, at a moment that suits it: between two batches of the applier.

Whoever hands it over gets a future. Errors go there and nowhere else: an errand that fails is no reason
for the thread that ran it to think that its own work failed.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from bursar.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")


class Errands:
    """A queue of errands; any thread hands over, one thread runs them in order."""

    def __init__(self) -> None:
        """Nothing waits yet."""
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._is_closed = False

    def hand_over(self, work: Callable[[], Result]) -> Future[Result]:
        """Queue work; the future has what it returned or raised.

        Raises:
            Unavailable: nobody runs errands any more.
        """
        future: Future[Result] = Future()
        with self._lock:
            if self._is_closed:
                raise _stopping()
            self._waiting.append((work, future))
        return future

    def run(self) -> None:
        """Run what waits now, in the order it was handed over."""
        while (errand := self._next()) is not None:
            work, future = errand
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001 - handed over to the one who waits for it
                future.set_exception(error)

    def close(self) -> None:
        """Refuse what still waits, and everything that comes."""
        with self._lock:
            self._is_closed = True
        while (errand := self._next()) is not None:
            if errand[1].set_running_or_notify_cancel():
                errand[1].set_exception(_stopping())

    def _next(self) -> tuple[Callable[[], Any], Future[Any]] | None:
        with self._lock:
            return self._waiting.popleft() if self._waiting else None


def _stopping() -> Unavailable:
    return Unavailable("The server is stopping.")
