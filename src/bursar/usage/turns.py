"""How large bodies and single posts share the event loop: a slice of a body, then the posts that wait.

A body of ten thousand events takes as long as a thousand posts. It is taken in slices of about a millisecond,
one of all large bodies at a time; after each the posts go first, for at most `PATIENCE` times as long. So
posts keep three quarters of the loop while there are as many, and bodies have all that posts leave.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from bursar import clock

PATIENCE = 3
"""How much longer than a slice the posts after it may take before the next slice."""


@dataclass(slots=True)
class Turns:
    """Whose turn it is. Use from one event loop."""

    posts: int = 0
    """Single posts that were taken or answered so far: who does so counts it here."""
    _line: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Large bodies wait in it, first come, first served."""

    def of_large_body(self) -> LargeBody:
        """A large body begins, with a slice of it."""
        return LargeBody(self, clock.monotonic())

    async def let_posts_pass(self, seconds: float) -> None:
        """Return when a turn of the loop brought no post, after so many seconds at the latest."""
        async with self._line:
            until = clock.monotonic() + seconds
            while True:
                before = self.posts
                await asyncio.sleep(0)
                if self.posts == before or clock.monotonic() >= until:
                    return


@dataclass(slots=True)
class LargeBody:
    """One large body's part of the loop."""

    turns: Turns
    _began: float

    async def end(self) -> None:
        """The slice at hand is done; returns when the next may begin."""
        await self.turns.let_posts_pass(PATIENCE * (clock.monotonic() - self._began))
        self._began = clock.monotonic()
