"""HTTP connections whose heads are bounded, and whose refusals carry the headers that all answers have.

The parser itself takes a head of any size, and uvicorn keeps it all: one connection could fill the memory
before anybody knows who asks. What follows a good head is uvicorn's as it was, or `post_protocol.py`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from bursar.app.safety_headers import end_of_head, with_safety_headers

if TYPE_CHECKING:
    from starlette.types import ASGIApp
    from uvicorn._types import ASGI3Application
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

HEAD_LIMIT = 65_536
"""Bytes of a request's line and headers: as much as uvicorn's other parser takes; nginx takes 33 kB."""


class _HeadTooLarge(Exception):
    """Ends the parsing of a request."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, **given: Any) -> None:  # noqa: ANN401 - uvicorn's own arguments
        """`given` is what uvicorn makes its protocols with."""
        super().__init__(**given)
        self._app: ASGI3Application = given["config"].loaded_app
        self._part = 0
        """Bytes of the part that is being read."""
        self._head_so_far: int | None = None
        """Bytes of the parts before that hold this head; None while no head is being read."""
        self._before_head = 0
        """How many of them may be no part of it: those of the part in which it began."""
        self._is_over = False

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

    def on_message_begin(self) -> None:
        """A head begins, somewhere in this part."""
        super().on_message_begin()
        self._head_so_far, self._before_head = 0, self._part

    def on_headers_complete(self) -> None:
        """The head is whole; it is measured only where it can be too large."""
        so_far, self._head_so_far = self._head_so_far or 0, None
        if so_far + self._part > HEAD_LIMIT:
            lines = sum(len(name) + len(value) + len(b": \r\n") for name, value in self.headers)
            if lines + len(self.url) > HEAD_LIMIT:
                self._is_over = True
                raise _HeadTooLarge
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what isn't HTTP, or is too much of it."""
        if self._is_over:
            self._refuse_head()
        else:
            self._refuse(400, msg)

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
