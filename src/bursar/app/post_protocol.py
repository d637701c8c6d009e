"""HTTP connections that answer single posts themselves; everything else is uvicorn's as it was.

A task, a queue of messages and two sends with checked headers for each post take more time than the post.
So its start is put off until its body is whole, and `single_posts.py` is asked first. It answers from the
commit that made the event durable; what it doesn't take begins as ever. Decision 9 says what that is worth,
and which parts of uvicorn's protocol are leant on.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from bursar.app.ingest_asgi import EVENTS
from bursar.app.single_posts import STATUS

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

    from bursar.app.single_posts import SinglePosts


class PostProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, posts: SinglePosts, **given: Any) -> None:  # noqa: ANN401 - uvicorn's own arguments
        """`given` is what uvicorn makes its protocols with."""
        super().__init__(**given)
        self._app: ASGI3Application = given["config"].loaded_app
        self._posts = posts
        self._held: RequestResponseCycle | None = None
        """A post whose body isn't whole yet."""

    def data_received(self, data: bytes) -> None:
        """Take what was sent; a post that didn't come in one piece starts at once."""
        super().data_received(data)
        held, self._held = self._held, None
        if held is not None:
            super()._start_asgi_task(held, self._app)

    def on_message_complete(self) -> None:
        """A request is whole."""
        super().on_message_complete()
        held, self._held = self._held, None
        if held is not None:
            self._start_asgi_task(held, self._app)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        # Another app than ours refuses: there are too many connections.
        if app is self._app and _may_be_taken(cycle) and not self.flow.write_paused:
            if cycle.more_body:
                self._held = cycle
                return
            if len(cycle.body) <= self._posts.largest and self._posts.take(
                list(cycle.scope["headers"]), bytes(cycle.body), partial(self._answer, cycle)
            ):
                return
        super()._start_asgi_task(cycle, app)

    def _answer(self, cycle: RequestResponseCycle, answer: bytes | None) -> None:
        if answer is None:
            super()._start_asgi_task(cycle, self._app)
            return
        if cycle.disconnected or self.transport.is_closing():
            return
        parts = [STATUS_LINE[STATUS]]
        for name, value in self.server_state.default_headers:
            parts += (name, b": ", value, b"\r\n")
        if not cycle.keep_alive:
            parts.append(b"connection: close\r\n")
        parts.append(answer)
        self.transport.write(b"".join(parts))
        cycle.response_started = cycle.response_complete = True
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()


def _may_be_taken(cycle: RequestResponseCycle) -> bool:
    scope = cycle.scope
    return scope["path"] == EVENTS and scope["method"] == "POST" and not scope["query_string"]
