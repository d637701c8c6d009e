"""HTTP connections whose requests are bounded, and whose refusals carry the headers that all answers have.

The parser itself takes a head of any size, and uvicorn keeps it all: one connection could fill the memory
before anybody knows who asks. Nor does it ever give up on a request that never becomes whole, or on an
answer that nobody reads. What follows
a good head is uvicorn's as it was, or `gated_protocol.py`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from bursar.app.safety_headers import end_of_head, with_safety_headers

if TYPE_CHECKING:
    import asyncio

    from starlette.types import ASGIApp
    from uvicorn._types import ASGI3Application
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from bursar.app.places import Places

HEAD_LIMIT = 65_536
"""Bytes of a request's line and headers: as much as uvicorn's other parser takes; nginx takes 33 kB."""


HEAD_SECONDS = 20.0
"""A head is whole so long after its first byte, the first head after the connection was made."""
BODY_SECONDS = 90.0
"""A body is whole so long after its head. What knows its bodies better gives up sooner (`bodies.py`)."""
READ_SECONDS = 60.0
"""Of an answer that waits to be read something is read within so long; nginx waits as long. Whoever reads
nothing holds the answer's memory and a place among the requests at work."""


class _HeadTooLarge(Exception):
    """Ends the parsing of a request."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *, places: Places | None = None, **given: Any) -> None:  # noqa: ANN401 - uvicorn's own arguments
        """`given` is what uvicorn makes its protocols with; `places` are those it may take one of."""
        super().__init__(**given)
        self._places = places
        self._app: ASGI3Application = given["config"].loaded_app
        self._part = 0
        """Bytes of the part that is being read."""
        self._head_so_far: int | None = None
        """Bytes of the parts before that hold this head; None while no head is being read."""
        self._before_head = 0
        """How many of them may be no part of it: those of the part in which it began."""
        self._is_over = False
        self._is_whole = True
        """Whether the request at hand came in whole."""
        self._deadline: asyncio.TimerHandle | None = None
        """When what is missing of it isn't waited for any longer."""
        self._reader: asyncio.TimerHandle | None = None
        """When it is looked whether anything was read."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there, and is to say what it wants."""
        super().connection_made(transport)
        self._wait_at_most(HEAD_SECONDS)
        if self._places is not None and not self._places.take(_host_of(self.client)):
            self._places, self._is_over = None, True
            self._refuse(503, "This address has too many connections.")

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._wait_no_longer()
        self._read_on()
        if self._places is not None:
            self._places.leave(_host_of(self.client))
            self._places = None
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """More is to be read by the client than waits in vain."""
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        """The client has read."""
        self._read_on()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Take what was sent."""
        if self._is_over:
            return
        self._part = len(data)
        super().data_received(data)
        if self._head_so_far is not None:
            self._head_so_far += len(data)
            if self._head_so_far - self._before_head > HEAD_LIMIT:
                self._refuse_head()
        if not self._is_whole and self._deadline is None:
            self._wait_at_most(BODY_SECONDS if self._head_so_far is None else HEAD_SECONDS)

    def on_message_begin(self) -> None:
        """A head begins, somewhere in this part."""
        super().on_message_begin()
        self._is_whole = False
        self._head_so_far, self._before_head = 0, self._part

    def on_headers_complete(self) -> None:
        """The head is whole; it is measured only where it can be too large."""
        self._wait_no_longer()
        so_far, self._head_so_far = self._head_so_far or 0, None
        if so_far + self._part > HEAD_LIMIT:
            lines = sum(len(name) + len(value) + len(b": \r\n") for name, value in self.headers)
            if lines + len(self.url) > HEAD_LIMIT:
                self._is_over = True
                raise _HeadTooLarge
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._is_whole = True
        self._wait_no_longer()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what isn't HTTP, or is too much of it."""
        if self._is_over:
            self._refuse_head()
        else:
            self._refuse(400, msg)

    def _wait_at_most(self, seconds: float) -> None:
        self._deadline = self.loop.call_later(seconds, self._give_up)

    def _wait_no_longer(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        if self.flow.read_paused:
            # It is we who don't read: an earlier request is being answered, or its body worked on.
            self._wait_at_most(HEAD_SECONDS)
        elif not self.transport.is_closing():
            self.transport.close()

    def _watch_reader(self) -> None:
        unread = self.transport.get_write_buffer_size()
        self._reader = self.loop.call_later(READ_SECONDS, self._look_at_reader, unread)

    def _look_at_reader(self, unread_before: int) -> None:
        if self.transport.get_write_buffer_size() < unread_before:
            self._watch_reader()
        else:
            self.transport.abort()

    def _read_on(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            self._reader = None

    def _refuse_head(self) -> None:
        self._is_over = True
        self._refuse(431, f"The request's line and headers have more than {HEAD_LIMIT} bytes.")

    def _refuse(self, status: int, why: str) -> None:
        content = why.encode("ascii", "replace")
        own = b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n"
        parts = [STATUS_LINE[status]]
        for name, value in self.server_state.default_headers:
            parts += (name, b": ", value, b"\r\n")
        end = end_of_head(is_secure=self.scheme == "https")
        self.transport.write(b"".join((*parts, own % len(content), end, content)))
        self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        if app is not self._app:
            # uvicorn's own, which refuses: there are too many connections.
            app = cast(
                "ASGI3Application",
                with_safety_headers(cast("ASGIApp", app), is_secure=self.scheme == "https"),
            )
        super()._start_asgi_task(cycle, app)


def _host_of(client: tuple[str, int] | None) -> str | None:
    return None if client is None else client[0]
