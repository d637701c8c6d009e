"""HTTP connections that answer single posts themselves; everything else is uvicorn's as it was.

A task, a queue of messages and two sends with checked headers for each post take more time than the post.
So its start is put off until its body is whole, and `single_posts.py` is asked first. It answers from the
commit that made the event durable; what it doesn't take begins as ever. Decision 9 says what that is worth,
and which parts of uvicorn's protocol are leant on.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast

from bursar.app.gated_protocol import GatedProtocol
from bursar.app.ingest_asgi import EVENTS
from bursar.app.single_posts import STATUS

if TYPE_CHECKING:
    from starlette.types import Scope
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from bursar.app.flood_gate import FloodGate
    from bursar.app.single_posts import SinglePosts


class PostProtocol(GatedProtocol):
    """One connection."""

    def __init__(self, posts: SinglePosts, gate: FloodGate | None, **given: Any) -> None:  # noqa: ANN401 - uvicorn's own arguments
        """`given` is what uvicorn makes its protocols with."""
        super().__init__(gate, **given)
        self._posts = posts
        self._held: RequestResponseCycle | None = None
        """A post whose body isn't whole yet."""
        self._is_reading = False

    def data_received(self, data: bytes) -> None:
        """Take what was sent; a post that didn't come in one piece starts at once."""
        self._is_reading = True
        try:
            super().data_received(data)
        finally:
            self._is_reading = False
        if self._held is not None:
            held, self._held = self._held, None
            super()._begin(held)

    def on_message_complete(self) -> None:
        """A request is whole."""
        super().on_message_complete()
        if self._held is not None:
            held, self._held = self._held, None
            self._take_or_start(held)

    def _begin(self, cycle: RequestResponseCycle) -> None:
        if not _may_be_taken(cycle):
            super()._begin(cycle)
        elif cycle.more_body and self._is_reading:
            self._held = cycle
        elif cycle.more_body:
            # It waited behind another request. Only a task bids it continue, and waits so long.
            super()._begin(cycle)
        else:
            self._take_or_start(cycle)

    def _take_or_start(self, cycle: RequestResponseCycle) -> None:
        # Who doesn't read has to wait before more is written, which only a task can.
        is_short = len(cycle.body) <= self._posts.largest and not self.flow.write_paused
        scope = cast("Scope", cycle.scope)
        is_taken = is_short and self._posts.take(scope, bytes(cycle.body), partial(self._answer, cycle))
        # What isn't taken may have been refused just now.
        if not is_taken and not self._refuses(cycle):
            super()._begin(cycle)

    def _answer(self, cycle: RequestResponseCycle, answer: bytes | None) -> None:
        if answer is None:
            super()._begin(cycle)
            return
        if not cycle.disconnected and not self.transport.is_closing():
            self._write_whole(cycle, STATUS, answer)


def _may_be_taken(cycle: RequestResponseCycle) -> bool:
    scope = cycle.scope
    return scope["path"] == EVENTS and scope["method"] == "POST" and not scope["query_string"]
