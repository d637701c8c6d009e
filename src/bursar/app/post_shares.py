"""How single posts of several tenants share the event loop: who sends very many at once waits for itself.

Posts of one tenant over 256 connections come all at once, are made durable by one commit and answered in one
turn of the loop: 30 ms in which nobody else is served. While more than one tenant posts, each has only as
many under way as take the loop no longer than a commit takes the disk, for which everybody waits anyway;
further ones wait until one of its own is answered. Who is alone never waits.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

AT_ONCE = 8
"""What each may have under way at least, on the quickest disk."""
AT_ONCE_LIMIT = 128
"""And at most, on the slowest."""
POST_SECONDS = 0.000_15
"""About what a post takes of the event loop."""
ALONE_SECONDS = 1.0
"""A tenant is alone when for so long nobody else has posted."""


class PostShares:
    """Counts posts under way. Use from the event loop."""

    def __init__(self, commit_seconds: Callable[[], float]) -> None:
        """Begin with none; `commit_seconds` says how long the disk takes for a commit lately."""
        self._commit_seconds = commit_seconds
        self._under_way: dict[str, int] = {}
        self._waiting: dict[str, deque[Callable[[], bool]]] = {}
        self._last = ""
        self._shared_until = 0.0

    def must_wait(self, tenant_id: str, now: float) -> bool:
        """Whether a tenant's post, that comes now, has to wait for its others."""
        if tenant_id != self._last:
            self._last, self._shared_until = tenant_id, now + ALONE_SECONDS if self._last else 0.0
        return now < self._shared_until and self._under_way.get(tenant_id, 0) >= self._share()

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

    def _share(self) -> int:
        return min(max(AT_ONCE, int(self._commit_seconds() / POST_SECONDS)), AT_ONCE_LIMIT)
