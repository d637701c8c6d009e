"""How single posts of several tenants share the event loop: who sends very many at once waits for itself.

Posts of one tenant over 256 connections come all at once, are made durable by one commit and answered in one
turn of the loop: 20 ms in which nobody else is served. While more than one tenant posts, each has at most
`AT_ONCE` posts under way; further ones wait until one of its own is answered. Who is alone never waits.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

AT_ONCE = 32
"""About 3 ms of the event loop: as long as a commit takes on a quick disk."""
ALONE_SECONDS = 1.0
"""A tenant is alone when for so long nobody else has posted."""


class PostShares:
    """Counts posts under way. Use from the event loop."""

    def __init__(self) -> None:
        """Begin with none."""
        self._under_way: dict[str, int] = {}
        self._waiting: dict[str, deque[Callable[[], bool]]] = {}
        self._last = ""
        self._shared_until = 0.0

    def must_wait(self, tenant_id: str, now: float) -> bool:
        """Whether a tenant's post, that comes now, has to wait for its others."""
        if tenant_id != self._last:
            self._last, self._shared_until = tenant_id, now + ALONE_SECONDS if self._last else 0.0
        return now < self._shared_until and self._under_way.get(tenant_id, 0) >= AT_ONCE

    def wait(self, tenant_id: str, begin: Callable[[], bool]) -> None:
        """Call `begin` once another post of this tenant, which must wait, is done; it says if it began."""
        self._waiting.setdefault(tenant_id, deque()).append(begin)

    def enter(self, tenant_id: str) -> None:
        """A post is under way."""
        self._under_way[tenant_id] = self._under_way.get(tenant_id, 0) + 1

    def leave(self, tenant_id: str) -> None:
        """A post is done; the next one that waits begins."""
        left = self._under_way[tenant_id] - 1
        if left:
            self._under_way[tenant_id] = left
        else:
            del self._under_way[tenant_id]
        waiting = self._waiting.get(tenant_id)
        while waiting:
            if waiting.popleft()():
                return
        if waiting is not None:
            self._waiting.pop(tenant_id, None)

    def waiting(self, tenant_id: str) -> int:
        """How many posts of a tenant wait."""
        return len(self._waiting.get(tenant_id, ()))
