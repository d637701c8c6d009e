"""A value that is asked for over the network, believed for a while, and asked for once at a time.

Whoever comes while it is being asked for waits for that answer. A failure is remembered too, for seconds: a
provider that is away must not hold up one request after the other.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

from bursar import clock
from bursar.errors import BursarError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")
FAILED_SECONDS = 5.0


class Remembered(Generic[T]):
    """Use from one event loop."""

    def __init__(
        self, ask: Callable[[], Awaitable[T]], seconds: float, now: Callable[[], float] = clock.monotonic
    ) -> None:
        """Nothing is known yet; `ask` brings the value, which is believed for so many seconds."""
        self._ask = ask
        self._seconds = seconds
        self._now = now
        self._lock = asyncio.Lock()
        self._known: tuple[T, float] | None = None
        self._failed: tuple[BursarError, float] | None = None

    async def value(self, *, older_than_seconds: float | None = None) -> T:
        """The value, asked for anew if it is older than that, or than it is believed.

        Raises:
            BursarError: what `ask` raised, now or within the last seconds.
        """
        longest = self._seconds if older_than_seconds is None else older_than_seconds
        async with self._lock:
            if self._known is not None and self._now() - self._known[1] < longest:
                return self._known[0]
            if self._failed is not None and self._now() - self._failed[1] < FAILED_SECONDS:
                raise self._failed[0]
            try:
                value = await self._ask()
            except BursarError as error:
                self._failed = error, self._now()
                raise
            self._known, self._failed = (value, self._now()), None
            return value
